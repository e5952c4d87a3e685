"""Levels of regions that hold the truth as often as they say, whatever the maps are wrong about."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from isotherm.decode import credible_region, fit_region_level
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.points import Points
from isotherm.targets import gaussian
from rigs.breadth import wide


@cache
def maps_and_places(count, *, believed, true, seed):
    """Maps of one width, and places that lie about their middles by another."""
    generator = torch.Generator().manual_seed(seed)
    middles = 12 + 16 * torch.rand(count, 1, 2, generator=generator)
    maps = gaussian(middles, (40, 40), sigma_cells=believed, kind="probability").heatmap.values
    places = middles + true * torch.randn(count, 1, 2, generator=generator)
    return maps, Points(places.clamp(0.1, 39.9))


def held(maps, places, level):
    region = credible_region(maps, level=level, kind="probability")
    x, y = places.xy[:, 0].floor().long().unbind(-1)
    return float(region[torch.arange(len(maps)), 0, y, x].float().mean())


# of maps that are too wide, and too narrow, at either end of the levels
@pytest.mark.parametrize(
    ("level", "true"),
    [(0.5, 1.5), (0.95, 4.0), *wide([(0.5, 4.0), (0.8, 1.5), (0.8, 4.0), (0.9, 1.5), (0.9, 4.0), (0.95, 1.5)])],
)
def test_other_maps_hold_the_truth_as_often(true, level):
    fitted = fit_region_level(*maps_and_places(3000, believed=3.0, true=true, seed=0), level=level, kind="probability")
    maps, places = maps_and_places(3000, believed=3.0, true=true, seed=1)
    assert held(maps, places, fitted) == pytest.approx(level, abs=0.03)
    assert abs(held(maps, places, level) - level) > 0.03  # as they come they do not


def test_places_by_hand():
    """Four places in the likeliest cell, three in the second, two in the third: 0, 0.5 and 0.8 lie before them."""
    maps = torch.tensor([[[0.5, 0.3, 0.2]]]).expand(9, 1, 1, 3)
    places = Points(torch.tensor([[[0.5, 0.5]]] * 4 + [[[1.5, 0.5]]] * 3 + [[[2.5, 0.5]]] * 2))
    fitted = [fit_region_level(maps, places, level=level, kind="probability") for level in (0.4, 0.5, 0.7, 0.8, 0.9)]
    assert fitted == pytest.approx([0, 0.5, 0.5, 0.8, 0.8], abs=1e-5)
    cells = [int(credible_region(maps[:1], level=level, kind="probability").sum()) for level in fitted]
    assert cells == [1, 2, 2, 3, 3]


def test_frames_logits_and_places_that_are_not_known():
    maps, places = maps_and_places(200, believed=3.0, true=3.0, seed=2)
    plain = fit_region_level(maps, places, level=0.8, kind="probability")
    frame = Frame.stack([Frame.resize((80, 80), (40, 40))] * 200)
    read = Heatmap(maps.clamp(min=1e-30).log(), frame, "logits")
    assert fit_region_level(read, Points(places.xy * 2), level=0.8) == pytest.approx(plain, abs=1e-5)
    xy = torch.cat([places.xy, torch.full((5, 1, 2), torch.nan)])
    more = torch.cat([maps, maps[:5]])
    assert fit_region_level(more, Points(xy), level=0.8, kind="probability") == plain


def test_what_cannot_be_promised_is_refused():
    maps, places = maps_and_places(18, believed=3.0, true=3.0, seed=3)
    with pytest.raises(
        OptionError, match=r"there are 18 maps whose place is known; a level of 0\.95 needs at least 19"
    ):
        fit_region_level(maps, places, level=0.95, kind="probability")
    with pytest.raises(OptionError, match="level is 1"):
        fit_region_level(maps, places, level=1.0, kind="probability")
    with pytest.raises(ShapeError, match="expected one point per map"):
        fit_region_level(maps[:3], places, level=0.5, kind="probability")
