"""What counting's maps are for: the mistakes of a count, crops that count twice, a reward for the right place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from isotherm.api import open_model
from isotherm.errors import OptionError
from isotherm.points import Points
from isotherm.systems.counting_errors import EMPTY, MISSED, count_errors
from isotherm.systems.counting_overlaps import check_crops
from isotherm.systems.vlm_counting import count


@pytest.fixture(scope="module")
def view():
    return open_model("tiny-vlm")


@pytest.fixture(scope="module")
def result(view):
    """A count in two crops that overlap from 40 to 56, with dots put where the tests want them."""
    picture = np.full((64, 96, 3), 90, np.uint8)
    real = count(view, picture, "red", strategy="custom", crops=[(0, 0, 56, 64), (40, 0, 96, 64)])
    xy = ([[10.0, 10.0], [47.0, 30.0], [52.0, 50.0]], [[48.0, 32.0], [80.0, 20.0]])
    looks = tuple(
        replace(one, peaks=Points(torch.tensor(dots), score=torch.ones(len(dots))))
        for one, dots in zip(real.looks, xy, strict=True)
    )
    dots = Points(torch.tensor([[10.0, 10.0], [80.0, 20.0]]), score=torch.ones(2), channel=torch.tensor([0, 1]))
    return replace(real, looks=looks, counts=(3.0, 2.0), exact=4.0, count=4, dots=dots, estimate="", doubts=())


def test_the_mistakes_of_a_count_are_listed_and_drawn(result):
    wrong = count_errors(result, np.array([[12.0, 10.0], [50.0, 50.0]]), reach_px=5)
    assert (wrong.right.tolist(), wrong.missed.tolist()) == ([[12.0, 10.0]], [[50.0, 50.0]])
    assert wrong.empty.tolist() == [[80.0, 20.0]]
    assert wrong.lines() == [
        "4 red; there are 2: 1 without a hotspot, 1 hotspot without an object",
        "object at 50, 50 without a hotspot",
        "hotspot at 80, 20 without an object",
    ]
    figure = np.asarray(wrong.figure(side=96))[-64:]  # below its title
    red, yellow = ((figure == colour).all(-1) for colour in (MISSED, EMPTY))
    assert np.abs(np.argwhere(red).mean(0) - [50, 50]).max() < 1.5
    assert np.abs(np.argwhere(yellow).mean(0) - [20, 80]).max() < 1.5
    with pytest.raises(OptionError, match="reach_px is 0; expected pixels above 0"):
        count_errors(result, np.zeros((0, 2)), reach_px=0)


def test_what_crops_count_twice(result):
    check = check_crops(result)
    (one,) = check.overlaps
    assert (one.box, one.twice.tolist()) == ((40, 0, 56, 64), [[47.5, 31.0]])
    assert (check.summed, check.counted) == (5.0, 4.0)
    assert check.lines() == [
        "the crops' counts add up to 5; with what overlaps counted once: 4",
        "crop 1 and crop 2: 1 counted twice",
    ]
    assert check_crops(result, same_tokens=0).lines()[1:] == []
    assert check_crops(replace(result, looks=(), counts=())).overlaps == ()
