"""The report's page computes as the server does: values, colours, lines, peaks, scales."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from isotherm.draw import STYLES, Scale, renormalise_in_boxes, shared_scale
from isotherm.draw.blend import LevelMap, blend_image
from isotherm.draw.colour import Ink, scale_of
from isotherm.draw.lines import Samples, outward
from isotherm.draw.marks import peak_of
from isotherm.draw.page_script import exports_of, page_text
from isotherm.draw.page_settings import NUMBERS, table_text
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.ops.resample import to_source
from rigs.breadth import wide
from rigs.programs import NODE, needs

SOURCE = (40, 60)


def of(values: torch.Tensor | None = None, frame: Frame | None = None, **fields) -> Heatmap:
    frame = Frame.resize(SOURCE, (4, 6)) if frame is None else frame
    values = torch.randn(frame.size, generator=torch.Generator().manual_seed(1)) if values is None else values
    return Heatmap(values, frame, fields.pop("kind", "relevance"), **fields)


def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*SOURCE, 3), dtype=np.uint8)


# --- the page's own arithmetic ------------------------------------------------------------------------


def in_node(tmp_path, program: str, data: dict) -> dict:
    """What a program returns that has all that the page's modules export, by name."""
    imports = ""
    for name in ("field.js", "ink.js", "contours.js", "marks.js", "levels.js", "mix.js", "renormalise.js"):
        (tmp_path / name).write_text(page_text(name))
        imports += f'import {{ {", ".join(exports_of(name)[0])} }} from "./{name}";\n'
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "data.js").write_text(f"export default {json.dumps(data)};")
    (tmp_path / "run.js").write_text(
        f'{imports}import data from "./data.js";\nconsole.log(JSON.stringify((() => {{ {program} }})()));'
    )
    run = subprocess.run([NODE, "run.js"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(run.stdout)


def as_data(heatmap: Heatmap) -> dict:
    from isotherm.draw.report import _map

    return {**_map(heatmap), "source": {"w": SOURCE[1], "h": SOURCE[0]}, "H": SOURCE[0], "W": SOURCE[1]}


READ = "const f = fieldOf(data);"
TURN = torch.tensor([[0.8, -0.6, 9.0], [0.6, 0.8, -4.0]], dtype=torch.float64)
FRAMES = {
    "resize": Frame.resize(SOURCE, (4, 6)),
    "letterbox": Frame.letterbox(SOURCE, (64, 64)).to_grid(stride=8),
    "crop and flip": Frame.identity(SOURCE).cropped((10, 6, 42, 30)).to_grid(stride=4).flipped(),
    "rotated": Frame.identity(SOURCE).warped(TURN, (40, 40)).to_grid(stride=8),
    "off centre": Frame.identity(SOURCE).cropped((4, 2, 36, 26)).to_cells((0.5, 0.5), (8.0, 8.0), (3, 4)),
    "one cell": Frame.resize(SOURCE, (1, 1)),
}
ROWS = ["rotated", "one cell", *wide(kind for kind in FRAMES if kind not in ("rotated", "one cell"))]
"""A matrix with all of its entries, and no neighbours; the others are part of the first."""
SOME_STYLES = ("isotherm", "lines")


@needs("node")
@pytest.mark.parametrize("kind", FRAMES)
def test_values_under_the_pointer_are_those_of_the_server(tmp_path, kind):
    heatmap = of(frame=FRAMES[kind])
    expected = to_source(heatmap.values, heatmap.frame, outside="nan").numpy()
    program = (
        READ
        + "return {raster: [...rasterOf(f, data.H, data.W, data.source, data)].map((v) => Number.isNaN(v) ? null : v), one: [...Array(data.H * data.W).keys()].map((k) => { const v = sampleAt(f, k % data.W + 0.5, Math.floor(k / data.W) + 0.5, data); return Number.isNaN(v) ? null : v; })};"
    )
    got = in_node(tmp_path, program, as_data(heatmap))
    for name in ("raster", "one"):
        values = np.array([np.nan if v is None else v for v in got[name]]).reshape(SOURCE)
        np.testing.assert_array_equal(np.isnan(values), np.isnan(expected))
        np.testing.assert_allclose(values, expected, atol=2e-6)


@needs("node")
@pytest.mark.parametrize("name", [*SOME_STYLES, *wide(name for name in STYLES if name not in SOME_STYLES)])
@pytest.mark.parametrize(("signed", "holes"), [(False, False), (True, True), (True, False)])
def test_the_page_colours_as_the_server_does(tmp_path, signed, holes, name):
    values = torch.randn(4, 6, generator=torch.Generator().manual_seed(2))
    if holes:
        values[1, 2], values[3, 3] = torch.nan, torch.inf
    heatmap = of(values, signed=signed)
    style = replace(STYLES[name], threshold=0.15)
    table = table_text("isotherm_signed" if signed else "isotherm")
    data = {**as_data(heatmap), "table": table, "style": asdict(style), "k": NUMBERS}
    program = (
        READ
        + """
        const v = rasterOf(f, data.H, data.W, data.source, data), heat = new Uint8ClampedArray(4 * v.length), veil = new Uint8ClampedArray(4 * v.length);
        const ink = inkOf(data.style, data, { signed: data.signed, table: bytesOf(data.table), centred: data.signed && data.low < 0, k: data.k });
        layInk(v, ink, data, heat, veil);
        return { heat: [...heat], veil: [...veil] };"""
    )
    got = in_node(tmp_path, program, data)
    heat, veil = (np.array(got[name], np.float64).reshape(*SOURCE, 4) for name in ("heat", "veil"))
    picture = photo()
    expected = np.asarray(
        blend_image(
            picture,
            heatmap.values,
            heatmap.frame,
            scale=scale_of(heatmap),
            ink=Ink.of(style, scale_of(heatmap), signed=signed),
        ),
        np.float64,
    )
    luma = (picture @ np.array([0.299, 0.587, 0.114]))[..., None]
    grey, alpha = veil[..., 3:] / 255, heat[..., 3:] / 255
    shown = (picture * (1 - grey) + luma * grey) * (1 - alpha) + heat[..., :3] * alpha
    error = np.abs(shown - expected)
    assert np.percentile(error, 99) <= 2.5
    assert (error.max(-1) > 3).mean() < 0.003  # a pixel right at the threshold may fall to either side


@needs("node")
@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("holes", [False, True])
def test_the_pixels_of_the_page_are_those_of_the_server(tmp_path, kind, holes):
    values = torch.randn(FRAMES[kind].size, generator=torch.Generator().manual_seed(3))
    if holes:
        values.view(-1)[1::5], values.view(-1)[2::11] = torch.nan, torch.inf
    heatmap = of(values.abs(), FRAMES[kind])
    scale, picture = scale_of(heatmap), photo()
    ink = Ink.of(STYLES["isotherm"], scale, signed=False)
    data = {
        **as_data(heatmap),
        "table": table_text("isotherm"),
        "style": asdict(STYLES["isotherm"]),
        "k": NUMBERS,
        "picture": np.concatenate([picture, np.full((*SOURCE, 1), 255, np.uint8)], -1).ravel().tolist(),
    }
    program = (
        READ
        + """
        const ink = inkOf(data.style, data, { signed: false, table: bytesOf(data.table), centred: false, k: data.k });
        const levels = levelsOf(layoutOf(f, data, ink.count, data.source, { h: data.H, w: data.W }));
        const out = new Uint8ClampedArray(data.picture.length);
        mixInto(pixelsOf(Uint8ClampedArray.from(data.picture)), levels, mixTable(ink), pixelsOf(out));
        return { levels: [...levels], out: [...out] };"""
    )
    got = in_node(tmp_path, program, data)
    blocks = LevelMap(heatmap.values, heatmap.frame, scale, Frame.identity(SOURCE)).blocks(0, SOURCE[0], (0, SOURCE[1]))
    expected = np.concatenate([block.copy() for _, _, block in blocks])
    levels = np.array(got["levels"]).reshape(SOURCE)
    assert np.abs(levels - expected).max() <= 1
    assert (levels == expected).mean() > 0.99
    shown = np.asarray(blend_image(picture, heatmap.values, heatmap.frame, scale=scale, ink=ink), np.int64)
    error = np.abs(np.array(got["out"]).reshape(*SOURCE, 4)[..., :3] - shown)
    assert error.max() <= 2  # Pillow rounds the layer to 8 bits before it mixes it in


@needs("node")
@pytest.mark.parametrize("kind", ROWS)
def test_boxes_are_renormalised_as_by_the_server(tmp_path, kind):
    values = torch.randn(FRAMES[kind].size, generator=torch.Generator().manual_seed(4))
    values.view(-1)[0] = torch.nan
    heatmap = of(values, FRAMES[kind], signed=True)
    boxes = [[-5.0, 3.2, 25.5, 30.0], [20.0, 10.0, 58.0, 39.5], [70.0, 1.0, 90.0, 3.0], [3.0, 3.0, 3.4, 3.4]]
    expected = renormalise_in_boxes(heatmap, boxes).values.numpy()
    program = READ + "return [...renormalisedInBoxes(f, data.source, data.boxes).values];"
    got = np.array(in_node(tmp_path, program, {**as_data(heatmap), "boxes": boxes})).reshape(SOURCE)
    np.testing.assert_allclose(got, expected, atol=1e-5)


@needs("node")
@pytest.mark.parametrize("kind", ROWS)
def test_lines_of_the_page_are_those_of_the_server(tmp_path, kind):
    heatmap = of(frame=FRAMES[kind])
    if kind == "one cell":
        heatmap = heatmap.with_(values=torch.ones(1, 1))
    samples = Samples.of(heatmap.values, heatmap.frame, SOURCE, scale_of(heatmap))
    levels = [0.2, 0.9, -0.4]
    data = {**as_data(heatmap), "levels": levels}
    program = (
        READ
        + "const s = samplesOf(f, data.source, data, {h: data.H, w: data.W}); return data.levels.map((l) => [linesAt(s, l), linesAt(s, l, true), linesAt(s, l).map((line) => outward(line, 1))]);"
    )
    got = in_node(tmp_path, program, data)
    for level, (above, below, moved) in zip(levels, got, strict=True):
        for lines, expected in (
            (above, samples.lines(level)),
            (below, samples.lines(level, below=True)),
            (moved, [outward(line, 1.0) for line in samples.lines(level)]),
        ):
            assert sorted(map(len, lines)) == sorted(map(len, expected))
            ours, theirs = (np.concatenate([np.zeros((0, 2)), *map(np.asarray, found)]) for found in (lines, expected))
            if len(theirs):  # the same points, wherever a line begins
                gap = np.hypot(*(ours[:, None] - theirs[None]).transpose(2, 0, 1))
                assert gap.min(0).max() < 1e-3
                assert gap.min(1).max() < 1e-3


@needs("node")
@pytest.mark.parametrize("kind", ROWS)
def test_the_peak_of_the_page_is_that_of_the_server(tmp_path, kind):
    heatmap = of(frame=FRAMES[kind])
    got = in_node(tmp_path, READ + "return peakOf(f, data);", as_data(heatmap))
    np.testing.assert_allclose(got["place"], peak_of(heatmap, scale_of(heatmap)), atol=1e-6)
    flat = heatmap.with_(values=torch.ones_like(heatmap.values))
    assert (
        (in_node(tmp_path, READ + "return peakOf(f, data);", as_data(flat)) is None)
        == (peak_of(flat, scale_of(flat)) is None)
        == (kind != "one cell")
    )


@needs("node")
def test_half_floats_and_shared_scales_agree_with_the_server(tmp_path):
    halves = np.array([0.0, 1.0, -2.5, 6e-8, 65504, np.inf, -np.inf, np.nan, 0.333], "<f2")
    maps = [
        of(torch.tensor([[-1.0, 2.0]]), Frame.resize(SOURCE, (1, 2)), signed=True),
        of(torch.tensor([[-5.0, 0.5]]), Frame.resize(SOURCE, (1, 2)), signed=True),
        of(torch.tensor([[-5.0, -0.5]]), Frame.resize(SOURCE, (1, 2)), signed=True),
    ]
    logits = [of(torch.tensor([[v, -30.0]]), Frame.resize(SOURCE, (1, 2)), kind="logits") for v in (3.0, 9.0)]
    data = {
        "halves": base64.b64encode(halves.tobytes()).decode(),
        "scales": [as_data(m) for m in maps],
        "logits": [as_data(m) for m in logits],
    }
    program = "return {halves: [...decodeValues(bytesOf(data.halves), 'f2', 2)].map(String), shared: sharedScale(data.scales, 'relevance'), logits: sharedScale(data.logits, 'logits'), none: sharedScale([{low: 0, high: 0}], 'relevance'), texts: [0, 0.00012, 1234567, 0.123456, NaN].map(numberText)};"
    got = in_node(tmp_path, program, data)
    back = np.array([float(v.replace("Infinity", "inf")) for v in got["halves"]], np.float32)
    np.testing.assert_array_equal(back, halves.astype(np.float32) * 2)
    assert Scale(**got["shared"]) == shared_scale(maps)
    assert Scale(**got["logits"]) == shared_scale(logits)
    assert got["none"] == {"low": 0, "high": 0, "beyond": False}
    assert got["texts"] == ["0", "1.200e-4", "1.235e+6", "0.1235", "no value"]
