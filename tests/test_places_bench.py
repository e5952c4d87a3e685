"""The benchmark of where cells lie: its judges see a network that looks aside, and parts that are done are not done again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rigs.tiny_views import TinyClassifier, TinyNet

ROOT = Path(__file__).parents[1]


@pytest.fixture
def places(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT)
    from bench import places

    monkeypatch.setattr(places, "WORK", tmp_path)
    monkeypatch.setattr(places, "threads", lambda count: count)
    return places


def test_pasted_objects_show_where_kernels_look(places):
    """A first convolution of stride 2 that looks through its right column alone: windows are a pixel too far left."""
    model = TinyNet()
    model.first.weight.data = model.first.weight.data.sign()
    model.first.weight.data[..., :-1] = 0
    view = TinyClassifier(model, size=(64, 96))
    pictures = [np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)]
    figures = places._pasted(view, pictures, ["first"], 64)["first"]
    right = {how: figures["offset"][how][0][0] for how in places.WAYS}
    assert figures["objects"] == 64
    assert right["kernels"] == pytest.approx(0, abs=0.25)
    assert right["windows"] - right["kernels"] == pytest.approx(-1)
    assert right["gradient"] == pytest.approx(right["kernels"], abs=0.3)


def test_the_middle_value_stands_between_values_in_order(places):
    assert places.median(torch.arange(100.0).flip(0)) == (49.5, 40, 60)


def test_parts_that_are_kept_are_not_measured_again(places, monkeypatch, capsys):
    done = []
    offset = {how: [[0.2, 0.1, 0.3], [-0.5, -0.6, -0.4]] for how in places.WAYS}
    layer = {"stride": 2.0, "offset": offset, "objects": 9}
    parts = {
        "some, seed 0": lambda: done.append(0) or {"layer": layer},
        "insertion": lambda: done.append(1) or {"0": {"layer": dict.fromkeys(places.WAYS, 0.25)}},
    }
    monkeypatch.setattr(places, "_parts", lambda quick, seeds: parts)
    places.main(quick=True)
    places.main(quick=True)
    assert done == [0, 1]
    assert "| some | 2 | 1, at most 0.25 |" in capsys.readouterr().out
