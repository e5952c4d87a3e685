"""Models whose vision tokens stand for no place: pixels are covered, and the map lies on what they hide."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.errors import MethodError
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.vlm.choose import token_methods
from isotherm.vlm.explain import explain_answer
from isotherm.vlm.methods import Occlusion, Propagation
from isotherm.vlm.scores import NextToken
from rigs.vlm_black_box import covered_box
from rigs.vlm_kin import EVERY


def test_a_resampler_opens_its_tokens_make_no_map_and_covered_pixels_do():
    view = TransformersVlm(*EVERY["idefics2"]())
    assert "the 8 vision tokens of idefics2 stand for no place: each changes with pixels all over" in view.placeless
    asked = view.ask([np.zeros((48, 64, 3), np.uint8), np.zeros((40, 40, 3), np.uint8)], "?")
    assert [(p.count, p.grids) for p in asked.pictures] == [(8, ()), (8, ())]
    with pytest.raises(MethodError, match=r"propagation would make a map .* Take the method occlusion"):
        explain_answer(view, [np.zeros((48, 64, 3), np.uint8)], "?", score=NextToken(), methods=[Propagation()])
    assert covered_box(view) == 4
    (method,), why = token_methods(None, view)
    assert method == Occlusion()
    assert "covers pixels: it is not known which pixels this model's vision tokens stand for" in why
