"""Entropy and credible regions, by hand and by numbers."""

from __future__ import annotations

import math

import pytest
import torch

from isotherm.decode import cell_probability, credible_region, entropy
from isotherm.errors import KindError, OptionError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.targets import gaussian


def test_entropy_of_a_gaussian():
    maps = gaussian(torch.tensor([[32.0, 32.0]]), (64, 64), sigma_cells=3.0, kind="probability").heatmap.values
    assert float(entropy(maps, kind="probability")) == pytest.approx(math.log(2 * math.pi * math.e * 9), abs=1e-3)
    assert float(entropy(maps.log())) == pytest.approx(float(entropy(maps, kind="probability")), abs=1e-4)
    one = torch.zeros(1, 4, 4)
    one[0, 1, 2] = 1
    assert float(entropy(one, kind="probability")) == 0


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_a_region_holds_its_share_in_the_fewest_cells(level):
    maps = torch.randn(2, 3, 9, 11) * 2
    region = credible_region(maps, level=level)
    probability = cell_probability(maps)
    held = (probability * region).sum((-2, -1))
    assert (held >= level - 1e-5).all()
    least = torch.where(region, probability, 2.0).amin((-2, -1))
    assert (held - least < level).all()  # with one cell less it would not
    assert (torch.where(region, 0.0, probability).amax((-2, -1)) <= least).all()


def test_true_places_are_covered_as_often_as_the_level_says():
    maps = gaussian(torch.tensor([[20.3, 17.8]]), (40, 40), sigma_cells=4.0, kind="probability").heatmap.values
    draws = torch.multinomial(maps.flatten(), 4000, replacement=True)
    for level in (0.5, 0.9):
        share = credible_region(maps, level=level, kind="probability").flatten()[draws].float().mean()
        assert float(share) == pytest.approx(level, abs=0.03)


def test_misuse():
    with pytest.raises(OptionError, match="level is 1"):
        credible_region(torch.zeros(1, 2, 2), level=1.0)
    with pytest.raises(KindError, match="use isotherm"):
        entropy(Heatmap(torch.ones(2, 2), Frame.identity((2, 2)), "peak"))
