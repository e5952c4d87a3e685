"""Words that no processor takes are refused in words, by every family and both ways of asking."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.errors import OptionError
from isotherm.models.transformers.vlm.checks import check_words

PICTURE = np.zeros((32, 40, 3), np.uint8)
FAMILIES = ("paligemma", "qwen2_5_vl", "smolvlm", "llava")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_mark_of_a_picture_is_no_word(families, family):
    """The processor would look for a second picture."""
    view = families(family)[0]
    assert view.marks
    for mark in view.marks:
        with pytest.raises(OptionError, match=r"the prompt has '.*' in it, by which this model marks its pictures"):
            view.ask([PICTURE], f"where is the {mark} ?")
        with pytest.raises(OptionError, match=r"the text has '.*' in it, by which this model marks its pictures"):
            view.batch([[PICTURE]] * 2, ["red", f"{mark} red"])


def test_half_a_character_is_named_with_its_place(families):
    """As the command line gives bytes that are not UTF-8."""
    view = families("paligemma")[0]
    with pytest.raises(OptionError, match="character 6 of the prompt is half of a pair"):
        view.ask([PICTURE], "pick \udcff red")
    with pytest.raises(OptionError, match="character 1 of the text"):
        view.batch([[PICTURE]], ["\ud800"])


@pytest.mark.parametrize("text", ["возьми красный блок", "拿红色的", "<b>bold</b>", "a\x00b", "🤖"])
def test_any_other_words_are_taken(text):
    check_words(text, {"<image>"}, example="")
