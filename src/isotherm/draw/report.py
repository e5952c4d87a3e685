"""Report: one HTML file with everything in it, where maps are drawn from their values as the reader looks.

The page asks nothing of the network, and may not: its content policy allows its own script and style, by their
hashes, and pictures inside of it, and nothing else. Names of files and labels are text to it, never markup.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isotherm.atomic import atomic_write
from isotherm.draw.boxes import as_boxes
from isotherm.draw.colour import Scale
from isotherm.draw.describe import MOST_CELLS, facts_of, in_halves, line_of, page_map, title_of
from isotherm.draw.overlay import check_size
from isotherm.draw.page_script import page_text, script_text
from isotherm.draw.page_settings import page_settings
from isotherm.draw.picture import Picture, fit, open_canvas, picture_tile
from isotherm.draw.style import OPACITY
from isotherm.errors import ShapeError
from isotherm.heatmap import Heatmap
from isotherm.ops.visible import markup
from isotherm.version import __version__

PROGRAM, LOOK = "viewer.js", "page.css"
"""The module that runs in the page, with all that it imports, and how the page looks."""

EXACT_CELLS = 1 << 16
"""Maps of up to this many cells are in the page as float32; larger ones as float16 in units of their largest
magnitude.
"""


@dataclass(frozen=True, eq=False)
class ReportEntry:
    """One picture of a report with its maps.

    Args:
        picture: the source picture, as for :func:`overlay`; None for maps without one.
        heatmaps: over that picture; one that holds several maps counts as several. Their ``label`` and the keys
            ``method``, ``layer``, ``score``, ``trust``, ``box`` (x0, y0, x1, y1 in source pixels) and ``command``
            of their ``meta`` are shown.
        title: a heading; by default the name of the source.
        source: where the picture came from: a path, an address, a time in a video.
        lines: below the heading, such as a question and its answer.
        boxes: (n, 4) x0, y0, x1, y1 in source pixels, of all findings whether explained or not.
        labels: one a box.
        notes: lines below the table.
        trust: one line a map on whether to believe it; by default the maps' own ``meta["trust"]``.
        scale: of all its maps, such as the one that the moments of a clip share; by default each map has its own.
    """

    picture: Picture | None
    heatmaps: Sequence[Heatmap] = ()
    title: str = ""
    source: str = ""
    boxes: Tensor | np.ndarray | Sequence[Sequence[float]] | None = None
    labels: Sequence[str] | None = None
    notes: Sequence[str] = ()
    trust: Sequence[str] | None = None
    lines: Sequence[str] = ()
    scale: Scale | None = None

    def __post_init__(self) -> None:
        if self.picture is None and not len(self.heatmaps):
            raise ShapeError("a report entry needs a picture or a heatmap; it has neither")
        for name, values, expected in (
            ("labels", self.labels, 0 if self.boxes is None else len(as_boxes(self.boxes))),
            ("trust lines", self.trust, len(self.maps)),
        ):
            if values is not None and len(values) != expected:
                raise ShapeError(f"a report entry has {len(values)} {name}; expected {expected}")
        size = self.size
        for heatmap in self.heatmaps:
            for single in _singles(heatmap):
                check_size(single, size)

    @property
    def maps(self) -> list[Heatmap]:
        """All maps, one by one."""
        return [m for h in self.heatmaps for m in _singles(h)]

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the source picture in pixels."""
        if self.picture is not None:
            return open_canvas(self.picture).size
        h, w = self.maps[0].frame.source_size.tolist()
        return h, w


def write_report(
    entries: Iterable[ReportEntry],
    fpath: str | os.PathLike[str],
    *,
    title: str = "Heatmaps",
    command: str | None = None,
    facts: Mapping[str, str] | None = None,
    remarks: Callable[[], Sequence[str]] | None = None,
    side: int = 1600,
) -> Path:
    """Write one self-contained HTML file: overlays with sliders, values under the pointer, a table of all maps.

    Args:
        entries: read one by one, so that a long list need not be in memory.
        fpath: of the HTML file; it appears whole or not at all.
        title: its heading.
        command: the command that makes the same report, shown with a button that copies it.
        facts: more lines for the head, such as the model's name and hash.
        remarks: asked when all entries were read, for what the page does not show, such as pictures that failed; they
            stand at its end.
        side: pictures are stored as JPEG with at most this longer side; positions are in source pixels still.

    Returns:
        The path written.

    Raises:
        ShapeError: a heatmap over another picture, or boxes and labels that do not fit.
        InputError: no such folder.
    """
    fpath = Path(fpath)
    count = maps = 0
    with atomic_write(fpath) as file:
        file.write(_head(title).encode())
        file.write(_top(title, command, facts or {}).encode())
        for entry in entries:
            file.write(_entry(entry, count, side).encode())
            count, maps = count + 1, maps + len(entry.maps)
        file.write((_remarks(remarks()) if remarks is not None else "").encode())
        file.write(_end(count, maps).encode())
    return fpath


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _json(value: Any) -> str:
    """JSON that can stand in a script element: nothing in it can end the element or start another."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _head(title: str) -> str:
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(page_text(LOOK))}; script-src {_hash(script_text(PROGRAM))}; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="generator" content="isotherm {__version__}"><title>{markup(title)}</title>'
        f"<style>{page_text(LOOK)}</style></head>\n<body>"
    )


_MARK = (
    '<svg viewBox="0 0 24 24" fill="none" stroke-width="1.9" aria-hidden="true">'
    '<path stroke="#5c126e" d="M12 2.2c6 0 9.8 4 9.8 9.6S18 21.8 12 21.8 2.2 18 2.2 12 6 2.2 12 2.2z"/>'
    '<path stroke="#cf4446" d="M12.6 6c3.4.1 5.6 2.6 5.6 5.9s-2.3 6.1-5.8 6.1-6.3-2.6-6.3-6S9.2 5.9 12.6 6z"/>'
    '<path stroke="#fb9b06" d="M13 9.7c1.5 0 2.4 1 2.4 2.4s-1 2.5-2.5 2.5-2.7-1-2.7-2.5 1.3-2.4 2.8-2.4z"/></svg>'
)


def _copyable(command: str) -> str:
    return f'<div class="command"><code>{markup(command)}</code><button type="button" class="copy">Copy</button></div>'


def _top(title: str, command: str | None, facts: Mapping[str, str]) -> str:
    lines = "".join(f"<li>{markup(name)} <b>{markup(value)}</b></li>" for name, value in facts.items())
    percent = round(100 * OPACITY)
    return f"""<header class="top"><div class="brand">{_MARK}<span>isotherm {__version__}</span></div>
<h1>{markup(title)}</h1><ul class="facts">{lines}</ul>{_copyable(command) if command else ""}
<noscript><p>Scripts are off, so the maps are not drawn here; pictures and tables are.</p></noscript></header>
<nav class="controls" aria-label="How maps are drawn"><div>
<label>Style <select id="style"></select></label>
<label for="opacity">Opacity <input id="opacity" type="range" min="0" max="100" value="{percent}"><output id="opacity-value" class="num"></output></label>
<label for="threshold">Threshold <input id="threshold" type="range" min="0" max="100" value="0"><output id="threshold-value" class="num"></output></label>
<label><input id="boxes" type="checkbox" checked> Boxes</label>
<label>Scale <select id="share"><option value="map">of each map</option><option value="picture">shared in a picture</option><option value="report">shared by all</option></select></label>
<label>Colours <select id="unsigned"></select></label>
<label>Signed <select id="signed"></select></label>
<span class="end"><button type="button" class="tool" id="bare" aria-pressed="false" title="Key h">Picture only</button>
<button type="button" class="tool" id="theme">Light / dark</button></span></div></nav>
<script type="application/json" id="settings">{_json(page_settings())}</script>
<main>
"""


def _entry(entry: ReportEntry, index: int, side: int) -> str:
    h, w = entry.size
    maps = entry.maps
    trust = list(entry.trust) if entry.trust is not None else [facts_of(m).get("trust", "") for m in maps]
    data = {
        "h": h,
        "w": w,
        "maps": [_map(m, entry.scale) for m in maps],
        "boxes": [] if entry.boxes is None else as_boxes(entry.boxes).tolist(),
        "labels": [str(label) for label in entry.labels or ()],
    }
    title = entry.title or Path(entry.source).name or f"Picture {index + 1}"
    source = " · ".join(markup(t) for t in (entry.source, f"{w} × {h} px") if t)
    image = "" if entry.picture is None else f'<img alt="{markup(title)}" src="{_jpeg(entry.picture, (h, w), side)}">'
    table = _table(maps, trust) if maps else '<p class="none">No maps: there was nothing to explain.</p>'
    notes = "".join(f"<li>{markup(n)}</li>" for n in entry.notes)
    lines = "".join(f'<p class="line">{markup(line)}</p>' for line in entry.lines)
    return f"""<section class="entry" aria-labelledby="entry-{index}"><h2 id="entry-{index}">{markup(title)}</h2><p class="source">{source}</p>{lines}
<div class="columns"><figure><div class="stage" tabindex="0" role="group" aria-label="Picture with map. Arrow keys read values, plus and minus zoom, 0 shows all of it, P pins a reading, B goes to the next box.">{image}</div>
<figcaption class="under"{"" if maps else " hidden"}><div class="bar" aria-hidden="true"></div>
<p class="readout" aria-live="polite"></p></figcaption></figure>
<div>{table}{f'<ul class="notes">{notes}</ul>' if notes else ""}</div></div>
<script type="application/json">{_json(data)}</script></section>
"""


def _table(maps: Sequence[Heatmap], trust: Sequence[str]) -> str:
    rows, details = [], []
    show_trust = any(trust)
    for i, (m, belief) in enumerate(zip(maps, trust, strict=True)):
        facts = facts_of(m)
        low, high = _range(m)
        rows.append(
            f'<tr data-map="{i}"><td class="thumb"><canvas width="1" height="1" aria-hidden="true"></canvas></td>'
            f'<th scope="row"><button type="button" class="pick" aria-pressed="false">{markup(title_of(m, f"map {i + 1}"))}</button>'
            f"<small>{markup(line_of(m))}</small></th>"
            f'<td class="num">{markup(facts.get("score", ""))}</td><td class="num">{markup(high)}</td>'
            + (_verdict(belief) if show_trust else "")
            + "</tr>"
        )
        shown = {
            **{name: text for name, text in facts.items() if name != "trust"},
            "kind": m.kind + (", signed" if m.signed else ""),
            "values": f"{low} to {high}",
            "cells": f"{m.frame.size[1]} × {m.frame.size[0]}"
            + (", drawn from fewer in this page" if m.values.numel() > MOST_CELLS else ""),
            "trust": belief.removeprefix("trust: "),
        }
        lines = "".join(f"<dt>{markup(name)}</dt><dd>{markup(text)}</dd>" for name, text in shown.items() if text)
        own = _copyable(str(m.meta["command"])) if m.meta.get("command") else ""
        details.append(f'<div class="details" data-details{"" if i == 0 else " hidden"}><dl>{lines}</dl>{own}</div>')
    heads = ["", "Map", "Score", "Strongest", *(["Trust"] if show_trust else [])]
    head = "".join(f'<th scope="col" class="{name.lower()}">{name}</th>' for name in heads)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>{"".join(details)}'


TONES = {"believable": "good", "doubtful": "mixed", "do not trust": "bad"}
"""Of each verdict its colour, as the studio has it."""


def _verdict(belief: str) -> str:
    """What a line of trust comes to, in its colour, with the figure that decided; the others are among the details."""
    figures, _, last = belief.removeprefix("trust: ").rpartition("→ ")
    verdict, _, reason = last.partition(" (")
    figure = figures.partition(" (")[0].strip() if figures.startswith("evidence gain") else ""
    small = "".join(f"<small>{markup(text)}</small>" for text in (figure, reason.removesuffix(")")) if text)
    word = f'<b class="{TONES.get(verdict, "")}">{markup(verdict)}</b>'
    return f'<td class="trust" title="{markup(belief)}">{word}{small}</td>'


def _range(heatmap: Heatmap) -> tuple[str, str]:
    finite = heatmap.values[torch.isfinite(heatmap.values)]
    return (f"{float(finite.min()):.4g}", f"{float(finite.max()):.4g}") if finite.numel() else ("no value", "no value")


def _map(heatmap: Heatmap, scale: Scale | None = None) -> dict[str, Any]:
    facts, values = page_map(heatmap, scale)
    exact = values.numel() <= EXACT_CELLS
    unit, array = (1.0, values.numpy().astype("<f4")) if exact else in_halves(values)
    data = base64.b64encode(array.tobytes()).decode()
    return {**facts, "label": title_of(heatmap, ""), "type": "f4" if exact else "f2", "unit": unit, "data": data}


def _jpeg(picture: Picture, size: tuple[int, int], side: int) -> str:
    image = picture_tile(picture, fit(size, (side, side)) if max(size) > side else size)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _singles(heatmap: Heatmap) -> list[Heatmap]:
    if heatmap.values.ndim == 2:
        return [heatmap]
    numbered = heatmap.values.ndim == 3 and len(heatmap) > 1 and heatmap.label
    return [s.with_(label=f"{s.label} [{i}]") if numbered else s for i, m in enumerate(heatmap) for s in _singles(m)]


def _remarks(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{markup(line)}</li>" for line in lines)
    return f'<section class="missing" aria-labelledby="missing"><h2 id="missing">Not shown here</h2><ul class="notes">{items}</ul></section>\n'


def _end(count: int, maps: int) -> str:
    pictures = "1 picture" if count == 1 else f"{count} pictures"
    drawn = "1 map" if maps == 1 else f"{maps} maps"
    return f'</main>\n<footer class="end">{pictures}, {drawn}. Values are interpolated before they are coloured.</footer>\n<script>{script_text(PROGRAM)}</script></body></html>\n'
