"""The language model of tiny-grounding: its words, its random weights, and how it is opened."""

from __future__ import annotations

import pytest
import torch

from isotherm.data.tabletop import make_tabletop
from isotherm.errors import AdapterError
from isotherm.models.choose import open_view
from isotherm.zoo.tiny_grounding.network import (
    SIDE,
    WORDS,
    numbers,
    random_tiny_grounding_vlm,
    tiny_grounding_tokenizer,
)


def test_every_word_of_every_instruction_has_a_number():
    tokenizer = tiny_grounding_tokenizer()
    assert len(numbers()) == 5 + len(WORDS) == 23
    for seed in range(6):
        for instruction in make_tabletop(seed, size=1, samples=1, views=("top",)).instructions:
            ids = tokenizer(instruction.text).input_ids
            assert ids == [numbers()[word] for word in instruction.text.split()]
    assert tokenizer("Pick the RED block, now!").input_ids == [
        numbers()[w] for w in ("pick", "the", "red", "block", "<unk>")
    ]


def test_random_weights_follow_the_seed():
    one, two, three = (random_tiny_grounding_vlm(seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], two[name]) for name in one)
    position = next(name for name in one if "position_embedding" in name)
    assert not torch.equal(one[position], three[position])
    assert abs(float(one[position].std()) - 0.5) < 0.05  # as large as what is seen there
    assert sum(p.numel() for p in random_tiny_grounding_vlm().parameters()) < 200_000


def test_it_is_opened_by_its_name_and_has_no_weights_of_its_own():
    opened = open_view("tiny-grounding", weights="none", seed=2)
    assert "grounding model that ships" in opened.reason
    assert opened.view.name == "tiny-grounding, random weights of seed 2"
    assert opened.view.layout.side == SIDE
    assert not opened.view.causal
    with pytest.raises(AdapterError, match=r"answers no questions in words.*instruction="):
        open_view("tiny-grounding")
