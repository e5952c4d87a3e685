"""The report: one file, nothing from elsewhere, nothing from a label but text, and the server's own numbers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from isotherm.draw import ReportEntry, write_report
from isotherm.errors import InputError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from rigs.programs import CHROMIUM, needs

SOURCE = (40, 60)
EVIL = "</script x></script><!--<script y <script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">&amp;\u2028"


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


@needs("chromium")
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
    from isotherm.draw import describe, report

    monkeypatch.setattr(report, "EXACT_CELLS", 10)
    values = torch.randn(4, 6) * 1e-9  # far below what float16 can hold
    _, page = write(tmp_path, [ReportEntry(photo(), [of(values)])])
    m = json.loads(page.scripts[1][1])["maps"][0]
    back = np.frombuffer(base64.b64decode(m["data"]), "<f2").astype(np.float64) * m["unit"]
    np.testing.assert_allclose(back.reshape(4, 6), values.numpy(), rtol=1e-3, atol=1e-14)
    monkeypatch.setattr(report, "MOST_CELLS", 6)
    monkeypatch.setattr(describe, "MOST_CELLS", 6)
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


def test_a_verdict_has_its_colour_and_the_figure_that_decided(tmp_path):
    lines = {
        "good": "trust: evidence gain +2.37 (needs 0.95) → believable",
        "mixed": "trust: evidence gain +0.80 (needs 0.95) → doubtful (what the map marks shows it hardly better)",
        "": "trust: evidence gain unknown → not checked (covered pictures score NaN or infinity)",
    }
    for colour, line in lines.items():
        text, _ = write(tmp_path, [ReportEntry(photo(), [of(label="dog")], trust=[line])])
        word = line.partition("→ ")[2].partition(" (")[0]
        figure = line.removeprefix("trust: ").partition(" (")[0].partition(" →")[0]
        assert f'<b class="{colour}">{word}</b><small>{figure}</small>' in text


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


@needs("chromium")
def test_maps_that_were_never_in_sight_are_printed(tmp_path):
    from playwright.sync_api import sync_playwright

    fpath = write_report([ReportEntry(photo(), [of(torch.ones(4, 6))]) for _ in range(8)], tmp_path / "r.html")
    drawn = "[...document.querySelectorAll('canvas.base')].filter((canvas) => canvas.width > 1 && canvas.getContext('2d').getImageData(9, 9, 1, 1).data[3]).length"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 600, "height": 300})
        page.goto(fpath.as_uri())
        page.wait_for_function(f"{drawn} > 0")
        assert page.evaluate(drawn) < 8
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate(drawn) == 8
        browser.close()
