"""Models whose vision tokens stand for no place: pixels are covered, and the map lies on what they hide."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from isotherm.errors import MethodError
from isotherm.models.transformers.vlm.layouts.layout import UnknownPlacesError
from isotherm.models.transformers.vlm.layouts.measured import MeasuredLayout
from isotherm.models.transformers.vlm.layouts.placeless import PlacelessLayout
from isotherm.models.transformers.vlm.proof import image_token_id
from isotherm.models.transformers.vlm.stripes import UnmovedError
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.vlm.choose import token_methods
from isotherm.vlm.explain import explain_answer
from isotherm.vlm.methods import Occlusion, Propagation
from isotherm.vlm.scores import NextToken
from rigs.breadth import wide
from rigs.vlm_black_box import covered_box
from rigs.vlm_kin import EVERY


@pytest.mark.parametrize(
    ("name", "count", "second"),
    [("idefics2", 8, (40, 40)), *wide([("chameleon", 256, (40, 40)), ("emu3", 77, (48, 64))])],
)
def test_tokens_that_see_all_of_a_picture_make_no_map_and_covered_pixels_do(name, count, second):
    """Behind a resampler, or where a picture is turned into numbers of a code book behind attention."""
    view = TransformersVlm(*EVERY[name]())
    assert f"vision tokens of {name} stand for no place: each changes with pixels all over" in view.placeless
    asked = view.ask([np.zeros((48, 64, 3), np.uint8), np.zeros((*second, 3), np.uint8)], "?")
    assert [(p.count, p.grids) for p in asked.pictures] == [(count, ()), (count, ())]
    with pytest.raises(MethodError, match=r"propagation would make a map .* Take the method occlusion"):
        explain_answer(view, [np.zeros((48, 64, 3), np.uint8)], "?", score=NextToken(), methods=[Propagation()])
    assert covered_box(view) == 4
    (method,), why = token_methods(None, view)
    assert method == Occlusion()
    assert "covers pixels: it is not known which pixels this model's vision tokens stand for" in why


def opened_as_placeless(name: str) -> TransformersVlm:
    model, processor = EVERY[name]()
    layout = PlacelessLayout("for this test", token_id=image_token_id(model.config))
    return TransformersVlm(model, processor, layout=layout)


def test_a_model_that_cannot_do_without_pixels_is_read_through_its_language_model():
    view = opened_as_placeless("blip-2")
    asked = view.ask([np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)], "how many red ?")
    with torch.no_grad():
        true = view.model(**asked.inputs).logits[:, -1]
        read = view.read(asked, view.embed(asked), torch.zeros(1, 0, dtype=torch.long))
    torch.testing.assert_close(read.logits[:, -1], true, atol=1e-5, rtol=1e-4)


def test_pictures_of_one_prompt_are_pictures_and_no_pages():
    view = opened_as_placeless("got_ocr2")
    asked = view.ask([np.zeros((40, 40, 3), np.uint8), np.zeros((48, 64, 3), np.uint8)], "?")
    assert [p.count for p in asked.pictures] == [16, 16]


class Asking(MeasuredLayout):
    """Tokens that get what they know of pixels by self-attention alone, or nothing at all."""

    def __init__(self, weight: float) -> None:
        super().__init__(nn.Identity(), None, token_id=0, name="asking")
        self.weight = weight

    def _entering(self, pictures):
        seen = torch.from_numpy(np.stack(pictures)).double().flatten(1)[:, :300]
        states = torch.cat([torch.ones_like(seen), self.weight * seen])[None, None]
        return F.scaled_dot_product_attention(0.01 * states, 0.01 * states, states)[0, 0, :1]


def test_tokens_that_pixels_reach_by_attention_alone_stand_for_no_place():
    with pytest.raises(UnknownPlacesError, match="by attention alone, in which each asks all of the picture"):
        Asking(1.0).pictures({}, [(20, 30)])
    with pytest.raises(UnmovedError, match="do not change with the pixels"):
        Asking(0.0).pictures({}, [(20, 30)])
