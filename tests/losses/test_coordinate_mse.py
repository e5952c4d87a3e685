"""Mean squared error of places, by hand."""

from __future__ import annotations

import pytest
import torch

from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.losses.coordinate_mse import coordinate_mse, places_to_source
from isotherm.points import Points

INPUT = Frame.stack([Frame.identity((10, 20))])
"""Of 10 rows and 20 columns."""
NAN = float("nan")


def test_the_mean_is_over_what_is_known():
    places = torch.tensor([[[0.5, 0.5], [0.1, 0.1]]], requires_grad=True)
    points = Points(torch.tensor([[[12.0, 3.0], [NAN, NAN]]]), state=torch.tensor([[1, 0]]))
    loss = coordinate_mse(places, points, INPUT)
    assert loss.item() == pytest.approx((0.1**2 + 0.2**2) / 2)
    loss.backward()
    assert torch.isfinite(places.grad).all()
    assert (places.grad[0, 1] == 0).all()


def test_points_outside_of_the_input_count():
    places = torch.tensor([[[1.0, 0.5]]])
    assert float(coordinate_mse(places, Points(torch.tensor([[[24.0, 5.0]]])), INPUT)) == pytest.approx(0.2**2 / 2)


def test_the_better_order_of_a_line_counts():
    places = torch.tensor([[[0.2, 0.5], [0.8, 0.5], [0.0, 0.0]]])
    points = Points(torch.tensor([[[16.0, 5.0], [4.0, 5.0], [0.0, 0.0]]]))
    assert float(coordinate_mse(places, points, INPUT, groups=((0, 1),))) == pytest.approx(0, abs=1e-12)
    assert float(coordinate_mse(places, points, INPUT)) == pytest.approx(2 * 0.6**2 / 6)
    with pytest.raises(OptionError, match="at most 4"):
        coordinate_mse(torch.zeros(1, 5, 2), Points(torch.zeros(1, 5, 2)), INPUT, groups=((0, 1, 2, 3, 4),))


def test_places_lie_in_the_source():
    assert places_to_source(torch.tensor([[[0.25, 0.5]]]), INPUT).xy.tolist() == [[[5.0, 5.0]]]
