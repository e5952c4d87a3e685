"""Levels of ellipses: by hand, and on held-out errors that no factor of the covariance makes right."""

from __future__ import annotations

import math

import pytest
import torch

from isotherm.decode import EllipseLevels, coverage, fit_covariance_scale, fit_ellipse_levels, scale_covariance
from isotherm.errors import OptionError, ShapeError
from isotherm.points import Points

LEVELS = (0.2, 0.4, 0.6, 0.8, 0.95)


def mistaken(count, seed, share=0.1):
    """Errors as networks have them: Gaussian of the covariance that is told, but for a share that is ten times as far."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.tensor([[2.0, 0.0], [0.9, 0.5]], dtype=torch.float64)
    far = torch.where(torch.rand(count, 1, generator=generator) < share, 10.0, 1.0).double()
    error = far * (torch.randn(count, 2, generator=generator, dtype=torch.float64) @ root.T)
    return Points(error, covariance=(root @ root.T).expand(count, 2, 2)), Points(torch.zeros(count, 2).double())


def test_by_hand():
    rule = EllipseLevels((0.25, 0.5), (1.0, 5.0))
    assert [rule.distance(level) for level in (0.125, 0.25, 0.375, 0.5)] == [0.5, 1, 3, 5]
    assert rule.distance(0.75) == pytest.approx(10)  # twice as many halvings as at 0.5
    assert rule.factor(0.5) == pytest.approx(2.5 / math.log(2))
    assert rule.scaled(2.0).distance(0.5) == 2.5
    assert EllipseLevels(**{k: tuple(v) for k, v in rule.to_json().items()}) == rule


def test_gaussian_errors_need_no_other_level():
    rule = fit_ellipse_levels(*mistaken(20000, 0, share=0.0))
    assert [rule.factor(level) for level in LEVELS] == pytest.approx([1] * 5, abs=0.04)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_level_holds_what_it_says_on_points_that_were_not_fitted(seed):
    rule = fit_ellipse_levels(*mistaken(4000, seed))
    points, truth = mistaken(4000, 100 + seed)
    held = [coverage(scale_covariance(points, rule.factor(level)), truth, level=level) for level in LEVELS]
    assert held == pytest.approx(LEVELS, abs=0.03)
    scaled = scale_covariance(points, fit_covariance_scale(*mistaken(4000, seed)))
    assert coverage(scaled, truth, level=0.4) > 0.8  # the factor that a tail asks for


def test_few_points():
    points, truth = mistaken(3, 0)
    rule = fit_ellipse_levels(points, truth)
    assert rule.shares == (0.25, 0.5, 0.75)
    assert 0 < rule.distance(0.1) < rule.distance(0.99) < math.inf


def test_mistakes():
    _, truth = mistaken(3, 0)
    with pytest.raises(OptionError, match=r"level is 95\.0"):
        EllipseLevels((0.5,), (1.0,)).distance(95.0)
    for shares, distances in (
        ((), ()),
        ((0.5, 0.4), (1.0, 2.0)),
        ((0.5,), (1.0, 2.0)),
        ((0.5, 0.6), (2.0, 1.0)),
        ((1.0,), (2.0,)),
    ):
        with pytest.raises(OptionError, match="shares and distances"):
            EllipseLevels(shares, distances)
    with pytest.raises(ShapeError, match="no covariance"):
        fit_ellipse_levels(truth, truth)
