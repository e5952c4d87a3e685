"""The report on places: every figure by hand, groups, JSON, and parts that do not fit."""

from __future__ import annotations

import json
import math

import pytest
import torch

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.metrics import report_places

NAN = math.nan
FRAME = Frame.resize((100, 200), (10, 20))  # cells of 10 pixels


def example(**options):
    truth = torch.tensor([[[55.0, 45.0], [NAN, NAN]], [[105.0, 15.0], [195.0, 95.0]]])
    found = torch.tensor([[[58.0, 49.0], [0.0, 0.0]], [[150.0, 15.0], [190.0, 90.0]]])
    logits = torch.zeros(2, 10, 20)
    logits[0, 4, 5] = 50.0  # sure, and right
    chosen = {"logits": logits, "confidence": torch.tensor([0.9, 0.6]), "group": ["pick", "place"]} | options
    return report_places(found, truth, FRAME, resamples=50, **chosen)


def test_every_figure_by_hand():
    report = example(xyz=torch.zeros(2, 3), true_xyz=torch.tensor([[0.0, 3.0, 4.0], [0.0, 0.0, 1.0]]))
    overall, pick, place = ({k: v.mean for k, v in row.figures.items()} for row in report.figures.rows)
    assert pick == pytest.approx(
        {
            "err_px": 5,
            "err_cells": 0.4,
            "hit@1": 1,
            "hit@2": 1,
            "pck@0.02": 0,
            "pck@0.05": 1,
            "pck@0.1": 1,
            "nll": 0,
            "inside_50": 1,
            "inside_80": 1,
            "inside_90": 1,
            "inside_95": 1,
            "err_xyz": 5,
        },
        abs=1e-6,
    )
    assert (place["err_px"], place["err_cells"], place["hit@1"], place["hit@2"]) == pytest.approx((45, 4.5, 0, 1))
    assert place["nll"] == pytest.approx(math.log(100))  # two of 200 cells that are all alike
    assert overall["err_px"] == pytest.approx(25)
    assert report.error_px.tolist() == pytest.approx([5, 45])
    assert report.reliability.error == pytest.approx(0.1 / 2 + 0.6 / 2)
    assert report.coverage(0.5) == 1


def test_shares_of_the_longer_side():
    """9 pixels of 200 are within 5 %, and not of 100, the shorter side; 11 are not."""
    for off, share in ((9.0, 1), (11.0, 0)):
        found = torch.tensor([[[50.0 + off, 50.0]]])
        report = report_places(found, torch.tensor([[[50.0, 50.0]]]), FRAME, resamples=2)
        assert report.figures.rows[0].figures["pck@0.05"].mean == share


def test_as_text_and_json():
    report = example()
    assert "hit@1" in report.table()
    assert "expected calibration error of the confidence: 0.350" in report.table()
    plain = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert set(plain["groups"]) == {"all", "pick", "place"}
    assert plain["calibration_error"] == pytest.approx(0.35)
    assert plain["coverage"][-1] == [0.95, 1.0]
    bare = example(logits=None, confidence=None, group=())
    assert "nll" not in bare.figures.rows[0].figures
    assert len(bare.figures.rows) == 1
    assert bare.to_json()["coverage"] is None


def test_an_answer_that_is_missing_is_a_miss_without_a_distance():
    report = report_places(torch.full((2, 1, 2), NAN), torch.ones(2, 1, 2), FRAME, resamples=10)
    figures = report.figures.rows[0].figures
    assert figures["hit@1"].mean == 0
    assert math.isnan(figures["err_px"].mean)


def test_misuse(unchecked):
    with pytest.raises(OptionError, match="give both, or neither"):
        example(xyz=torch.zeros(2, 3))
    with pytest.raises(ShapeError, match="2 answers, 3 groups"):
        example(group=["a", "b", "c"])
    with pytest.raises(OptionError, match="scores run from"):
        example(confidence=torch.tensor([0.5, 1.5]))
    with pytest.raises(OptionError, match="a group is called 'all'"):
        example(group=["all", "b"])
    with pytest.raises(OptionError, match="made without maps"):
        example(logits=None).coverage(0.5)
