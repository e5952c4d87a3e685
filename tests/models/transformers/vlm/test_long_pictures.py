"""Pictures that are all length: their tokens are as many as the layout says, or the processor's own refusal is told in words."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.errors import InputError
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.vlm.choose import answer_methods
from isotherm.vlm.explain import explain_answer
from isotherm.vlm.scores import Answer
from rigs.vlm_kin import EVERY
from rigs.vlm_models import family

SIZES = [(64, 2000), (2000, 64), (3000, 40), (40, 3000)]


@pytest.mark.parametrize(
    "name", ["qwen2_5_vl", "gemma3_crops", "llava_next", "llava_onevision", "idefics3", "internvl"]
)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_long_pictures_have_the_tokens_that_the_layout_says(name, size):
    model, processor, layout = family(name)
    view = TransformersVlm(model, processor, layout=layout)
    prompt = view.ask([np.zeros((*size, 3), np.uint8)], "how many red ?")
    (tokens,) = view.embed(prompt)
    assert tokens.shape[1] == prompt.pictures[0].count == len(prompt.positions)


@pytest.mark.parametrize("name", ["llava_next", "llava_onevision"])
def test_a_picture_narrower_than_a_token_of_its_tiles_is_explained(name):
    """The model cuts off all of the tiles but the ends of their rows; what is left is the whole picture."""
    model, processor, layout = family(name)
    view = TransformersVlm(model, processor, layout=layout)
    picture = np.random.default_rng(0).integers(0, 255, (2000, 64, 3), dtype=np.uint8)
    methods = [answer_methods()[m] for m in ("propagation", "attention_gradient")]
    maps = explain_answer(view, [picture], "how many red ?", score=Answer("two red"), methods=methods)
    assert all(m.values.shape == maps[0].values.shape and bool(m.values.isfinite().all()) for m in maps)
    assert maps[1].has_evidence


def test_what_a_processor_does_not_take_is_said_in_words():
    view = TransformersVlm(*EVERY["lighton_ocr"]())
    with pytest.raises(
        InputError, match=r"processor of lighton_ocr .* does not take pictures of 40 x 3000 pixels .*; crop them"
    ):
        view.ask([np.zeros((3000, 40, 3), np.uint8)], "how many red ?")
