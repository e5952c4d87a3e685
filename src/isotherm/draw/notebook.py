"""Notebooks: how a heatmap, or a list of them, shows itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from itertools import islice

from PIL import Image

from isotherm.draw.colour import Scale, scale_of, shared_scale
from isotherm.draw.describe import box_of, facts_of, line_of, title_of
from isotherm.draw.overlay import map_tile, overlay_tile
from isotherm.draw.picture import fit, picture_tile
from isotherm.draw.sheet import Tile, arrange
from isotherm.draw.style import as_style
from isotherm.draw.text import text_size
from isotherm.heatmap import Heatmap
from isotherm.ops.visible import markup

SIDE = 480
"""Longer side of a single map in a notebook, in pixels."""

MOST = 24
"""Maps that are drawn of a heatmap that holds more; the caption says how many are left out."""

_FIGURE = "display:inline-block;margin:0 12px 12px 0;vertical-align:top;max-width:{side}px;font:13px/1.45 system-ui,sans-serif"
_LINE = "font:13px/1.45 system-ui,sans-serif;white-space:pre-line"
_MUTED = "opacity:.7;font-size:12px"
_ALARM = "font:bold 13px/1.45 system-ui,sans-serif;color:#fff;background:#b3261e;padding:6px 10px;border-radius:4px;margin:0 0 10px"


def heatmap_png(heatmap: Heatmap) -> bytes:
    """The heatmap as a PNG: over its picture where it has one, alone otherwise; several maps become a sheet."""
    maps = _singles(heatmap)
    if len(maps) == 1:
        return _png(_draw(maps[0], SIDE, None))
    side = SIDE // 2
    names = (
        heatmap.moments.names
        if heatmap.moments is not None and heatmap.values.ndim == 3
        else [f"[{i}]" for i in range(len(maps))]
    )
    scale = _scale_of_all(heatmap)
    tiles = [
        Tile(_draw(m, side, scale), f"{title_of(m, '')} {name}".strip())
        for m, name in zip(maps, names[: len(maps)], strict=True)
    ]
    columns = min(4, len(tiles))
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    return _png(arrange(rows, font_size=text_size(side, side, share=0.055, smallest=12)))


def heatmap_html(heatmap: Heatmap) -> str:
    """The heatmap as a piece of HTML that needs nothing from elsewhere: its picture with label and facts below."""
    maps = _singles(heatmap)
    total = _count(heatmap)
    figures = "".join(_figure(m, SIDE if total == 1 else SIDE // 2, _scale_of_all(heatmap)) for m in maps)
    more = f'<div style="{_MUTED}">{total - len(maps)} more not drawn</div>' if total > len(maps) else ""
    return f'<div class="isotherm">{figures}{more}</div>'


def gallery_html(
    heatmaps: Sequence[Heatmap],
    *,
    lines: Sequence[str] = (),
    trust_line: str | None = None,
    command: str | None = None,
    warnings: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> str:
    """Several heatmaps side by side as a piece of HTML, with a line on whether to believe them and the command.

    Args:
        heatmaps: singles, or holding several maps; the first 24 maps are drawn.
        lines: shown above, such as a question and its answer.
        trust_line: shown below, if any.
        command: the command that makes the same, if any.
        warnings: lines above everything, in red.
        notes: what else a person should know, below.
    """
    total = sum(_count(h) for h in heatmaps)
    maps = list(islice(((m, _scale_of_all(h)) for h in heatmaps for m in _singles(h)), MOST))
    side = SIDE if total == 1 else SIDE * 2 // 3
    figures = "".join(_figure(m, side, scale) for m, scale in maps) or f'<span style="{_MUTED}">no heatmaps</span>'
    alarms = "".join(f'<div role="alert" style="{_ALARM}">{markup(line)}</div>' for line in warnings)
    above = "".join(f'<div style="{_LINE}">{markup(line)}</div>' for line in lines)
    below = []
    if total > len(maps):
        below.append(f'<div style="{_MUTED}">{total - len(maps)} more not drawn</div>')
    if trust_line:
        below.append(f'<div style="{_LINE}">{markup(trust_line)}</div>')
    below += [f'<div style="{_LINE};{_MUTED}">{markup(note)}</div>' for note in notes]
    if command:
        below.append(f'<code style="{_MUTED}">{markup(command)}</code>')
    return f'<div class="isotherm">{alarms}{above}{figures}{"".join(below)}</div>'


def _count(heatmap: Heatmap) -> int:
    return int(heatmap.values.shape[:-2].numel())


def _singles(heatmap: Heatmap) -> list[Heatmap]:
    if heatmap.values.ndim == 2:
        return [heatmap]
    return list(islice((s for m in heatmap for s in _singles(m)), MOST))


def _scale_of_all(heatmap: Heatmap) -> Scale | None:
    """The scale that the moments of a clip share; None where each map has its own."""
    return None if heatmap.moments is None else shared_scale([heatmap])


def _draw(heatmap: Heatmap, side: int, scale: Scale | None) -> Image.Image:
    source = heatmap.frame.source_size.tolist()
    scale = scale or scale_of(heatmap)
    picture, box = heatmap.picture, box_of(heatmap)
    size = fit(source, (side, side))
    if picture is None or list(picture.shape[:2]) != source:
        return map_tile(heatmap, size, scale=scale, style=as_style(None))
    return overlay_tile(
        heatmap, picture_tile(picture, size), scale=scale, style=as_style(None), boxes=None if box is None else [box]
    )


def _figure(heatmap: Heatmap, side: int, scale: Scale | None) -> str:
    data = base64.b64encode(_png(_draw(heatmap, side, scale))).decode()
    title, line, trust = title_of(heatmap), line_of(heatmap), facts_of(heatmap).get("trust", "")
    belief = f'<div style="{_MUTED}">{markup(trust)}</div>' if trust else ""
    return (
        f'<figure style="{_FIGURE.format(side=side)}">'
        f'<img alt="{markup(f"{title}: {line}")}" style="max-width:100%;border-radius:4px" '
        f'src="data:image/png;base64,{data}">'
        f'<figcaption><strong>{markup(title)}</strong><div style="{_MUTED}">{markup(line)}</div>{belief}</figcaption></figure>'
    )


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=3)
    return file.getvalue()
