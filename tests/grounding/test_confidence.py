"""The curve from shares to chances: as large as what is right, rising, and none where there is nothing to learn."""

from __future__ import annotations

import math

import pytest
import torch

from isotherm.errors import OptionError, ShapeError
from isotherm.grounding.confidence import Logistic, fit_logistic


def test_the_chance_by_hand():
    curve = Logistic(2.0, math.log(3))
    assert curve.chance(torch.tensor([0.5, 0.75])).tolist() == pytest.approx([0.75, 27 / 28])
    assert curve.chance(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([0.0, 1.0], abs=1e-5)


def test_a_curve_is_found_back():
    generator = torch.Generator().manual_seed(0)
    share = torch.rand(20000, generator=generator)
    hit = torch.rand(20000, generator=generator) < Logistic(1.5, 1.0).chance(share)
    curve = fit_logistic(share, hit)
    assert (curve.slope, curve.offset) == (pytest.approx(1.5, rel=0.05), pytest.approx(1.0, rel=0.08))


def test_what_is_always_right_or_never_related_is_bounded():
    share = torch.linspace(0.1, 0.9, 50)
    always = fit_logistic(share, torch.ones(50, dtype=torch.bool))
    assert always is None or float(always.chance(share).min()) > 0.9
    assert fit_logistic(share, share < 0.5) is None
    with pytest.raises(ShapeError, match=r"share has shape \(0,\)"):
        fit_logistic(torch.zeros(0), torch.zeros(0, dtype=torch.bool))
    with pytest.raises(OptionError, match="slope is -1"):
        Logistic(-1.0, 0.0)
