"""Pictures that are all length: their tokens are as many as the layout says, or the processor's own refusal is told in words."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.errors import InputError, OptionError
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.vlm.choose import answer_methods
from isotherm.vlm.explain import explain_answer
from isotherm.vlm.scores import Answer
from rigs.breadth import wide
from rigs.vlm_black_box import black_box
from rigs.vlm_kin import EVERY, opened, opened_or_none
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
    assert all(bool(m.values.isfinite().all()) for m in maps)
    assert maps[1].has_evidence


def test_what_a_processor_does_not_take_is_said_in_words():
    view = TransformersVlm(*EVERY["lighton_ocr"]())
    with pytest.raises(
        InputError, match=r"processor of lighton_ocr .* does not take pictures of 40 x 3000 pixels .*; crop them"
    ):
        view.ask([np.zeros((3000, 40, 3), np.uint8)], "how many red ?")


EXTREME = [(64, 2000), (3000, 40), (1, 1), (8, 200)]
MECHANISMS = [("qwen2_vl", (3000, 40)), ("llava_next", (8, 200)), ("mistral3", (64, 2000))]
"""Blocks of patches, tiles, a measured layout."""
REFUSED = {
    ("mistral3", (1, 1)): r"mistral3 \S+ does not take pictures of 1 x 1 pixels \(RuntimeError: .*crop them",
    (
        "lighton_ocr",
        (64, 2000),
    ): r"lighton_ocr \S+ does not take pictures of 2000 x 64 pixels \(RuntimeError: .*crop them",
    ("lfm2_vl", (8, 200)): r"lfm2_vl \S+ does not take pictures of 200 x 8 pixels \(RuntimeError: .*crop them",
    ("aya_vision", (1, 1)): r"vision tokens of pictures of 1 x 1 pixels .*could not be measured .*crop them",
}
"""What a model itself fails at, and a picture that is smaller than what one token sees."""


@pytest.mark.parametrize(
    ("key", "message"),
    [*list(REFUSED.items())[:1], *wide(list(REFUSED.items())[1:])],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_picture_that_a_model_itself_does_not_take_is_named(key, message):
    name, size = key
    view = opened(name)
    with pytest.raises(InputError, match=message):
        view.embed(view.ask([np.zeros((*size, 3), np.uint8)], "how many red ?"))


@pytest.mark.filterwarnings("ignore")  # of packages that would be faster
@pytest.mark.parametrize(
    ("name", "size"),
    [*MECHANISMS, *wide((name, size) for name in EVERY for size in EXTREME if (name, size) not in MECHANISMS)],
    ids=str,
)
def test_extreme_pictures_of_every_family_move_the_right_tokens_or_are_refused(name, size):
    view = opened_or_none(name)
    if view is None:
        return
    try:
        if view.placeless:
            view.embed(view.ask([np.zeros((*size, 3), np.uint8)], "how many red ?"))
            return
        verdict = black_box(view, [size], most=4)
    except (InputError, OptionError):  # not taken, or more tokens than the model reads
        return
    if name == "llava_onevision" and size == (8, 200):  # a changed row of pixels lies over two cells of 1.2 pixels
        assert verdict.near > 0.9
    else:
        assert verdict.right or not verdict.tried, verdict  # no cell's middle lies in a picture of a pixel


@pytest.mark.parametrize("name", ["qwen2_vl", *wide(["llava_pixtral"])])
def test_a_picture_of_one_pixel_has_a_map_and_a_verdict(name):
    """Of one token, which is all that can be hidden."""
    picture = np.full((1, 1, 3), 200, np.uint8)
    maps = explain_answer(
        opened(name), [picture], "how many red ?", score=Answer("red"), methods=[answer_methods()["attention_gradient"]]
    )
    assert bool(maps[0].values.isfinite().all())
    assert len(maps.trust_lines) == 1
