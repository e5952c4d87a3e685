"""Separable Gaussians beside the exponential over the whole grid."""

from __future__ import annotations

import math

import pytest
import torch

from isotherm.errors import OptionError, ShapeError
from isotherm.ops.gaussian import outer, peak_vectors, probability_vectors, sigma_per_axis


def over_the_grid(x, y, sx, sy, h, w):
    return torch.tensor(
        [
            [math.exp(-((j + 0.5 - x) ** 2) / (2 * sx**2) - (i + 0.5 - y) ** 2 / (2 * sy**2)) for j in range(w)]
            for i in range(h)
        ]
    )


def test_peaks():
    points, sigma = torch.tensor([[3.2, 1.7], [-1.0, 5.5]]), torch.tensor([[1.0, 2.0], [1.5, 0.5]])
    maps = outer(*peak_vectors(points, sigma, (5, 7)))
    for m, (x, y), (sx, sy) in zip(maps, points.tolist(), sigma.tolist(), strict=True):
        torch.testing.assert_close(m, over_the_grid(x, y, sx, sy, 5, 7))


def test_a_point_on_a_cells_centre_has_peak_one():
    assert outer(*peak_vectors(torch.tensor([[2.5, 3.5]]), torch.ones(1, 2), (6, 6)))[0, 3, 2] == 1


def test_probabilities_sum_to_one_wherever_the_point_is():
    points = torch.tensor([[3.0, 3.0], [-500.0, 3.0], [1e4, -1e4]])
    maps = outer(*probability_vectors(points, torch.ones(3, 2), (8, 8)))
    torch.testing.assert_close(maps.sum((1, 2)), torch.ones(3))
    plain = over_the_grid(3, 3, 1, 1, 8, 8)
    torch.testing.assert_close(maps[0], plain / plain.sum())
    assert maps[1].sum(0)[0] == 1
    assert maps[2][0, 7] == 1  # the nearest cell


@pytest.mark.parametrize("sigma", [2, 2.0, torch.tensor(2.0), torch.full((4, 3), 2.0), torch.full((4, 3, 2), 2.0)])
def test_forms_of_sigma(sigma):
    assert torch.equal(sigma_per_axis(sigma, torch.zeros(4, 3, 2)), torch.full((4, 3, 2), 2.0))


@pytest.mark.parametrize("sigma", [0, -1.0, float("nan"), float("inf"), torch.tensor([[1.0, 0.0, 1.0]] * 4)])
def test_sigma_is_positive(sigma):
    with pytest.raises(OptionError, match="finite numbers above 0"):
        sigma_per_axis(sigma, torch.zeros(4, 3, 2))


def test_sigma_fits_the_points():
    with pytest.raises(ShapeError, match="one per point"):
        sigma_per_axis(torch.ones(3), torch.zeros(4, 3, 2))
