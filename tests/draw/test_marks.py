"""Lines, peak and edges of a style: where they lie, on which side, and what they leave as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.draw import STYLES, Style, overlay, scale_of
from isotherm.draw import lines as lines_module
from isotherm.draw.lines import Paint, Samples, Stroke, Strokes, circle, dashes, outward
from isotherm.draw.marks import draw_marks, peak_of
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.ops.resample import to_source

SOURCE = (300, 400)


def bump(frame: Frame | None = None, sign: float = 1.0, **fields) -> Heatmap:
    """A smooth hill, low at the edges."""
    frame = Frame.resize(SOURCE, (15, 20)) if frame is None else frame
    h, w = frame.size
    y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    hill = torch.exp(-(((x - 0.53 * w) / (0.2 * w)) ** 2 + ((y - 0.43 * h) / (0.25 * h)) ** 2) / 2)
    return Heatmap(sign * hill, frame, "relevance", **fields)


def samples(m: Heatmap, size: tuple[int, int] = SOURCE) -> Samples:
    return Samples.of(m.values, m.frame, size, scale_of(m))


def lay_on(image: Image.Image, *strokes: Stroke) -> None:
    Strokes(strokes, image.size).lay_on(image)


def signed_area(line: np.ndarray) -> float:
    x, y = line.T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) / 2


def field(m: Heatmap) -> np.ndarray:
    return to_source(m.values.double(), m.frame, outside="edge").numpy()


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_a_line_lies_where_the_map_has_its_value(share):
    m = bump()
    (line,) = samples(m).lines(share * float(m.values.max()))
    line = line[
        (line.min(1) > 2) & (line[:, 0] < SOURCE[1] - 2) & (line[:, 1] < SOURCE[0] - 2)
    ]  # elsewhere it follows the border
    assert len(line) > 100
    at = np.clip((line - 0.5).round().astype(int), 0, [SOURCE[1] - 1, SOURCE[0] - 1])
    np.testing.assert_allclose(field(m)[at[:, 1], at[:, 0]], share * float(m.values.max()), atol=0.02)


def test_outward_is_away_from_what_a_line_encloses():
    m = bump()
    level = 0.5 * float(m.values.max())
    (line,) = samples(m).lines(level)
    assert abs(signed_area(outward(line, 5.0))) > abs(signed_area(line)) > abs(signed_area(outward(line, -5.0)))
    hole = bump(sign=-1.0)  # around a valley, what is enclosed by the higher values lies outside of the inner line
    lines = samples(hole).lines(-level)
    inner = min(lines, key=lambda line: abs(signed_area(line)))
    assert abs(signed_area(outward(inner, 5.0))) < abs(signed_area(inner))
    (below,) = samples(hole).lines(-level, below=True)
    assert abs(signed_area(outward(below, 5.0))) > abs(signed_area(below))


def test_a_line_closes_along_the_edge_of_the_map():
    """A map that is high up to its edge is enclosed, not left open."""
    seen = Frame.identity(SOURCE).cropped((100, 60, 300, 240)).to_grid(stride=20)
    m = Heatmap(torch.ones(seen.size), seen, "relevance")
    (line,) = samples(m).lines(0.5)
    np.testing.assert_allclose(line.min(0), [100, 60], atol=1.0)
    np.testing.assert_allclose(line.max(0), [300, 240], atol=1.0)


def test_holes_and_nothing():
    m = bump()
    values = m.values.clone()
    values[:] = torch.nan
    assert samples(m.with_(values=values)).lines(0.5) == []
    assert samples(m).lines(2.0) == []


def test_dashes_leave_their_gaps_and_stay_on_the_line():
    line = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0]])
    parts = dashes(line, 4.0, 2.0)
    assert [float(np.hypot(*np.diff(p, axis=0).T).sum()) for p in parts] == pytest.approx([4.0, 4.0, 4.0, 2.0])
    np.testing.assert_allclose(parts[1], [[6.0, 0.0], [10.0, 0.0]])


def test_a_stroke_covers_its_width_and_nothing_more():
    image = Image.new("RGB", (60, 60))
    lay_on(image, Stroke([np.array([[10.0, 30.0], [50.0, 30.0]])], 2.0, Paint((255, 255, 255))))
    drawn = np.asarray(image)[..., 0] / 255
    assert drawn[:, 30].sum() == pytest.approx(2.0, abs=0.3)
    assert not drawn[:27].any()
    assert not drawn[34:].any()


def test_tinting_keeps_light_and_shade():
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(60, 200, (200, 300, 3), dtype=np.uint8))
    before = np.asarray(image.convert("L")).astype(int)
    lay_on(image, Stroke([circle(150, 100, 40)], 6.0, Paint((0, 70, 255), tint=True)))
    after = np.asarray(image.convert("L")).astype(int)
    assert np.abs(np.asarray(image).astype(int)[..., 2] - np.asarray(image).astype(int)[..., 0]).max() > 60
    assert np.abs(after - before).mean() < 2
    assert (
        np.percentile(np.abs(after - before), 99) < 25
    )  # where the colour at that lightness is none that a screen has


def test_a_tint_where_lines_are_thick_keeps_light_and_shade_too():
    image = Image.fromarray(np.random.default_rng(0).integers(90, 160, (200, 300, 3), dtype=np.uint8))
    before = np.asarray(image.convert("L")).astype(int)
    lay_on(image, Stroke([circle(150, 100, 40)], 12.0, Paint((128, 128, 128), tint=True)))
    assert np.ptp(np.asarray(image)[100, 190].astype(int)) == 0  # grey
    assert np.abs(np.asarray(image.convert("L")).astype(int) - before).max() <= 1


@pytest.mark.parametrize("width", [2.0, 8.0])
def test_paint_over_paint_is_what_both_do_one_after_the_other(width):
    line = [np.array([[10.0, 30.0], [50.0, 30.0]])]
    below, above = Paint((17, 24, 39), 0.35), Paint((255, 200, 100), 0.7)
    images = [Image.new("RGB", (60, 60), (90, 140, 30)) for _ in range(2)]
    lay_on(images[0], Stroke(line, width, below))
    lay_on(images[0], Stroke(line, width, above))
    lay_on(images[1], Stroke(line, width, above.over(below)))
    centre = [np.asarray(image)[30, 30].astype(int) for image in images]
    np.testing.assert_allclose(centre[0], centre[1], atol=1)
    assert np.abs(centre[0] - [90, 140, 30]).max() > 60


def test_a_later_stroke_hides_an_earlier_one():
    line = [np.array([[10.0, 30.0], [50.0, 30.0]])]
    images = [Image.new("RGB", (60, 60)) for _ in range(2)]
    thin = Stroke(line, 6.0, Paint((0, 0, 255), 0.5))
    lay_on(images[0], Stroke(line, 6.0, Paint((255, 0, 0))), thin)
    lay_on(images[1], thin)
    np.testing.assert_array_equal(np.asarray(images[0]), np.asarray(images[1]))


@pytest.mark.parametrize("width", [1.5, 9.0])
def test_squares_leave_no_trace(width, monkeypatch):
    """Strokes come out the same whatever squares they are laid on in, also where a square is only grazed."""
    rng = np.random.default_rng(1)
    picture = Image.fromarray(rng.integers(0, 256, (150, 230, 3), dtype=np.uint8))
    strokes = [
        Stroke([rng.uniform(-20, 250, (7, 2))], width, Paint((250, 250, 250), 0.6)),
        Stroke([circle(100, 64, 31.5), circle(128, 64, 0.7 * width)], width, Paint((0, 70, 255), tint=True)),
    ]
    drawn = []
    for side in (256, 32):
        monkeypatch.setattr(lines_module, "TILE", side)
        image = picture.copy()
        lay_on(image, *strokes)
        drawn.append(np.asarray(image))
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != np.asarray(picture)).any(-1).mean() > 0.02


def test_the_strong_line_stands_outside_of_the_half_maximum():
    m = bump()
    p = Image.new("RGB", (SOURCE[1], SOURCE[0]), (90, 90, 90))
    style = Style(lines=(0.5,), peak=False)
    drawn, plain = (np.asarray(overlay(m, p, style=s)).astype(int) for s in (style, replace(style, lines=())))
    changed = np.abs(drawn - plain).max(-1)
    inside = field(m) >= 0.5 * float(m.values.max())
    assert changed[~inside].max() > 100
    assert changed[inside].max() <= 12


def test_no_line_crosses_the_half_maximum_where_the_map_ends_in_it():
    """Of a centre crop whose warmest place is at its edge, the regions of all levels end on one line."""
    frame = Frame.identity(SOURCE).cropped((50, 0, 350, 300)).resized((15, 15))
    values = torch.linspace(1.0, 0.0, 15).expand(15, 15)
    p = Image.new("RGB", (SOURCE[1], SOURCE[0]), (90, 90, 90))
    style = Style(lines=(0.25, 0.5), peak=False)
    m = Heatmap(values.clone(), frame, "relevance")
    drawn, plain = (np.asarray(overlay(m, p, style=s)).astype(int) for s in (style, replace(style, lines=())))
    changed = np.abs(drawn - plain).max(-1)
    inside = to_source(m.values.double(), m.frame, outside="nan").nan_to_num(nan=-1).numpy() >= 0.5
    assert inside[:, 50].all()
    assert changed[~inside].max() > 100
    assert changed[inside].max() <= 12


def test_what_is_against_gets_a_broken_line_and_no_colour():
    values = bump().values.roll(-5, 1) - 0.9 * bump().values.roll(5, 1)
    m = Heatmap(values, Frame.resize(SOURCE, (15, 20)), "relevance", signed=True)
    p = np.full((*SOURCE, 3), 120, np.uint8)
    drawn = {
        name: overlay(m, p, style=replace(STYLES["isotherm"], negative=name)).astype(int)
        for name in ("lines", "fill", "none")
    }
    cold = field(m) < -0.8 * float(m.values.abs().max()) * 0.9
    assert (drawn["none"][field(m) < 0] == 120).mean() > 0.97
    assert (drawn["lines"][cold] == 120).all()  # inside of the broken line the picture is as it was
    assert (drawn["fill"][cold] != 120).any(-1).all()
    against = (drawn["lines"] != drawn["none"]).any(-1)
    assert against.any()
    green = drawn["lines"][against]
    assert (green[:, 1] > green[:, 0] + 40).any()


def test_no_broken_line_where_nothing_is_negative():
    m = bump(signed=True)
    p = np.full((*SOURCE, 3), 120, np.uint8)
    np.testing.assert_array_equal(overlay(m, p), overlay(bump(), p))


@pytest.mark.parametrize(
    "frame",
    [
        Frame.resize(SOURCE, (15, 20)),
        Frame.letterbox(SOURCE, (320, 320)).to_grid(stride=16),
        Frame.resize(SOURCE, (15, 20)).flipped(),
    ],
)
def test_the_peak_is_marked_at_the_centre_of_the_largest_cell(frame):
    m = bump(frame)
    x, y = peak_of(m, scale_of(m))
    raster = field(m)
    at = np.unravel_index(raster.argmax(), raster.shape)
    assert abs(x - at[1] - 0.5) <= 10.5
    assert abs(y - at[0] - 0.5) <= 10.5
    p = Image.new("RGB", (SOURCE[1], SOURCE[0]), (150, 150, 150))
    both = [
        np.asarray(overlay(m, p, style=replace(STYLES["isotherm"], peak=peak))).astype(int) for peak in (True, False)
    ]
    rows, columns = np.nonzero((both[0] != both[1]).any(-1))
    assert abs(columns.mean() + 0.5 - x) < 1
    assert abs(rows.mean() + 0.5 - y) < 1


def test_equal_largest_cells_are_no_peak():
    flat = Heatmap(torch.ones(4, 4), Frame.resize(SOURCE, (4, 4)), "relevance")
    assert peak_of(flat, scale_of(flat)) is None


def test_the_edge_of_what_was_seen_is_faint_and_only_inside_of_the_picture():
    crop = Frame.identity(SOURCE).cropped((100, 0, 300, 300)).to_grid(stride=20)
    m = bump(crop)
    p = np.full((*SOURCE, 3), (150, 110, 90), np.uint8)
    out = overlay(m, p).astype(int)
    off = np.abs(out - p).max(-1)
    assert 0 < np.median(off[:, :90]) <= 16  # a little paler and greyer
    assert off[5:-5, 97:104].max() > np.median(off[:, :90])  # and a line where it ends
    assert off[:2, :90].max() <= 16  # but none along the picture's own border


def test_labels_say_the_shares():
    m = bump()
    p = Image.new("RGB", (SOURCE[1], SOURCE[0]), (90, 90, 90))
    with_labels, without = (overlay(m, p, style=replace(STYLES["lines"], labels=labels)) for labels in (True, False))
    assert (np.asarray(with_labels) != np.asarray(without)).any()


def test_marks_follow_the_size_of_the_picture():
    m = bump()
    widths = []
    for factor in (1, 4):
        image = Image.new("RGB", (400 * factor, 300 * factor))
        draw_marks(image, m, scale_of(m), Style(lines=(0.5,), peak=False, unseen=False))
        widths.append(float((np.asarray(image)[..., 0] > 128).sum()) / factor)
    assert widths[1] == pytest.approx(4 * widths[0] * 0.9, rel=0.45)
