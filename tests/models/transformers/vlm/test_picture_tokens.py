"""Which token of a prompt stands for pictures, and where such tokens are."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from isotherm.errors import AdapterError, ShapeError
from isotherm.models.transformers.vlm.proof import image_token_id, picture_positions, video_token_id
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
    assert picture_positions(torch.tensor([[7, 3, 3, 1]]), 3).tolist() == [1, 2]
    with pytest.raises(ShapeError, match=r"shape \(2, 3\); expected one prompt"):
        picture_positions(torch.zeros(2, 3, dtype=torch.long), 0)
