"""Figures of maps whose truth is known, and what is fitted on them: a temperature, ellipses and when to answer."""

from __future__ import annotations

import pytest
import torch

from isotherm.decode import coverage
from isotherm.frame import Frame
from isotherm.grounding.answer import Calibration
from isotherm.points import Points
from isotherm.train.grounding.validate import GroundingMaps, fit_calibration, judge_maps


def gaussian_maps(n: int, *, side: int = 16, sharpness: float = 1.0, wrong: float = 0.0) -> GroundingMaps:
    """Logits of Gaussians at places that scatter around the truth as the Gaussians say, or, of a share, anywhere; source
    pixels are twice as fine as cells."""
    generator = torch.Generator().manual_seed(0)
    truth = 3 + (side - 6) * torch.rand(n, 2, generator=generator)
    place = truth + 1.5 * torch.randn(n, 2, generator=generator)
    lost = torch.rand(n, generator=generator) < wrong
    place = torch.where(lost[:, None], side * torch.rand(n, 2, generator=generator), place)
    cells = torch.arange(side) + 0.5
    apart = (cells - place[:, :1])[:, None, :].square() + (cells - place[:, 1:])[:, :, None].square()
    width = torch.where(lost, 0.3, 1.0)[:, None, None]  # who is lost is less sure
    logits = -apart / (2 * 1.5**2) * sharpness * width
    frame = Frame.stack([Frame.resize((2 * side, 2 * side), (side, side))] * n)
    return GroundingMaps(logits, frame, 2 * truth[:, None], torch.arange(n))


def test_figures_by_hand():
    maps = gaussian_maps(2)
    logits = torch.full((2, 16, 16), -30.0)
    logits[0, 4, 4], logits[1, 8, 9] = 0.0, 0.0
    maps = GroundingMaps(logits, maps.frame, torch.tensor([[[9.0, 9.0]], [[9.0, 17.0]]]), maps.record, maps.place)
    judged = judge_maps(maps, Calibration())
    assert judged.error_px.tolist() == pytest.approx([0, 10], abs=0.01)
    assert judged.error_cells.tolist() == pytest.approx([0, 5], abs=0.01)
    assert judged.hit.tolist() == [True, False]
    assert judged.nll.tolist() == pytest.approx([0, 30], abs=0.01)
    assert judged.figures()["hit"] == 0.5
    assert judged.figures()["answered_wrong"] == 0.5


def test_the_nearest_of_several_places_counts():
    maps = gaussian_maps(2)
    far = torch.full_like(maps.points, 1.0)
    several = GroundingMaps(maps.logits, maps.frame, torch.cat([far, maps.points], 1), maps.record, maps.place)
    one, two = (judge_maps(m, Calibration()) for m in (maps, several))
    assert torch.allclose(one.error_px, two.error_px)
    assert bool((two.nll <= one.nll).all())
    # and what is fitted to single places leaves these out
    assert fit_calibration(several, sigma_cells=1.5, most_risk=0.5).temperature == 1.0


@pytest.mark.parametrize("sharpness", [1.0, 4.0])
def test_what_is_too_sure_is_made_as_sure_as_it_may_be(sharpness):
    """Maps four times as sharp as their errors get the temperature back that makes them honest."""
    maps = gaussian_maps(400, sharpness=sharpness)
    fitted = fit_calibration(maps, sigma_cells=1.5, most_risk=0.4)
    cooler = fit_calibration(gaussian_maps(400), sigma_cells=1.5, most_risk=0.4)
    assert fitted.temperature / cooler.temperature == pytest.approx(sharpness, rel=0.01)
    judged = judge_maps(maps, fitted)
    peaks = Points(judged.answers.peaks.xy[:, :1], covariance=judged.answers.peaks.covariance[:, :1])
    right = judged.hit
    found = Points(peaks.xy[right], covariance=peaks.covariance[right])
    assert coverage(found, Points(maps.points[right]), level=0.8) == pytest.approx(0.8, abs=0.08)


def test_the_rule_of_abstention_leaves_out_who_is_lost():
    maps = gaussian_maps(600, wrong=0.3)
    fitted = fit_calibration(maps, sigma_cells=1.5, within_cells=4.0, most_risk=0.1)
    figures = judge_maps(maps, fitted).figures()
    assert 0.4 < figures["answered"] < 0.95
    assert figures["answered_wrong"] <= 0.1
    before = judge_maps(maps, Calibration(within_cells=4.0)).figures()
    assert before["answered_wrong"] > 0.15


def test_confidences_are_the_shares_of_hits():
    """Over bins of confidence, as many answers are right as it says; the maps' own shares do not."""
    maps = gaussian_maps(1500, wrong=0.3)
    fitted = fit_calibration(maps, sigma_cells=1.5, within_cells=3.0)
    judged = judge_maps(maps, fitted)
    bare = judge_maps(maps, Calibration(within_cells=3.0)).answers.confidence

    def worst(confidence):
        parts = confidence.argsort().chunk(5)
        return max(abs(float(confidence[p].mean() - judged.hit[p].float().mean())) for p in parts)

    assert worst(judged.answers.confidence) < 0.1
    assert worst(bare) > 0.12
