"""Dragging the opacity in the viewer at 1920 x 1080: frames a second that reach the screen, by who paints.

Chromium without a window and without a graphics chip, as on a server. Every frame of the browser sets another opacity, and
the next one is asked for when it was drawn. Beside it: how many frames it draws when nothing changes.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import publish, table, write

PAGE = Path(__file__).parents[1] / "src" / "isotherm" / "draw" / "page"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
KINDS = {".js": "text/javascript", ".css": "text/css"}
SHELL = '<!doctype html><html lang="en"><title>t</title><link rel="stylesheet" href="/page.css"><body></body></html>'
SOFTWARE = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
WAYS = {
    "canvas": SOFTWARE,
    "webgl2": ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-gpu-compositing"),
}
"""Who paints, and with which flags. WebGL2 is run by the processor here, so the viewer itself would choose the canvas."""

SPREADS = {"a spot": 0.1, "over the whole picture": 0.5}
"""How far maps reach, in sides."""
LONGEST_MS = 60_000
"""No step of the browser takes longer, or the benchmark ends with an error."""

SET_UP = """async ([settings, side, spread, renderer]) => {
  const { Stage } = await import("/stage.js"), root = document.createElement("div");
  root.className = "stage";
  document.body.style.margin = 0;
  root.style.width = "1920px";
  document.body.append(root);
  const canvas = new OffscreenCanvas(1920, 1080), context = canvas.getContext("2d"), image = context.createImageData(1920, 1080);
  for (let i = 0; i < image.data.length; i++) image.data[i] = i % 4 === 3 ? 255 : (i * 7919) % 251;
  context.putImageData(image, 0, 0);
  const values = Float32Array.from({ length: side * side }, (_, i) => Math.exp(-((i % side - side / 2) ** 2 + (i / side - side / 3) ** 2) / (2 * (spread * side) ** 2)));
  window.stage = new Stage(root, settings, renderer ? { renderer } : {});
  stage.show({ h: 1080, w: 1920, boxes: [], labels: [], image: URL.createObjectURL(await canvas.convertToBlob({ type: "image/jpeg" })) },
    [{ label: "", kind: "relevance", signed: false, silent: "", low: 0, high: 1, beyond: false, lowest: 0, h: side, w: side, m: [side / 1920, 0, 0, 0, side / 1080, 0], limits: [0, 0, side, side], type: "f4", unit: 1, values }]);
  await stage.image.decode();
  stage.render();
  await new Promise(requestAnimationFrame);
}"""

DRAG = """async ([seconds, change]) => {
  const draws = [];
  stage.on("paint", () => draws.push(performance.now()));
  const start = performance.now();
  let frames = 0;
  while (performance.now() - start < 1000 * seconds) {
    await new Promise(requestAnimationFrame);
    if (change) stage.look({ opacity: 0.2 + 0.6 * ((frames % 50) / 50) });
    frames++;
  }
  return (1000 * (change ? draws.length : frames)) / (performance.now() - start);
}"""
"""Frames a second while the opacity of a page's ``window.stage`` changes in each, or while nothing does."""


def frames_a_second(
    renderer: str = "canvas", *, seconds: float = 2.0, repeats: int = 1, side: int = 40, spread: float = 0.1
) -> dict[str, Any]:
    """Frames a second at 1920 x 1080 while the opacity is dragged, and while nothing happens; processor time of a frame.

    Medians of the repeats, in one browser.

    Args:
        renderer: ``canvas`` or ``webgl2``.
        seconds: for each of the two.
        repeats: how often both are measured, in turns.
        side: the map has so many cells a side.
        spread: how far the map's blob reaches, in sides; the more of the picture it covers, the more there is to paint.
    """
    from playwright.sync_api import sync_playwright

    from isotherm.draw.page_settings import page_settings

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(WAYS[renderer]))
        try:
            page = browser.new_page(viewport={"width": 1920, "height": 1080})
            page.set_default_timeout(LONGEST_MS)
            page.route("http://viewer/**", _answer)
            page.goto("http://viewer/")
            page.evaluate(SET_UP, [page_settings(), side, spread, renderer])
            page.evaluate(DRAG, [0.5, True])  # what is compiled and kept from the first frames on
            turns = []
            for _ in range(repeats):
                idle, before = page.evaluate(DRAG, [seconds, False]), cpu_s()
                dragging = page.evaluate(DRAG, [seconds, True])
                turns.append((idle, dragging, 1000 * (cpu_s() - before) / (seconds * dragging)))
            idle, dragging, cpu_ms = (float(value) for value in np.median(turns, axis=0))
            return {
                "idle": idle,
                "dragging": dragging,
                "cpu_ms": cpu_ms,
                "painted_by": page.evaluate("new Promise((done) => { stage.on('paint', done); stage.refresh(); })"),
            }
        finally:
            browser.close()


def cpu_s() -> float:
    """Processor time of all processes that this one has started, which do not end meanwhile."""
    parents, times = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(stat.parent.name)
        parents[pid], times[pid] = int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ours(pid: int) -> bool:
        return parents.get(pid) == os.getpid() or (pid in parents and ours(parents[pid]))

    return sum(time for pid, time in times.items() if ours(pid))


def _answer(route: Any) -> None:
    name = route.request.url.rpartition("/")[2]
    if not name:
        route.fulfill(body=SHELL, content_type="text/html")
    elif (PAGE / name).is_file():
        route.fulfill(body=(PAGE / name).read_bytes(), content_type=KINDS[(PAGE / name).suffix])
    else:
        route.fulfill(status=404)


def main(*, quick: bool = False) -> None:
    """Print a table of frames a second."""
    if CHROMIUM is None:
        print("Chromium is not installed here, so nothing was measured.")
        return
    rows, busy = [], os.getloadavg()[0]
    for name, spread in SPREADS.items():
        for renderer in WAYS:
            one = frames_a_second(renderer, spread=spread, seconds=1.0 if quick else 1.5, repeats=1 if quick else 3)
            rows.append((one["painted_by"], name, one["dragging"], one["cpu_ms"], one["idle"]))
            print(*rows[-1], flush=True)
    columns = ("painted by", "the map", "frames a second, dragging", "processor ms a frame", "frames a second, idle")
    text = table("Opacity dragged at 1920 x 1080, Chromium without a graphics chip", columns, rows)
    print(text)
    results = [dict(zip(columns, row, strict=True)) for row in rows]
    write("dragging", {"load_average_before": busy, "rows": results}, quick=quick)
    publish("dragging", [text], quick=quick)
