"""Words that a mirror, a turn or another hue would make untrue are known, and nothing else is."""

from __future__ import annotations

import pytest

from isotherm.data.grounding.sides import names_a_colour, names_a_side


@pytest.mark.parametrize(
    "text",
    [
        "the left cup",
        "LEFT!",
        "the left-most cup",
        "leftmost cup",
        "lefthand drawer",
        "the left-hand one",
        "cup on the right.",
        "put it behind the green one",
        "in front of the blue one",
        "the upper shelf",
        "the topmost box",
        "turn it clockwise",
        "cup at 3 o\u2019clock",
        "the nearest block",
        "towards the lefts",
    ],
)
def test_sides_are_known(text):
    assert names_a_side(text)


@pytest.mark.parametrize(
    "text",
    ["the bright cup", "pick up the leftovers", "a copyright sign", "the stopper", "the frontier", "laptop", "overall", "the cup", "rechts"],
)  # fmt: skip
def test_what_is_no_side_is_none(text):
    assert not names_a_side(text)


def test_other_languages_are_configured():
    assert names_a_side("die rechte Tasse", words=("rechte",))
    assert not names_a_side("the left cup", words=())


def test_colours():
    assert names_a_colour("the RED cup")
    assert names_a_colour("the blueish one")
    assert not names_a_colour("the bored, tired cat is covered")
