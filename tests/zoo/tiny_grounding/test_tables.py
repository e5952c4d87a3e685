"""Drawn tables: pictures, instructions and places together, and prompts that are the processor's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.data.tabletop import KINDS, make_tabletop
from isotherm.progress import Progress
from isotherm.zoo.tiny_grounding.network import SIDE
from isotherm.zoo.tiny_grounding.tables import as_pixels, draw_tables, table_prompts
from isotherm.zoo.tiny_grounding.view import load


@pytest.fixture(scope="module")
def drawn():
    return draw_tables([3, 8], ("top", "left"), samples=1)


def test_every_instruction_lies_with_its_table_and_its_places(drawn):
    said = []
    assert len(draw_tables([3], ("top",), samples=1, say=said.append)) < len(drawn)
    assert isinstance(said[-1], Progress)
    first = 0
    for number, seed in enumerate((3, 8)):
        table = make_tabletop(seed, size=SIDE, samples=1, views=("top", "left"))
        assert int(drawn.blocks[number]) == len(table.blocks)
        for i, instruction in enumerate(table.instructions, first):
            assert drawn.texts[i] == instruction.text
            assert KINDS[drawn.kind[i]] == instruction.kind
            assert drawn.point[i].tolist() == pytest.approx(instruction.point)
            for v, name in enumerate(drawn.views):
                assert drawn.xy[i, v].tolist() == pytest.approx(table.points(instruction)[name], abs=1e-4)
                assert np.array_equal(drawn.shown(torch.tensor([i]), v)[0], table.views[name].picture)
        first += len(table.instructions)
    assert first == len(drawn)


def test_prompts_are_those_of_the_processor(drawn):
    """The words of these instructions are of different numbers, so some are padded."""
    index = torch.tensor([0, 5, len(drawn) - 1])
    texts = [drawn.texts[i] for i in index]
    assert len({len(text.split()) for text in texts}) > 1
    pictures = drawn.shown(index, torch.tensor([0, 1, 1]))
    real = load(weights="none").batch([[picture] for picture in pictures], texts)
    mine = table_prompts(as_pixels(pictures), texts)
    assert set(mine.inputs) == set(real.inputs)
    for name, value in mine.inputs.items():
        torch.testing.assert_close(value, real.inputs[name], atol=1e-6, rtol=0)
    assert torch.equal(mine.positions, real.positions)
    assert torch.equal(mine.last, real.last)
    assert mine.grids[0].frame.allclose(real.grids[0].frame)
    assert torch.equal(mine.grids[0].token, real.grids[0].token)


def test_words_may_stand_first(drawn):
    prompts = table_prompts(
        as_pixels(drawn.shown(torch.tensor([0, 1]), 0)), ["pick the red block", "pick"], text_first=True
    )
    ids, mask = prompts.inputs["input_ids"], prompts.inputs["attention_mask"]
    assert prompts.positions[:, 0].tolist() == [5, 5]  # behind the words, which the padding stands before
    assert mask[1, :4].tolist() == [0, 0, 0, 1]
    assert ids.shape == (2, 5 + 64)
