"""Where the values come from that a vision tower is fed: by hand, and by changing a picture in every family."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from isotherm.errors import MethodError
from isotherm.frame import Frame
from isotherm.models.transformers.vlm.coded import cells_of_values
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.vlm.fine_cells import fine_cells
from isotherm.vlm.tokens import PictureTokens, TokenGrid
from rigs.breadth import wide
from rigs.vlm_kin import EVERY, opened_or_none

SIZE = (252, 437)


def cells(size, rows, columns) -> PictureTokens:
    frame = Frame.resize(size, (rows, columns))
    return PictureTokens(size, (TokenGrid(frame, torch.arange(rows * columns).view(rows, columns)),), rows * columns)


def resized(*size: int):
    """A processor that does nothing else; values from -2 to 2, with a border that is made of no pixel."""

    def feed(pictures):
        there = [torch.from_numpy(p).permute(2, 0, 1).float() / 255 * 4 - 2 for p in pictures]
        made = [F.interpolate(p[None], size, mode="bicubic", antialias=True, align_corners=False) for p in there]
        return F.pad(torch.cat(made), (2, 0, 0, 1), value=-2.0)

    return feed


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (5, 8), (60, 100), (256, 256), (256, 2)])
@pytest.mark.parametrize("fed", [(300, 400), (97, 150), (640, 800)])
def test_values_lie_in_the_cells_that_they_are_made_from(rows, columns, fed):
    size, (h, w) = (300, 400), fed
    of = cells_of_values(resized(*fed), [size], [cells(size, rows, columns)]).view(1, 3, h + 1, w + 2)
    assert (of[..., -1, :] == -1).all()
    assert (of[..., :2] == -1).all()
    y, x = ((torch.arange(n) + 0.5) / n * count for n, count in ((h, rows), (w, columns)))
    inner = of[0, 0, :-1, 2:]
    off = torch.maximum(
        (inner // columns + 0.5 - y[:, None]).abs() - 0.5, (inner % columns + 0.5 - x[None, :]).abs() - 0.5
    ).clamp(min=0)
    assert float(off.max()) < 2.0
    assert float(off.double().quantile(0.99)) < 0.6
    assert torch.equal(of[0, 1], of[0, 2])


def test_pictures_of_a_prompt_have_cells_of_their_own():
    sizes = [(40, 60)] * 20
    places = [cells(size, 4, 5 + i % 2) for i, size in enumerate(sizes)]
    of = cells_of_values(resized(80, 120), sizes, places).view(20, -1)
    first = np.cumsum([0, *(place.count for place in places)])
    for i, part in enumerate(of):
        assert set(part.unique().tolist()) == {-1, *range(first[i], first[i + 1])}


def test_frames_of_a_moment_share_its_cells():
    sizes = [(40, 60)] * 5
    of = cells_of_values(resized(40, 60), sizes, [cells((40, 60), 2, 3)] * 3).view(5, -1)
    for i, part in enumerate(of):
        assert set(part.unique().tolist()) == {-1, *range(6 * (i // 2), 6 * (i // 2) + 6)}


def test_a_processor_whose_values_vary_in_number_is_refused():
    def feed(pictures):
        return torch.zeros(int(pictures[0].max()) + 1)

    with pytest.raises(MethodError, match="makes 256 values of one picture and 1 of another of the same size"):
        cells_of_values(feed, [(8, 8)], [cells((8, 8), 2, 2)])


HERE = ["qwen2_5_vl", "gemma3_crops", "llava", "llava_onevision", "idefics3", "internvl", "mistral3", "granite_docling"]
"""Merged blocks in a list, crops, a middle cut out, letterboxed tiles, tiles, two that are measured."""

LONG = {"inkling_mm_model", "inkling2", "deepseek_ocr2"}
"""This picture is too long for their test models."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*HERE, *wide(n for n in EVERY if n not in HERE)])
def test_pixels_that_change_change_values_of_their_own_cells(name):
    """In every family: a square of a picture is turned into its negative, and values move that are placed there."""
    view = opened_or_none(name)
    if not isinstance(view, TransformersVlm) or view.placeless or name in LONG:
        return  # it is refused, or explained by occlusion alone
    random = np.random.default_rng(0)
    picture = random.integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    prompt = view.ask([picture], "how many red ?")
    places = fine_cells(prompt)
    frame, of = places[0].grids[0].frame, view._cells_of_values(prompt, places)
    before = view.pixels(prompt).float().flatten()
    for _ in range(4):
        y, x = int(random.integers(0, 212)), int(random.integers(90, 300))  # LLaVA sees the middle alone
        changed = picture.copy()
        changed[y : y + 40, x : x + 40] = 255 - changed[y : y + 40, x : x + 40]
        moved = (view.pixels(view.ask([changed], "how many red ?")).float().flatten() - before).abs()
        at = of[moved > 0.3 * moved.max().clamp(min=1e-6)]
        assert (at >= 0).all()
        centres = torch.stack([at % frame.size[1] + 0.5, at // frame.size[1] + 0.5], -1).double()
        points = frame.points_to_source(centres)
        off = torch.maximum(torch.tensor([x, y]) - points, points - torch.tensor([x + 40, y + 40]))
        assert float((off / frame.cell_size).max()) < 3.0
