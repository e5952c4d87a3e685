"""Figures of single maps: how spread, how large, how uniform."""

from __future__ import annotations

import math

import pytest
import torch

from isotherm.train.map_figures import map_figures


def test_the_entropy_of_a_peak_map_is_that_of_its_weights():
    """A softmax over a map whose peak is 1 would call every such map uniform."""
    maps = torch.zeros(2, 2, 8, 8)
    maps[:, 0, 3, 4] = 1.0  # one cell alone
    maps[:, 1, :4] = 1.0  # half of the cells
    of = map_figures(maps, "peak").by_map()
    assert of[0] == {"max": 1.0, "entropy": 0.0, "uniform": 0.0}
    assert of[1]["entropy"] == pytest.approx(math.log(32) / math.log(64))
    empty = map_figures(-torch.ones(1, 1, 8, 8), "peak").by_map()[0]
    assert empty == {"max": -1.0, "entropy": pytest.approx(1.0), "uniform": 1.0}


def test_the_entropy_of_logits_is_that_of_their_softmax():
    maps = torch.full((1, 2, 8, 8), -50.0)
    maps[0, 0, 0, :4] = 50.0
    of = map_figures(maps, "logits").by_map()
    assert of[0]["entropy"] == pytest.approx(math.log(4) / math.log(64))
    assert of[0]["max"] == 50
    assert [one["uniform"] for one in of] == [0.0, 1.0]


def test_a_gaussian_of_sigma_2_is_half_as_spread_as_a_uniform_map():
    cells = torch.arange(64) + 0.5
    gaussian = torch.exp(-((cells - 30) ** 2) / 8)
    figures = map_figures((gaussian[:, None] * gaussian)[None, None], "peak")
    assert float(figures.entropy) == pytest.approx(0.51, abs=0.005)
