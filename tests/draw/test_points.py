"""Points on pictures: dots where they are, ellipses as large as they say, the truth beside them; diagrams."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.draw import draw_points
from isotherm.draw.boxes import PALETTE
from isotherm.draw.figures import curve_figure, matrix_figure, scatter_figure
from isotherm.errors import OptionError, ShapeError
from isotherm.points import Points, State

GREY = np.full((100, 200, 3), 90, np.uint8)


def centre_of(image, colour):
    """The middle of the pixels of a colour, edge-origin."""
    at = np.argwhere((np.asarray(image).astype(int) - np.array(colour)).__abs__().max(-1) < 12)
    return (at.mean(0) + 0.5)[::-1], len(at)


@pytest.mark.parametrize("side", [200, 600])
def test_a_dot_lies_where_the_point_is(side):
    image = draw_points(GREY, Points(torch.tensor([[40.5, 70.25]])), least_side=side)
    zoom = side / 200
    assert image.size == (side, side // 2)
    at, count = centre_of(image, PALETTE[0])
    assert np.abs(at - np.array([40.5, 70.25]) * zoom).max() < 0.6
    assert count > 10


def test_the_ellipse_holds_its_probability():
    covariance = torch.tensor([[[400.0, 0], [0, 25.0]]])
    plain = draw_points(GREY, Points(torch.tensor([[100.0, 50.0]])), least_side=200)
    image = draw_points(GREY, Points(torch.tensor([[100.0, 50.0]]), covariance=covariance), least_side=200)
    changed = np.argwhere((np.asarray(image) != np.asarray(plain)).any(-1))
    radius = math.sqrt(-2 * math.log(0.05))  # 2.4477 standard deviations
    wide, high = np.ptp(changed[:, 1]) / 2, np.ptp(changed[:, 0]) / 2
    assert wide == pytest.approx(20 * radius, abs=3)
    assert high == pytest.approx(5 * radius, abs=3)
    narrower = draw_points(
        GREY, Points(torch.tensor([[100.0, 50.0]]), covariance=covariance), least_side=200, level=0.5
    )
    assert np.ptp(np.argwhere((np.asarray(narrower) != np.asarray(plain)).any(-1))[:, 1]) / 2 == pytest.approx(
        20 * math.sqrt(-2 * math.log(0.5)), abs=3
    )


def test_what_is_not_known_is_not_drawn():
    points = Points(
        torch.tensor([[40.0, 40.0], [torch.nan, 3.0]]), state=torch.tensor([int(State.UNLABELLED), int(State.LABELLED)])
    )
    assert np.array_equal(np.asarray(draw_points(GREY, points, least_side=1, lines=[(0, 1)])), GREY)


def test_the_truth_is_white_and_names_are_written():
    points = Points(torch.tensor([[40.0, 40.0], [150.0, 60.0]]))
    truth = Points(torch.tensor([[60.0, 40.0], [150.0, 30.0]]))
    image = draw_points(GREY, points, truth=truth, lines=[(0, 1)], least_side=400)
    _, white = centre_of(image, (255, 255, 255))
    assert white > 20
    named = draw_points(GREY, points, truth=truth, lines=[(0, 1)], names=["eye", "tail"], least_side=400)
    assert not np.array_equal(np.asarray(named), np.asarray(image))
    titled = draw_points(GREY, points, title="a bird", footer="isotherm predict")
    assert titled.height > draw_points(GREY, points).height


def test_bad_points():
    points = Points(torch.zeros(1, 2))
    with pytest.raises(OptionError, match="level is 95"):
        draw_points(GREY, points, level=95.0)
    with pytest.raises(ShapeError, match="2 names for 1 points"):
        draw_points(GREY, points, names=["a", "b"])
    with pytest.raises(ShapeError, match=r"points have shape \(1, 1, 2\)"):
        draw_points(GREY, Points(torch.zeros(1, 1, 2)))
    with pytest.raises(ShapeError, match=r"truth have shape \(2, 2\)"):
        draw_points(GREY, points, truth=Points(torch.zeros(2, 2)))


def test_diagrams():
    curve = curve_figure(
        {"a": ([1, 2, 3], [1.0, math.nan, 2.0]), "b": ([1, 2], [0.5, 0.7])},
        x="step",
        y="loss",
        title="t",
        diagonal=True,
    )
    cloud = scatter_figure({"width": ([1.0, math.nan], [1.1, 2.0])}, x="true", y="predicted")
    values = np.array([[1.0, 2.0], [math.nan, 0.5]])
    less = matrix_figure(values, ["1", "2"], ["a", "b"], x="rate", y="sigma")
    more = matrix_figure(values, ["1", "2"], ["a", "b"], x="rate", y="sigma", less_is_better=False)
    for image in (curve, cloud, less, more):
        assert isinstance(image, Image.Image)
        assert len(image.getcolors(1 << 24)) > 20
    assert not np.array_equal(np.asarray(less), np.asarray(more))
    matrix_figure(np.full((1, 1), math.nan), ["1"], ["a"], x="rate", y="sigma")  # nothing known yet
    with pytest.raises(ShapeError, match="3 x and 2 y"):
        curve_figure({"a": ([1, 2, 3], [1.0, 2.0])}, x="", y="")
    with pytest.raises(ShapeError, match="2 x and 1 y"):
        scatter_figure({"a": ([1, 2], [1.0])}, x="", y="")
    with pytest.raises(ShapeError, match="1 rows and 2 columns"):
        matrix_figure(values, ["1"], ["a", "b"], x="", y="")
