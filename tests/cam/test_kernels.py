"""Where kernels look: by hand, and how far off the middle random ones are."""

from __future__ import annotations

import pytest
import torch

from isotherm.cam.kernels import energy_centres


def test_by_hand():
    """Squares 1, 4 and 4 in the columns, summed over channels; rows are alike."""
    weight = torch.tensor([1.0, -2.0, 2.0]).expand(5, 2, 4, 3)
    rows, columns = energy_centres(weight)
    assert rows.off == pytest.approx(0)
    assert columns.off == pytest.approx((4 * 0 + 4 * 1 - 1) / 9)
    assert columns.chance == pytest.approx(8 / (6 * weight.numel()))
    assert rows.chance == pytest.approx(15 / (6 * weight.numel()))


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_weights_without_energy_have_no_centre_of_it(value):
    assert [c.off for c in energy_centres(torch.full((2, 2, 3, 3), value))] == [0, 0]


def test_single_weights_are_in_the_middle():
    assert [(c.off, c.chance) for c in energy_centres(torch.rand(4, 4, 1, 1))] == [(0, 0), (0, 0)]


@pytest.mark.parametrize("shape", [(16, 1, 3, 3), (8, 8, 5, 5), (32, 4, 3, 7, 7)])
def test_random_kernels_are_as_far_off_as_is_said(shape):
    generator = torch.Generator().manual_seed(0)
    drawn = [energy_centres(torch.randn(shape, generator=generator)) for _ in range(400)]
    for axis in range(len(shape) - 2):
        variance = sum(one[axis].off ** 2 for one in drawn) / len(drawn)
        assert variance == pytest.approx(drawn[0][axis].chance, rel=0.25)
