"""Shares of correct points: by hand at exact thresholds, what must not change them, and what is refused."""

from __future__ import annotations

import pytest
import torch

from isotherm.errors import OptionError, ShapeError
from isotherm.metrics.pck import nme, pck, pck_area

NAN = float("nan")


def drawn(seed=0):
    """Errors with gaps, and scales, float64."""
    random = torch.Generator().manual_seed(seed)
    errors = 10 * torch.rand(20, 4, generator=random, dtype=torch.float64)
    return errors.masked_fill(torch.rand(20, 4, generator=random) < 0.3, NAN), 20 + 30 * torch.rand(
        20, generator=random, dtype=torch.float64
    )


def test_by_hand_the_threshold_itself_is_correct():
    # binary fractions, so that the threshold is met exactly
    errors = torch.tensor([[4.0, 4.25, NAN], [8.0, 1.0, NAN]], dtype=torch.float64)
    got = pck(
        errors, torch.tensor([16.0, 16.0], dtype=torch.float64), torch.tensor([0.0, 0.25, 0.5], dtype=torch.float64)
    )
    assert got[:, :2].tolist() == [[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]]
    assert got[:, 2].isnan().all()


def test_area_and_nme_by_hand():
    # errors of 0, half-way and beyond: 1, 1/2 and 0
    got = pck_area(torch.tensor([[0.0], [1.0], [5.0]]), torch.full((3,), 10.0), most=0.2)
    assert got.tolist() == pytest.approx([0.5])
    assert nme(torch.tensor([[2.0, NAN], [NAN, NAN]]), torch.tensor([8.0, NAN]))[0].item() == 0.25
    assert nme(torch.tensor([[2.0, NAN], [NAN, NAN]]), torch.tensor([8.0, NAN]))[1].isnan()


def test_the_unit_and_the_order_of_objects_change_nothing():
    errors, scale = drawn()
    thresholds = torch.linspace(0, 0.5, 9, dtype=torch.float64)
    before, area = pck(errors, scale, thresholds), pck_area(errors, scale)
    assert torch.equal(pck(errors * 8, scale * 8, thresholds), before)
    order = torch.randperm(20)
    assert torch.equal(pck(errors[order], scale[order], thresholds), before)
    assert torch.allclose(pck_area(errors[order] * 8, scale[order] * 8), area, atol=1e-14)
    assert bool((before.diff(dim=0) >= 0).all())
    assert bool((before[0] < before[-1]).all())


@pytest.mark.parametrize(
    ("errors", "scale", "error", "message"),
    [
        (torch.ones(2, 3), torch.ones(3), ShapeError, r"expected \(m, n\) and \(m,\)"),
        (torch.ones(2), torch.ones(2), ShapeError, r"expected \(m, n\) and \(m,\)"),
        (torch.ones(2, 1), torch.tensor([1.0, 0.0]), OptionError, r"scale of row 1 is 0\.0"),
        (torch.ones(2, 1), torch.tensor([NAN, 1.0]), OptionError, "scale of row 0 is nan"),
        (torch.ones(1, 1), torch.tensor([torch.inf]), OptionError, "scale of row 0 is inf"),
    ],
)
def test_bad_input(errors, scale, error, message, unchecked):
    for figure in (
        lambda: pck(errors, scale, torch.ones(1)),
        lambda: pck_area(errors, scale),
        lambda: nme(errors, scale),
    ):
        with pytest.raises(error, match=message):
            figure()
