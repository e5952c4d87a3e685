"""The report: every figure by hand, groups without a line, intervals, a table that can be read."""

from __future__ import annotations

import json
import math

import pytest
import torch

from isotherm.errors import InputError, OptionError, ShapeError
from isotherm.metrics.keypoint_report import KeypointTruth, errors_of, pck_curve, report_keypoints
from isotherm.metrics.pck import pck
from isotherm.points import Points

NAN = float("nan")
NAMES, GROUPS, LINES = ("w0", "w1", "l0", "l1"), ((0, 1), (2, 3)), {"width": (0, 1), "length": (2, 3)}


def truth():
    """Two pictures of Hawaii with a scale, one of BeetlePalooza without widths and without a scale."""
    points = torch.tensor(
        [
            [[10.0, 10], [20, 10], [5, 5], [5, 25]],
            [[10.0, 10], [20, 10], [5, 5], [5, 25]],
            [[NAN, NAN], [NAN, NAN], [5, 5], [5, 25]],
        ]
    )
    state = torch.tensor([[1, 1, 1, 1], [1, 2, 1, 3], [0, 0, 1, 1]])
    sizes = torch.tensor([[40, 40], [40, 40], [20, 40]])
    return KeypointTruth(
        points,
        state,
        torch.tensor([10.0, 20.0, NAN]),
        torch.tensor([1600.0, 1600, 800]),
        ("Hawaii", "Hawaii", "BeetlePalooza"),
        sizes,
    )


def found(covariance=None):
    """Ends in another order; 1 px off in the first picture, 2 in the second, the length 3 too long in the third."""
    xy = truth().points.nan_to_num(7.0).clone()
    xy[0] += torch.tensor([1.0, 0])
    xy[1] += torch.tensor([0.0, 2])
    xy[2, 3] += torch.tensor([0.0, 3])
    xy = xy[:, [1, 0, 3, 2]]
    return Points(xy, covariance=None if covariance is None else covariance * torch.eye(2).expand(3, 4, 2, 2))


def figures(row):
    return {name: value.mean for name, value in row.figures.items()}


def test_every_figure_by_hand():
    report = report_keypoints(found(covariance=1.0), truth(), names=NAMES, exchangeable=GROUPS, lines=LINES)
    assert [(row.group, row.n) for row in report.rows] == [("all", 3), ("BeetlePalooza", 1), ("Hawaii", 2)]
    whole, palooza, hawaii = map(figures, report.rows)
    assert whole["point_err_px"] == pytest.approx((1 + 2 + 1.5) / 3)
    assert whole["point_err_cm"] == pytest.approx((0.1 + 0.1) / 2)
    assert whole["line_err_px"] == pytest.approx((0 + 0 + 3) / 3)
    assert whole["line_err_cm"] == pytest.approx(0)
    assert math.isnan(palooza["width_line_err_cm"])
    assert math.isnan(palooza["point_err_cm"])
    assert palooza["line_err_px"] == pytest.approx(3)
    assert palooza["predicted_oob_frac"] == pytest.approx(0.25)  # 28 lies below a picture of 20 rows
    assert palooza["oob_points_frac"] == pytest.approx(0.5)  # of the true points, of which two are known
    assert hawaii["oob_points_frac"] == hawaii["predicted_oob_frac"] == 0
    assert whole["pck@0.02"] == pytest.approx((0 + 0 + 0.5) / 3)
    assert whole["pck@0.05"] == pytest.approx((1 + 1 + 0.5) / 3)
    k = (2 * 0.05) ** 2
    assert hawaii["oks"] == pytest.approx((math.exp(-1 / (2 * 1600 * k)) + math.exp(-4 / (2 * 1600 * k))) / 2, rel=1e-6)
    assert whole["inside_95"] == pytest.approx((1 + 1 + 0.5) / 3)  # 3 px lie outside of 2.45
    assert hawaii["nll"] == pytest.approx(math.log(2 * math.pi) + (0.5 + 2) / 2, rel=1e-6)


def test_shares_outside_are_of_predictions_and_of_targets_each():
    """A prediction left of its picture whose target lies inside, and none where the target lies outside."""
    predictions = found()
    predictions.xy[0, 2] = torch.tensor([-5.0, 5.0])
    predictions.xy[2] = torch.full((4, 2), 5.0)
    report = report_keypoints(predictions, truth(), names=NAMES, exchangeable=GROUPS, lines=LINES)
    of = {row.group: figures(row) for row in report.rows}
    assert [of[g]["predicted_oob_frac"] for g in ("Hawaii", "BeetlePalooza")] == [pytest.approx(1 / 8), 0]
    assert [of[g]["oob_points_frac"] for g in ("Hawaii", "BeetlePalooza")] == [0, pytest.approx(0.5)]


def test_intervals_are_those_of_the_pictures():
    row = report_keypoints(found(), truth(), names=NAMES, exchangeable=GROUPS, lines=LINES, resamples=500).rows[0]
    value = row.figures["point_err_px"]
    assert 1 <= value.low < value.mean < value.high <= 2
    assert value.n == 3
    assert "inside_95" not in row.figures


def test_without_groups_the_order_counts():
    assert figures(report_keypoints(found(), truth(), names=NAMES).rows[0])["point_err_px"] > 5


def test_table_and_json():
    report = report_keypoints(found(), truth(), names=NAMES, exchangeable=GROUPS, lines=LINES)
    lines = report.table().splitlines()
    assert lines[0].split("  ")[-1].strip() == "Hawaii (n=2)"
    row = next(line for line in lines if line.startswith("width_line_err_cm"))
    assert "–" in row
    told = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert told["groups"]["BeetlePalooza"]["width_line_err_cm"] == {"mean": None, "low": None, "high": None, "n": 0}


def test_errors_for_ranking_and_the_curve():
    errors = errors_of(found(), truth(), exchangeable=GROUPS)
    assert errors.tolist() == pytest.approx([1.0, 2.0, 1.5])
    thresholds = torch.tensor([0.0, 0.03, 0.06, 0.2])
    curve = pck_curve(found(), truth(), thresholds, exchangeable=GROUPS)
    # ten known points: one exact, four at .025, four at .05, one at 3 / sqrt(800) = .106
    assert curve.tolist() == pytest.approx([0.1, 0.5, 0.9, 1.0])
    assert pck(torch.tensor([[1.0]]), torch.tensor([10.0]), torch.tensor([0.1])).tolist() == [[1.0]]


def test_bad_input(unchecked):
    lost = Points(torch.full((3, 4, 2), NAN))
    with pytest.raises(InputError, match="predicted point 0 of picture 0"):
        report_keypoints(lost, truth(), names=NAMES)
    with pytest.raises(ShapeError, match="there are 2 names"):
        report_keypoints(found(), truth(), names=NAMES[:2])
    with pytest.raises(ShapeError, match="do not fit 3 pictures"):
        KeypointTruth(truth().points, truth().state, torch.ones(2), truth().area, truth().group, truth().sizes)


def alone(covariance, xy=(3.0, 1.0)):
    """One known point at the origin, predicted elsewhere."""
    truth = KeypointTruth(
        torch.zeros(1, 1, 2),
        torch.ones(1, 1, dtype=torch.long),
        torch.tensor([NAN]),
        torch.tensor([100.0]),
        ("",),
        torch.tensor([[9, 9]]),
    )
    points = Points(torch.tensor([[xy]]), covariance=torch.tensor(covariance).view(1, 1, 2, 2))
    return figures(report_keypoints(points, truth, names=("p",)).rows[0])


def test_covariances_by_hand():
    # inverse of ((4, 1), (1, 2)) is ((2, -1), (-1, 4)) / 7, so the squared distance of (3, 1) is (18 - 6 + 4) / 7
    got = alone([[4.0, 1.0], [1.0, 2.0]])
    assert got["nll"] == pytest.approx(8 / 7 + math.log(7) / 2 + math.log(2 * math.pi))
    assert got["inside_95"] == 1
    assert alone([[4.0, -1.0], [-1.0, 2.0]])["nll"] == pytest.approx(14 / 7 + math.log(7) / 2 + math.log(2 * math.pi))
    assert alone([[2.0, 0.0], [0.0, 0.1]], xy=(3.0, 0.0))["inside_95"] == 1
    assert alone([[2.0, 0.0], [0.0, 0.1]], xy=(0.0, 3.0))["inside_95"] == 0
    assert alone([[-9.0, 0.0], [0.0, -9.0]])["inside_95"] == 0


def test_covariances_go_with_their_points():
    covariance = torch.eye(2) * torch.tensor([1.0, 4, 9, 16]).view(1, 4, 1, 1).expand(3, 4, 1, 1)
    points = Points(found().xy, covariance=covariance)
    turned = Points(points.xy[:, [1, 0, 3, 2]], covariance=covariance[:, [1, 0, 3, 2]])
    first, second = (
        figures(report_keypoints(p, truth(), names=NAMES, exchangeable=GROUPS, lines=LINES).rows[0])
        for p in (points, turned)
    )
    assert first == pytest.approx(second, nan_ok=True)
    # the third picture's last point is 3 px off; its own variance is that of the third map, 9
    assert first["inside_95"] == 1


def test_lengths_are_those_of_the_matched_points():
    square = torch.tensor([[[5.0, 5], [15, 5], [5, 35], [35, 35]]])
    known = KeypointTruth(
        square,
        torch.ones(1, 4, dtype=torch.long),
        torch.tensor([10.0]),
        torch.tensor([900.0]),
        ("",),
        torch.tensor([[40, 40]]),
    )
    got = figures(
        report_keypoints(
            Points(square[:, [0, 2, 1, 3]]), known, names=NAMES, exchangeable=((0, 1, 2, 3),), lines=LINES
        ).rows[0]
    )
    assert (got["point_err_px"], got["line_err_px"]) == (0, 0)


def test_the_seed_and_the_number_of_resamples_are_used():
    def interval(**options):
        value = report_keypoints(found(), truth(), names=NAMES, exchangeable=GROUPS, **options).rows[0].figures["oks"]
        return value.low, value.high

    assert interval(resamples=3, seed=1) == interval(resamples=3, seed=1)
    assert len({interval(resamples=3, seed=seed) for seed in range(8)}) > 1
    assert len({interval(resamples=n) for n in (1, 2, 3)}) > 1


def test_what_would_be_guessed_is_refused():
    flat = torch.eye(2).repeat(3, 4, 1, 1)
    flat[1, 2, 0, 1] = NAN
    with pytest.raises(InputError, match="covariance of point 2 of picture 1"):  # the truth's own order
        report_keypoints(Points(found().xy, covariance=flat), truth(), names=NAMES)
    t = truth()
    for area in (0.0, NAN, -1.0):
        with pytest.raises(OptionError, match="the area of picture 1 is"):
            KeypointTruth(t.points, t.state, t.px_per_cm, torch.tensor([9.0, area, 9.0]), t.group, t.sizes)
    with pytest.raises(OptionError, match="called 'all'"):
        KeypointTruth(t.points, t.state, t.px_per_cm, t.area, ("all", "b", "b"), t.sizes)
