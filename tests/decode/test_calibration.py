"""Temperatures, covariance scales, coverage and calibration error beside what was put in."""

from __future__ import annotations

import math

import pytest
import torch

from isotherm.decode import (
    coverage,
    expected_calibration_error,
    fit_covariance_scale,
    fit_temperature,
    least_squares,
    scale_covariance,
)
from isotherm.errors import KindError, OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.ops.gaussian import axis_exponent, outer, peak_vectors
from isotherm.points import Points, State


def logits_at(points, sigma, size):
    wide = torch.full_like(points[..., 0], sigma)
    x, y = axis_exponent(points[..., 0], wide, size[1]), axis_exponent(points[..., 1], wide, size[0])
    return y[..., :, None] + x[..., None, :]


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
def test_the_temperature_that_was_put_in_is_found(temperature):
    truth = 4 + 16 * torch.rand(6, 2, 2, dtype=torch.float64)
    sharp = logits_at(truth, 2.0, (24, 24)) * temperature
    assert fit_temperature(sharp, Points(truth), sigma_cells=2.0) == pytest.approx(temperature, rel=1e-4)


def test_the_temperature_is_where_the_cross_entropy_is_least():
    truth = 4 + 16 * torch.rand(8, 1, 2, dtype=torch.float64)
    logits = 3 * logits_at(truth + 0.8 * torch.randn_like(truth), 2.0, (24, 24))
    found = fit_temperature(logits, Points(truth), sigma_cells=2.0)
    target = logits_at(truth, 2.0, (24, 24)).flatten(-2).softmax(-1)

    def loss(t):
        return -float((target * (logits / t).flatten(-2).log_softmax(-1)).sum(-1).mean())

    assert loss(found) < min(loss(found * 1.02), loss(found / 1.02))
    assert found > 3  # the maps are off their places, so they must be wider still


def test_unknown_places_take_no_part_and_frames_are_gone_through():
    truth = 4 + 16 * torch.rand(2, 3, 2)
    logits, frame = 2 * logits_at(truth, 2.0, (24, 24)), Frame.resize((96, 96), (24, 24))
    logits[:, 1] = torch.randn(2, 24, 24)
    state = torch.tensor([[1, 0, 1], [2, 4, 3]])
    found = fit_temperature(logits, Points(truth * 4, state=state), frame, sigma_cells=2.0)
    assert found == pytest.approx(2.0, rel=1e-3)


def gaussian_errors(n, factor):
    half = torch.tensor([[2.0, 0.0], [0.9, 0.5]], dtype=torch.float64)
    xy = torch.rand(n, 2, dtype=torch.float64) * 100
    error = torch.randn(n, 2, dtype=torch.float64) @ half.T * math.sqrt(factor)
    return Points(xy + error, covariance=(half @ half.T).expand(n, 2, 2)), Points(xy)


def test_the_scale_that_was_put_in_is_found():
    points, truth = gaussian_errors(40000, 2.5)
    scale = fit_covariance_scale(points, truth)
    assert scale == pytest.approx(2.5, rel=0.03)
    assert coverage(points, truth) < 0.75
    assert coverage(scale_covariance(points, scale), truth) == pytest.approx(0.95, abs=0.01)
    assert coverage(scale_covariance(points, scale), truth, level=0.5) == pytest.approx(0.5, abs=0.01)


def test_by_hand():
    points = Points(torch.zeros(3, 2), covariance=torch.diag(torch.tensor([4.0, 1.0])).expand(3, 2, 2))
    truth = Points(torch.tensor([[2.0, 0.0], [0.0, 3.0], [torch.nan, 0.0]]))
    assert fit_covariance_scale(points, truth) == pytest.approx((1 + 9) / 2 / 2)
    assert coverage(points, truth) == 0.5


def test_least_squares_covers_as_often_as_it_says():
    truth = 8 + 16 * torch.rand(400, 1, 2)
    maps = outer(*peak_vectors(truth, torch.full_like(truth, 2.0), (32, 32))) + 0.05 * torch.randn(400, 1, 32, 32)
    points = least_squares(maps, sigma_cells=2.0)
    assert coverage(points, Points(truth)) == pytest.approx(0.95, abs=0.035)
    assert fit_covariance_scale(points, Points(truth)) == pytest.approx(1.0, abs=0.15)


def test_calibration_error_by_hand():
    xy = torch.tensor([[0.0, 0.0], [0.0, 0.0], [5.0, 0.0], [torch.nan, torch.nan], [9.0, 9.0]])
    points = Points(xy, score=torch.tensor([0.9, 1.0, 0.8, 0.0, 0.3]))
    truth = Points(torch.zeros(5, 2), state=torch.tensor([1, 1, 1, 1, State.UNLABELLED]))
    found = expected_calibration_error(points, truth, within=1.0, bins=2)
    assert found.count.tolist() == [1, 3]
    assert found.hit.tolist() == pytest.approx([0, 2 / 3])
    assert found.error == pytest.approx(3 / 4 * (0.9 - 2 / 3))


def test_scores_that_are_chances_have_no_error():
    score = torch.rand(20000)
    hit = torch.rand(20000) < score
    points = Points(torch.where(hit[:, None], 0.0, 9.0).expand(-1, 2).contiguous(), score=score)
    assert expected_calibration_error(points, Points(torch.zeros(20000, 2)), within=1.0).error < 0.02


def test_mistakes():
    points, truth = gaussian_errors(4, 1.0)
    with pytest.raises(ShapeError, match="no covariance"):
        coverage(truth, truth)
    with pytest.raises(ShapeError, match="same points"):
        coverage(points, Points(torch.zeros(3, 2)))
    with pytest.raises(ShapeError, match="none of the true places"):
        coverage(points, Points(truth.xy, state=torch.zeros(4, dtype=torch.long)))
    with pytest.raises(OptionError, match="between 0 and 1"):
        coverage(points, truth, level=95.0)
    with pytest.raises(OptionError, match="expected 0 to 1"):
        expected_calibration_error(Points(truth.xy, score=torch.full((4,), 3.0)), truth, within=1.0)
    with pytest.raises(ShapeError, match="no score"):
        expected_calibration_error(truth, truth, within=1.0)
    with pytest.raises(ShapeError, match="one point per map"):
        fit_temperature(torch.zeros(3, 8, 8), truth, sigma_cells=2.0)
    with pytest.raises(KindError, match="least_squares"):
        fit_temperature(Heatmap(torch.zeros(4, 8, 8), Frame.identity((8, 8)), "peak"), truth, sigma_cells=2.0)
