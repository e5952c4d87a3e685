"""The viewer on an empty page in Chromium, its modules straight from the folder, without a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from isotherm.draw.page_script import FOLDER
from isotherm.draw.page_settings import page_settings
from rigs.programs import CHROMIUM

FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-background-networking")
"""With WebGL2, run by the processor where there is no graphics chip."""
KINDS = {".js": "text/javascript", ".css": "text/css"}
SHELL = '<!doctype html><html lang="en"><title>t</title><link rel="stylesheet" href="/page.css"><body></body></html>'

SHOW = """async ([settings, map, changes, options, source]) => {
  const { Stage } = await import("/stage.js"), root = document.createElement("div");
  root.className = "stage";
  root.style.width = `${source.shown}px`;
  document.body.style.margin = 0;
  document.body.replaceChildren(root);
  const canvas = new OffscreenCanvas(source.w, source.h), context = canvas.getContext("2d"), image = context.createImageData(source.w, source.h);
  for (let i = 0; i < image.data.length; i++) image.data[i] = i % 4 === 3 ? 255 : (i * 7919) % 251;
  context.putImageData(image, 0, 0);
  const number = (v) => (typeof v === "string" ? Number(v) : v);
  window.events = [];
  window.stage = new Stage(root, settings, options);
  for (const name of ["pick", "pin", "view", "paint"]) stage.on(name, (event) => events.push([name, event]));
  stage.on("point", (reading) => { window.reading = reading; });
  stage.show({ ...source, image: URL.createObjectURL(await canvas.convertToBlob()) }, [{ ...map, values: Float32Array.from(map.values, number) }]);
  stage.look(changes);
  await stage.image.decode();
  stage.render();
}"""


@contextmanager
def viewer_page() -> Iterator[Any]:
    """A page that can import the viewer's modules by their names; it ends with the block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            page = browser.new_page(viewport={"width": 800, "height": 600})
            page.set_default_timeout(30_000)
            page.errors = []
            page.on("pageerror", lambda error: page.errors.append(str(error)))
            page.on("console", lambda line: page.errors.append(line.text) if line.type == "error" else None)
            page.route("http://viewer/**", _answer)
            page.goto("http://viewer/")
            yield page
        finally:
            browser.close()


def show(page: Any, values: list[list[Any]], *, look: dict[str, Any] | None = None, **changes: Any) -> None:
    """Put a stage with one map on the page, as ``window.stage``; numbers that JSON has not may be words.

    Args:
        look: how it is drawn.
        changes: of the map, of the source (``h``, ``w``, ``shown``, ``boxes``, ``labels``), and the ``renderer``.
    """
    h, w = len(values), len(values[0])
    source = {"h": 60, "w": 90, "shown": 180, "boxes": [], "labels": []}
    source |= {key: changes.pop(key) for key in tuple(source) if key in changes}
    options = {"renderer": changes.pop("renderer", "canvas")}
    map_ = {
        "label": "a map",
        "kind": "relevance",
        "signed": False,
        "silent": "",
        "low": 0.0,
        "high": 1.0,
        "beyond": False,
        "lowest": 0.0,
        "h": h,
        "w": w,
        "m": [w / source["w"], 0, 0, 0, h / source["h"], 0],
        "limits": [0, 0, w, h],
        "type": "f4",
        "unit": 1,
        "box": None,
        "values": [value for row in values for value in row],
        **changes,
    }
    page.evaluate(SHOW, [page_settings(), map_, look or {}, options, source])


def _answer(route: Any) -> None:
    name = route.request.url.rpartition("/")[2]
    if not name:
        route.fulfill(body=SHELL, content_type="text/html")
    elif (FOLDER / name).is_file():
        route.fulfill(body=(FOLDER / name).read_bytes(), content_type=KINDS[(FOLDER / name).suffix])
    else:
        route.fulfill(status=404)
