"""Levels: which columns may be left out, because the picture stays as it is there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.draw.blend import LevelMap, blend_deep, blend_image
from isotherm.draw.colour import Ink, Scale, scale_of
from isotherm.draw.style import Style, as_style
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.ops.resample import source_raster

SIZE = (90, 120)


def hill(shift: float = 0.0) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(12) / 12, torch.arange(12) / 12, indexing="ij")
    return torch.exp(-((x - 0.6) ** 2 + (y - 0.4) ** 2) / 0.03) - shift


MAPS = {
    "hill": Heatmap(hill(), Frame.resize(SIZE, (12, 12)), "relevance"),
    "signed": Heatmap(hill() - hill().flip(0), Frame.resize(SIZE, (12, 12)), "relevance", signed=True),
    "negative": Heatmap(-hill(), Frame.resize(SIZE, (12, 12)), "relevance", signed=True),
    "below the scale": Heatmap(hill(5.0), Frame.resize(SIZE, (12, 12)), "logits"),
    "letterboxed": Heatmap(hill(), Frame.letterbox(SIZE, (96, 96)).resized((12, 12)), "relevance"),
    "cropped": Heatmap(hill(), Frame.resize(SIZE, SIZE).cropped((30, 20, 90, 70)).resized((12, 12)), "relevance"),
    "with holes": Heatmap(hill().masked_fill(hill() < 0.01, torch.nan), Frame.resize(SIZE, (12, 12)), "relevance"),
}


STYLES = {"filled": Style(negative="fill"), **{name: as_style(name) for name in ("isotherm", "tint", "even")}}


def ink_of(heatmap: Heatmap, style: str) -> Ink:
    return Ink.of(STYLES[style], scale_of(heatmap), signed=heatmap.signed)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", MAPS)
def test_what_is_left_out_changes_nothing(name, style):
    heatmap, ink = MAPS[name], ink_of(MAPS[name], style)
    levels = LevelMap(heatmap.values, heatmap.frame, scale_of(heatmap), source_raster(heatmap.frame, SIZE))
    alters = ((ink.alpha > 0) | (ink.grey > 0)).numpy()
    for start in range(0, SIZE[0], 7):
        stop = min(start + 7, SIZE[0])
        x0, x1 = levels.columns(start, stop, ink.clear)
        whole = np.concatenate([index.copy() for _, _, index in levels.blocks(start, stop, (0, SIZE[1]))])
        assert not alters[whole[:, :x0]].any()
        assert not alters[whole[:, x1:]].any()
        if x0 < x1:
            part = np.concatenate([index.copy() for _, _, index in levels.blocks(start, stop, (x0, x1))])
            np.testing.assert_array_equal(part, whole[:, x0:x1])


def test_a_narrow_hill_leaves_most_of_the_picture_out():
    heatmap = MAPS["hill"]
    levels = LevelMap(heatmap.values, heatmap.frame, scale_of(heatmap), source_raster(heatmap.frame, SIZE))
    clear = ink_of(heatmap, "isotherm").clear
    widths = [np.diff(levels.columns(y, y + 1, clear))[0] for y in range(SIZE[0])]
    assert min(widths) == 0
    assert 0.2 * SIZE[1] < max(widths) < 0.7 * SIZE[1]


@pytest.mark.parametrize("name", MAPS)
def test_pictures_of_8_and_16_bits_are_the_same_whether_anything_is_left_out_or_not(name):
    heatmap, ink = MAPS[name], ink_of(MAPS[name], "isotherm")
    whole = Ink(ink.colour, ink.alpha, ink.grey)
    whole.__dict__["clear"] = None
    picture = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    rest = {"scale": scale_of(heatmap), "ink": ink}
    for draw, image in ((blend_image, picture), (blend_deep, picture.astype(np.uint16) * 257)):
        one = np.asarray(draw(image, heatmap.values, heatmap.frame, **rest))
        other = np.asarray(draw(image, heatmap.values, heatmap.frame, **{**rest, "ink": whole}))
        np.testing.assert_array_equal(one, other)


def test_the_clear_levels_by_hand():
    ink = Ink(torch.zeros(6, 3), torch.tensor([0.5, 0, 0.1, 0, 0, 0]), torch.tensor([0.0, 0, 0, 0, 0, 0.2]))
    assert ink.clear == (3, 4)
    assert Ink(torch.zeros(3, 3), torch.ones(3), torch.zeros(3)).clear is None
    heatmap = MAPS["hill"]
    first, last = ink_of(heatmap, "isotherm").clear
    assert (first, last) == (1, 103)  # a tenth of 1023 levels
    both = Scale(-1.0, 1.0)
    assert Ink.of(as_style(None), both, signed=True).clear == (1, 563)  # evidence against is lines alone
    assert Ink.of(Style(negative="fill"), both, signed=True).clear == (461, 563)
