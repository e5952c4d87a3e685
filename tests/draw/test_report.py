"""The report: one file, nothing from elsewhere, nothing from a label but text, and the server's own numbers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import asdict, replace
from html.parser import HTMLParser
from importlib import resources

import numpy as np
import pytest
import torch

from isotherm.draw import STYLES, ReportEntry, Scale, colour_table, shared_scale, write_report
from isotherm.draw.blend import blend_image
from isotherm.draw.ink import Ink
from isotherm.draw.lines import Samples, outward
from isotherm.draw.marks import peak_of
from isotherm.draw.report import NUMBERS
from isotherm.draw.scale import scale_of
from isotherm.errors import InputError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.ops.resample import to_source

SOURCE = (40, 60)
EVIL = "</script x></script><!--<script y <script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">&amp;\u2028"
NODE = shutil.which("node")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def of(values: torch.Tensor | None = None, frame: Frame | None = None, **fields) -> Heatmap:
    frame = Frame.resize(SOURCE, (4, 6)) if frame is None else frame
    values = torch.randn(frame.size, generator=torch.Generator().manual_seed(1)) if values is None else values
    return Heatmap(values, frame, fields.pop("kind", "relevance"), **fields)


def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*SOURCE, 3), dtype=np.uint8)


class Page(HTMLParser):
    """The elements and texts that a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict]] = []
        self.scripts: list[tuple[dict, str]] = []
        self.text: list[str] = []
        self._in = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._in = (tag, dict(attrs))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data):
        if self._in and self._in[0] == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        else:
            self.text.append(data)

    def handle_endtag(self, tag):
        self._in = None


def write(tmp_path, entries, **options) -> tuple[str, Page]:
    text = write_report(entries, tmp_path / "r.html", **options).read_text(encoding="utf-8")
    return text, Page(text)


def evil_entry() -> ReportEntry:
    heatmap = of(label=EVIL, meta={"method": EVIL, "layer": EVIL, "trust": EVIL, "command": EVIL, "score": EVIL})
    return ReportEntry(
        photo(), [heatmap], title=EVIL, source=EVIL, boxes=[[1, 2, 30, 20]], labels=[EVIL], notes=[EVIL], lines=[EVIL]
    )


def test_the_page_needs_nothing_from_elsewhere(tmp_path):
    text, page = write(tmp_path, [ReportEntry(photo(), [of()], source="a.jpg")], command="isotherm explain a.jpg")
    assert not re.search(r"https?://|@import|url\(", text)
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "srcset"):
            assert attributes.get(name, "data:").startswith("data:"), (tag, attributes)
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)


def test_the_content_policy_lets_its_own_script_and_style_run_and_nothing_else(tmp_path):
    text, page = write(tmp_path, [evil_entry()])
    policy = next(
        a["content"] for t, a in page.elements if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    running = [body for attributes, body in page.scripts if attributes.get("type") != "application/json"]
    assert len(running) == 1
    style = re.search("<style>(.*?)</style>", text, re.DOTALL)[1]
    for kind, body in (("script-src", running[0]), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_labels_are_text_and_never_markup(tmp_path):
    _, page = write(tmp_path, [evil_entry()], title=EVIL, command=EVIL, facts={EVIL: EVIL})
    assert sum(t == "img" for t, _ in page.elements) == 1
    assert sum(t == "script" for t, _ in page.elements) == 3  # settings, the entry's data, the program
    assert "".join(page.text).count("document.title='owned'") >= 16
    data = json.loads(page.scripts[1][1])
    assert data["labels"] == [EVIL]
    assert data["maps"][0]["label"] == EVIL


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_draws_it_and_nothing_hostile_runs(tmp_path):
    fpath = write_report(
        [evil_entry(), ReportEntry(photo(), []), ReportEntry(None, [of(-torch.ones(4, 6))])], tmp_path / "r.html"
    )
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    out = subprocess.run(
        [CHROMIUM, *flags, "--virtual-time-budget=3000", "--dump-dom", fpath.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert 'class="ready"' in out  # the program ran to its end
    assert "<title>Heatmaps</title>" in out
    assert 'aria-pressed="true"' in out
    assert re.search(r'<div class="box hue-0[^>]*style="left: 1\.6\d*%', out)  # 1 of 60 pixels
    assert re.search(r'<span class="high num">\d', out)  # the colour bar has its values
    assert "nothing is drawn" in out  # that of the silent map


def test_the_data_are_the_values(tmp_path):
    values = torch.tensor([[0.1, -2.0, torch.nan], [1e-9, torch.inf, 3.0]])
    frame = Frame.letterbox(SOURCE, (60, 60)).resized((2, 3))
    _, page = write(tmp_path, [ReportEntry(photo(), [of(values, frame, signed=True, meta={"box": [1, 2, 3, 4]})])])
    data = json.loads(page.scripts[1][1])
    m = data["maps"][0]
    back = np.frombuffer(base64.b64decode(m["data"]), "<f4").reshape(m["h"], m["w"])
    np.testing.assert_array_equal(back, values.numpy())
    np.testing.assert_allclose(np.array(m["m"]).reshape(2, 3), frame.from_source.numpy())
    assert (m["low"], m["high"], m["box"], data["w"], data["h"]) == (-2.0, 3.0, [1.0, 2.0, 3.0, 4.0], 60, 40)


def test_large_maps_are_stored_small_and_stay_near(tmp_path, monkeypatch):
    from isotherm.draw import report

    monkeypatch.setattr(report, "EXACT_CELLS", 10)
    values = torch.randn(4, 6) * 1e-9  # far below what float16 can hold
    _, page = write(tmp_path, [ReportEntry(photo(), [of(values)])])
    m = json.loads(page.scripts[1][1])["maps"][0]
    back = np.frombuffer(base64.b64decode(m["data"]), "<f2").astype(np.float64) * m["unit"]
    np.testing.assert_allclose(back.reshape(4, 6), values.numpy(), rtol=1e-3, atol=1e-14)
    monkeypatch.setattr(report, "MOST_CELLS", 6)
    text, page = write(tmp_path, [ReportEntry(photo(), [of(values)])])
    m = json.loads(page.scripts[1][1])["maps"][0]
    assert (m["h"], m["w"]) == (2, 3)
    assert "drawn from fewer" in text


def test_the_table_says_what_each_map_is(tmp_path):
    meta = {
        "method": "HiResCAM",
        "layer": ["model.16", "model.19"],
        "score": 3.14159,
        "command": "isotherm explain a.jpg --box 0",
    }
    several = Heatmap(torch.rand(2, 4, 6), Frame.resize(SOURCE, (4, 6)), "relevance", label="bus")
    _, page = write(
        tmp_path,
        [
            ReportEntry(
                photo(),
                [of(label="dog 0.9", meta=meta), several],
                notes=["chosen by size"],
                trust=["sound", "no better than random", ""],
            )
        ],
    )
    text = " ".join(page.text)
    for said in (
        "dog 0.9",
        "HiResCAM",
        "model.16, model.19",
        "3.142",
        "bus [0]",
        "bus [1]",
        "chosen by size",
        "no better than random",
        "isotherm explain a.jpg --box 0",
        "1 picture, 3 maps",
    ):
        assert said in text
    assert sum("data-map" in a for _, a in page.elements) == 3


def test_the_table_has_the_verdict_and_the_details_the_figures(tmp_path):
    line = "trust: deletion 0.17 vs random 0.70 ± 0.40 (no better) → do not trust (no better than random)"
    _, page = write(tmp_path, [ReportEntry(photo(), [of(label="dog")], trust=[line])])
    assert "do not trust" in page.text
    assert "no better than random" in page.text
    assert line.removeprefix("trust: ") in page.text


def test_entries_are_read_one_by_one_and_a_failure_leaves_nothing(tmp_path):
    def entries():
        yield ReportEntry(photo(), [of()])
        raise RuntimeError("the second picture")

    with pytest.raises(RuntimeError, match="second picture"):
        write_report(entries(), tmp_path / "r.html")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="no folder"):
        write_report([], tmp_path / "nowhere" / "r.html")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"picture": None}, "neither"),
        ({"picture": np.zeros((9, 9, 3), np.uint8), "heatmaps": [of()]}, "9 x 9"),
        ({"picture": photo(), "boxes": [[1, 2, 3, 4]], "labels": ["a", "b"]}, "2 labels"),
        ({"picture": photo(), "heatmaps": [of()], "trust": []}, "0 trust lines"),
    ],
)
def test_mistakes_are_explained(fields, words):
    with pytest.raises(ShapeError, match=words):
        ReportEntry(**fields)


# --- the page's own arithmetic ------------------------------------------------------------------------


def in_node(tmp_path, program: str, data: dict) -> dict:
    page = resources.files("isotherm.draw") / "page"
    modules = ("field", "ink", "contours", "marks")
    for name in modules:
        (tmp_path / f"{name}.js").write_text((page / f"{name}.js").read_text())
    names = " ".join(f"global.{name.capitalize()} = require('./{name}.js');" for name in modules)
    (tmp_path / "data.json").write_text(json.dumps(data))
    script = f"{names} const data = require('./data.json');\nconst out = (() => {{ {program} }})();\nconsole.log(JSON.stringify(out));"
    (tmp_path / "run.js").write_text(script)
    return json.loads(
        subprocess.run([NODE, "run.js"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True).stdout
    )


def as_data(heatmap: Heatmap) -> dict:
    from isotherm.draw.report import _map

    return {**_map(heatmap), "source": {"w": SOURCE[1], "h": SOURCE[0]}, "H": SOURCE[0], "W": SOURCE[1]}


READ = "const f = Field.read(data);"
TURN = torch.tensor([[0.8, -0.6, 9.0], [0.6, 0.8, -4.0]], dtype=torch.float64)
FRAMES = {
    "resize": Frame.resize(SOURCE, (4, 6)),
    "letterbox": Frame.letterbox(SOURCE, (64, 64)).to_grid(stride=8),
    "crop and flip": Frame.identity(SOURCE).cropped((10, 6, 42, 30)).to_grid(stride=4).flipped(),
    "rotated": Frame.identity(SOURCE).warped(TURN, (40, 40)).to_grid(stride=8),
    "off centre": Frame.identity(SOURCE).cropped((4, 2, 36, 26)).to_cells((0.5, 0.5), (8.0, 8.0), (3, 4)),
    "one cell": Frame.resize(SOURCE, (1, 1)),
}


@pytest.mark.skipif(NODE is None, reason="no Node on this machine to run the page's script")
@pytest.mark.parametrize("kind", FRAMES)
def test_values_under_the_pointer_are_those_of_the_server(tmp_path, kind):
    heatmap = of(frame=FRAMES[kind])
    expected = to_source(heatmap.values, heatmap.frame, outside="nan").numpy()
    program = (
        READ
        + "return {raster: [...Field.raster(f, data.H, data.W, data.source, data)].map((v) => Number.isNaN(v) ? null : v), one: [...Array(data.H * data.W).keys()].map((k) => { const v = Field.sample(f, k % data.W + 0.5, Math.floor(k / data.W) + 0.5, data); return Number.isNaN(v) ? null : v; })};"
    )
    got = in_node(tmp_path, program, as_data(heatmap))
    for name in ("raster", "one"):
        values = np.array([np.nan if v is None else v for v in got[name]]).reshape(SOURCE)
        np.testing.assert_array_equal(np.isnan(values), np.isnan(expected))
        np.testing.assert_allclose(values, expected, atol=2e-6)


@pytest.mark.skipif(NODE is None, reason="no Node on this machine to run the page's script")
@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize(("signed", "holes"), [(False, False), (True, True), (True, False)])
def test_the_page_colours_as_the_server_does(tmp_path, signed, holes, name):
    values = torch.randn(4, 6, generator=torch.Generator().manual_seed(2))
    if holes:
        values[1, 2], values[3, 3] = torch.nan, torch.inf
    heatmap = of(values, signed=signed)
    style = replace(STYLES[name], threshold=0.15)
    table = base64.b64encode(
        colour_table("isotherm_signed" if signed else "isotherm").mul(255).round().byte().numpy().tobytes()
    ).decode()
    data = {**as_data(heatmap), "table": table, "style": asdict(style), "k": NUMBERS}
    program = (
        READ
        + """
        const v = Field.raster(f, data.H, data.W, data.source, data), heat = new Uint8ClampedArray(4 * v.length), veil = new Uint8ClampedArray(4 * v.length);
        const ink = Ink.of(data.style, data, { signed: data.signed, table: Field.bytesOf(data.table), centred: data.signed && data.low < 0, k: data.k });
        Ink.lay(v, ink, data, heat, veil);
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


@pytest.mark.skipif(NODE is None, reason="no Node on this machine to run the page's script")
@pytest.mark.parametrize("kind", FRAMES)
def test_lines_of_the_page_are_those_of_the_server(tmp_path, kind):
    heatmap = of(frame=FRAMES[kind])
    if kind == "one cell":
        heatmap = heatmap.with_(values=torch.ones(1, 1))
    samples = Samples.of(heatmap.values, heatmap.frame, SOURCE, scale_of(heatmap))
    levels = [0.2, 0.9, -0.4]
    data = {**as_data(heatmap), "levels": levels}
    program = (
        READ
        + "const s = Contours.samples(f, data.source, data, {h: data.H, w: data.W}); return data.levels.map((l) => [Contours.lines(s, l), Contours.lines(s, l, true), Contours.lines(s, l).map((line) => Contours.outward(line, 1))]);"
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


@pytest.mark.skipif(NODE is None, reason="no Node on this machine to run the page's script")
@pytest.mark.parametrize("kind", FRAMES)
def test_the_peak_of_the_page_is_that_of_the_server(tmp_path, kind):
    heatmap = of(frame=FRAMES[kind])
    got = in_node(tmp_path, READ + "return Marks.peakOf(f, data);", as_data(heatmap))
    np.testing.assert_allclose(got["place"], peak_of(heatmap, scale_of(heatmap)), atol=1e-6)
    flat = heatmap.with_(values=torch.ones_like(heatmap.values))
    assert (
        (in_node(tmp_path, READ + "return Marks.peakOf(f, data);", as_data(flat)) is None)
        == (peak_of(flat, scale_of(flat)) is None)
        == (kind != "one cell")
    )


@pytest.mark.skipif(NODE is None, reason="no Node on this machine to run the page's script")
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
    program = "return {halves: [...Field.decode(data.halves, 'f2', 2)].map(String), shared: Field.share(data.scales, 'relevance'), logits: Field.share(data.logits, 'logits'), none: Field.share([{low: 0, high: 0}], 'relevance'), texts: [0, 0.00012, 1234567, 0.123456, NaN].map(Field.text)};"
    got = in_node(tmp_path, program, data)
    back = np.array([float(v.replace("Infinity", "inf")) for v in got["halves"]], np.float32)
    np.testing.assert_array_equal(back, halves.astype(np.float32) * 2)
    assert Scale(**got["shared"]) == shared_scale(maps)
    assert Scale(**got["logits"]) == shared_scale(logits)
    assert got["none"] == {"low": 0, "high": 0, "beyond": False}
    assert got["texts"] == ["0", "1.200e-4", "1.235e+6", "0.1235", "no value"]
