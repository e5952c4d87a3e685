"""Which token of a prompt stands for pictures, where such tokens are, and who puts them there."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from isotherm.errors import AdapterError, ShapeError
from isotherm.models.transformers.vlm.checks import check_one_sequence
from isotherm.models.transformers.vlm.prompts import output_head, prompt_text
from isotherm.models.transformers.vlm.proof import image_token_id, picture_positions, video_token_id
from rigs.vlm_askers import fuyu
from rigs.vlm_models import FAMILIES, family


def test_numbers_of_tokens():
    for name in FAMILIES:
        config, processor = family(name)[0].config, family(name)[1]
        assert processor.tokenizer.convert_ids_to_tokens(image_token_id(config)) in (
            "<|image_pad|>",
            "<image>",
            "<image_soft_token>",
            "<IMG_CONTEXT>",
        )
    assert video_token_id(family("qwen3_vl")[0].config) == 8
    assert video_token_id(SimpleNamespace(video_token_index=4)) == 4
    assert video_token_id(family("paligemma")[0].config) is None
    with pytest.raises(AdapterError, match="of 'talker' names no token for pictures"):
        image_token_id(SimpleNamespace(model_type="talker"))
    with pytest.raises(AdapterError, match="a token for videos and none for pictures: it takes videos alone"):
        image_token_id(SimpleNamespace(model_type="films", video_token_id=4))
    assert picture_positions(torch.tensor([[7, 3, 3, 1]]), 3).tolist() == [1, 2]
    with pytest.raises(ShapeError, match=r"shape \(2, 3\); expected one prompt"):
        picture_positions(torch.zeros(2, 3, dtype=torch.long), 0)


def test_a_processor_that_puts_marks_by_itself_gets_the_words_alone():
    processor = fuyu()[1]
    assert prompt_text(processor, "image", 1, "how many ?", token_id=0, name="fuyu") == "how many ?"
    with pytest.raises(AdapterError, match="fuyu takes one image in a prompt; 2 were given"):
        prompt_text(processor, "image", 2, "how many ?", token_id=0, name="fuyu")


def test_logits_may_be_made_inside_of_a_model_that_names_no_head():
    head, outer, inner = nn.Linear(2, 3), nn.Module(), nn.Module()
    outer.inner, outer.get_output_embeddings, inner.get_output_embeddings = inner, lambda: None, lambda: head
    assert output_head(outer) is head
    with pytest.raises(AdapterError, match="nothing that makes logits"):
        output_head(nn.Module())


def test_a_decoder_that_asks_an_encoder_is_refused():
    check_one_sequence(SimpleNamespace(is_encoder_decoder=False), "a llava")
    with pytest.raises(AdapterError, match=r"a t5 has its answers written by a decoder .* by cross-attention"):
        check_one_sequence(SimpleNamespace(is_encoder_decoder=True), "a t5")
