"""Panels, grids and sheets: everything in its place, on the scale that it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.draw import Scale, Style, comparison_grid, contact_sheet, overlay, side_by_side
from isotherm.draw.overlay import map_tile
from isotherm.draw.picture import fit
from isotherm.draw.sheet import Tile, arrange
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap

SOURCE = (60, 90)


def of(peak=1.0, label="", source=SOURCE, **fields) -> Heatmap:
    values = torch.tensor([[0.1, 0.2, 0.1], [0.3, 1.0, 0.2]]) * peak
    return Heatmap(values, Frame.resize(source, (2, 3)), "relevance", label=label, **fields)


def photo(source=SOURCE) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(60, 200, (*source, 3), dtype=np.uint8))


def find(whole: Image.Image, part: Image.Image) -> tuple[int, int]:
    """Where a part lies in a picture, exactly; fails where it does not."""
    a, b = np.asarray(whole).astype(int), np.asarray(part).astype(int)
    h, w = b.shape[:2]
    for y, x in zip(*np.nonzero((a[: a.shape[0] - h + 1, : a.shape[1] - w + 1] == b[0, 0]).all(-1)), strict=True):
        if (a[y : y + h, x : x + w] == b).all():
            return int(x), int(y)
    raise AssertionError("the part is not there")


def test_fit_keeps_the_shape():
    assert fit((60, 90), (300, 300)) == (200, 300)
    assert fit((3000, 10), (300, 300)) == (300, 1)


def test_arrange_puts_tiles_where_their_rows_and_columns_meet():
    tiles = [
        [Tile(Image.new("RGB", (20 + 10 * c, 30 + 5 * r), (10 * r, 50 * c, 99)), "") for c in range(3)]
        for r in range(2)
    ]
    out = arrange(tiles, font_size=12)
    spots = [[find(out, t.image) for t in row] for row in tiles]
    assert [s[1] for s in spots[0]] == [spots[0][0][1]] * 3
    assert spots[1][0][1] > spots[0][0][1] + 30
    for above, below in zip(*spots, strict=True):
        assert above[0] == below[0]


def test_side_by_side_holds_picture_overlay_and_map():
    picture, heatmap = photo(), of()
    out = side_by_side(heatmap, picture, side=90, title="t", footer="f")
    x0, y0 = find(out, picture)
    x1, y1 = find(out, overlay(heatmap, picture))
    x2, y2 = find(out, map_tile(heatmap, SOURCE, scale=Scale(0.0, 1.0), style=Style()))
    assert x0 < x1 < x2
    assert y0 == y1 == y2
    assert y0 > 30  # below the title and the headings


def test_a_grid_shares_scales_as_asked():
    maps = [[of(1.0, "a"), of(4.0, "a")], [of(2.0, "b"), None]]
    picture = photo()

    def at(share, r, c, scale):
        out = comparison_grid(maps, picture, share=share, side=90, column_names=["x", "y"])
        find(out, overlay(maps[r][c], picture, scale=Scale(0.0, scale)))

    at("none", 0, 0, 1.0)
    at("rows", 0, 0, 4.0)
    at("columns", 0, 0, 2.0)
    at("all", 1, 0, 4.0)
    with pytest.raises(AssertionError):
        at("all", 0, 0, 3.0)


def test_a_heatmap_of_several_is_a_row():
    several = Heatmap(torch.rand(3, 2, 3), Frame.resize(SOURCE, (2, 3)), "relevance")
    out = comparison_grid([several], photo(), side=90)
    for single in several:
        find(out, overlay(single, photo()))


def test_a_silent_map_is_there_and_says_so():
    out = comparison_grid([[of(), of(-1.0)]], photo(), side=90)
    assert out.width > 3 * 90


def test_a_contact_sheet_shows_all_and_keeps_their_shapes():
    tall = (90, 30)
    pictures = [photo(), photo(tall), photo()]
    out = contact_sheet(pictures, [of(), of(source=tall), None], captions=["one", "two", "three"], columns=2, side=90)
    x0, y0 = find(out, overlay(of(), pictures[0]))
    x1, _ = find(out, overlay(of(source=tall), pictures[1]))
    assert x0 < x1
    two = contact_sheet(pictures[:2], side=90, columns=1)
    assert two.height > two.width
    assert y0 < 40


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: contact_sheet([]), ShapeError, "at least one"),
        (lambda: contact_sheet([photo()], [None, None]), ShapeError, "2 heatmaps"),
        (lambda: contact_sheet([photo()], columns=0), OptionError, "at least 1"),
        (lambda: contact_sheet([photo((60, 91))], [of()]), ShapeError, "60 x 91"),
        (lambda: comparison_grid([], photo()), ShapeError, "at least one heatmap"),
        (lambda: comparison_grid([[None]], photo()), ShapeError, "at least one heatmap"),
        (lambda: comparison_grid([[of()]], [photo(), photo()]), ShapeError, "2 pictures"),
        (lambda: comparison_grid([[of()]], photo(), column_names=["a", "b"]), ShapeError, "2 column names"),
        (lambda: comparison_grid([[of()]], photo(), row_names=["a", "b"]), ShapeError, "2 row names"),
        (lambda: comparison_grid([[of()]], photo((61, 90))), ShapeError, "61 x 90"),
        (
            lambda: comparison_grid([[Heatmap(torch.rand(2, 2, 3), Frame.resize(SOURCE, (2, 3)), "peak")]], photo()),
            ShapeError,
            "Index it",
        ),
        (
            lambda: side_by_side(Heatmap(torch.rand(2, 2, 3), Frame.resize(SOURCE, (2, 3)), "peak"), photo()),
            ShapeError,
            "Index it",
        ),
    ],
)
def test_mistakes_are_explained(call, error, words):
    with pytest.raises(error, match=words):
        call()
