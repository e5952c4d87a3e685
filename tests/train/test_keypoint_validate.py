"""Judging: COCO's figures over pictures with several objects, ellipses that are made as large as the errors, best and worst."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from isotherm import targets
from isotherm.data.keypoint_cache import cache_keypoints
from isotherm.data.keypoints import KeypointRecord, KeypointSet
from isotherm.decode import coverage, scale_covariance
from isotherm.frame import Frame
from isotherm.train.keypoint_model import Objective
from isotherm.train.keypoint_validate import calibrated, judge, matched, ranked, write_extremes


class Knows(nn.Module):
    """A model that has been told where the points are, with the ends of the line the other way round and an error per picture."""

    def __init__(self, points, frame, off):
        super().__init__()
        self.unused, self.points, self.frame, self.off, self.at = nn.Parameter(torch.zeros(1)), points, frame, off, 0

    def output_frame(self, frame):
        return frame.to_grid(stride=2)

    def forward(self, pictures):
        rows = slice(self.at, self.at + len(pictures))
        self.at += len(pictures)
        xy = (self.points[rows] + self.off[rows, None])[:, [1, 0]]
        maps = targets.gaussian(
            xy, self.output_frame(self.frame[rows].resized((32, 32))), sigma_cells=1.5, kind="probability"
        ).heatmap.values
        return maps.double().clamp(min=1e-30).log().float()


@pytest.fixture
def birds(tmp_path):
    """Three pictures with two birds each, boxes around them, one without a labelled tail."""
    random = np.random.default_rng(0)
    records = []
    for k in range(3):
        Image.fromarray(random.integers(0, 255, (80, 120, 3), dtype=np.uint8)).save(tmp_path / f"{k}.png")
        for left in (0.0, 60.0):
            points = torch.tensor([[left + 15.0 + k, 30.0], [left + 45.0, 52.0]])
            records.append(
                KeypointRecord(
                    picture=tmp_path / f"{k}.png",
                    points=points,
                    state=torch.tensor([1, 1]),
                    box=(left + 2, 10.0, left + 58, 70.0),
                    area=2500.0,
                    name=f"{k} {left}",
                )
            )
    return KeypointSet(records=records, names=("p0", "p1"), exchangeable=((0, 1),), lines={"length": (0, 1)})


def judged_with(birds, tmp_path, off):
    data = cache_keypoints(birds, tmp_path / "cache", side=32)
    judged = judge(
        Knows(data.points, data.frame, off), Objective(sigma=1.5), data, birds, size=(32, 32), batch=4, draws=50
    )
    return judged, data


def test_a_model_that_knows_is_perfect_whatever_the_order(birds, tmp_path):
    judged, _ = judged_with(birds, tmp_path, torch.zeros(6, 2))
    assert judged.report.rows[0].figures["point_err_px"].mean < 0.02
    assert judged.precision.ap == pytest.approx(1)
    assert judged.precision.ar == pytest.approx(1)
    assert judged.to_json()["oks_ap"]["ap50"] == pytest.approx(1)
    assert "OKS with true boxes: AP 1.000" in judged.table()


def test_errors_lower_precision_and_rank_the_pictures(birds, tmp_path):
    off = torch.zeros(6, 2)
    off[3], off[1] = torch.tensor([9.0, 0.0]), torch.tensor([0.0, 3.0])
    judged, data = judged_with(birds, tmp_path, off)
    assert judged.errors.tolist() == pytest.approx([0, 3, 0, 9, 0, 0], abs=0.05)
    assert ranked(judged.errors)[-2:] == [1, 3]
    assert 0.5 < judged.precision.ap < 0.95
    # k = 0.1: exp(-81 / (2 2500 0.01)) = .198 is a miss at every threshold, exp(-9 / 50) = .835 a hit up to .80
    hits = [sum(oks >= t - 1e-9 for oks in [1, 0.835, 1, 0.198, 1, 1]) / 6 for t in np.linspace(0.5, 0.95, 10)]
    assert judged.precision.ar == pytest.approx(np.mean(hits), abs=1e-6)
    written = write_extremes(judged, data, birds, tmp_path / "pictures", count=2, command="isotherm eval")
    assert [f.name for f in written] == ["best-1.jpg", "best-2.jpg", "worst-1.jpg", "worst-2.jpg"]


def test_ellipses_are_made_as_large_as_the_errors_are(birds, tmp_path):
    random = torch.Generator().manual_seed(0)
    judged, data = judged_with(birds, tmp_path, 6 * torch.randn(6, 2, generator=random))
    scale, ellipses = calibrated(judged, data, birds)
    wider, data = judged_with(birds, tmp_path, 12 * torch.randn(6, 2, generator=torch.Generator().manual_seed(0)))
    assert calibrated(wider, data, birds)[0] == pytest.approx(4 * scale, rel=0.05)
    found, truth = matched(judged, data, birds)
    # half the mean squared distance in units of the scaled covariance is one: that is what calibrated means
    apart = (found.xy - truth.xy).double()
    squared = torch.einsum("mni,mnij,mnj->mn", apart, torch.linalg.inv(found.covariance.double() * scale), apart)
    assert float(squared.mean() / 2) == pytest.approx(1, rel=1e-4)
    assert ellipses is not None
    right = scale_covariance(found, scale * ellipses.factor(0.5))
    assert coverage(right, truth, level=0.5) == pytest.approx(0.5, abs=0.1)
    assert isinstance(data.frame, Frame)
