"""Sheets: pictures on paper, with a title above, the command that made them below and a colour bar at their side, or as
tiles in rows and columns with headings and captions.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from isotherm.draw.colour import Ink, Scale
from isotherm.draw.picture import bands
from isotherm.draw.style import HALF, Style, on_paper
from isotherm.draw.text import INK, LINE, MUTED, PAPER, Font, clean, font_for, measure, text_size, wrap

MOST_TITLE_LINES, MOST_FOOTER_LINES = 8, 24
"""Longer text ends in an ellipsis: what it belongs to must stay a picture."""
LEAST_WIDTH = 320
"""Narrower pictures get this much paper for their text."""


def add_title(image: Image.Image, title: str, *, lines: int = MOST_TITLE_LINES) -> Image.Image:
    """A new picture with the title above, which ends in an ellipsis where it takes more than so many lines.

    With ``lines=1`` pictures of one size stay of one size whatever is written above them, as the frames of a film must.
    """
    return _with_text(image, title, above=True, most=lines)


def add_footer(image: Image.Image, text: str) -> Image.Image:
    """A new picture with small text below, on as many lines as it needs, so that a command can be retyped; only one
    that takes more than :data:`MOST_FOOTER_LINES` of them ends in an ellipsis.
    """
    return _with_text(image, text, above=False, most=MOST_FOOTER_LINES)


def _with_text(image: Image.Image, text: str, *, above: bool, most: int) -> Image.Image:
    width = max(image.width, LEAST_WIDTH)
    reference = min(image.height, 2 * width), width
    size = (
        text_size(*reference, share=0.026, smallest=13) if above else text_size(*reference, share=0.0165, smallest=11)
    )
    font = font_for(text, size)
    pad = max(6, round(size * 0.65))
    lines = wrap(text, font, width - 2 * pad)
    if len(lines) > most:
        lines = [*lines[: most - 1], _ended(lines[most - 1], font, width - 2 * pad)]
    line_height = round(measure("", font)[1] * 1.28)
    strip = len(lines) * line_height + 2 * pad - round(line_height * 0.2)
    out = on_larger_paper(image, (width, image.height + strip), (0, strip if above else 0))
    draw = ImageDraw.Draw(out)
    y = pad if above else image.height + pad
    for line in lines:
        draw.text((pad, y), line, font=font, fill=INK if above else MUTED, anchor="la")
        y += line_height
    return out


def _ended(line: str, font: Font, width: int) -> str:
    """As much of a line as fits with an ellipsis behind it."""
    while line and font.getlength(f"{line} ...") > width:
        line = line[:-1]
    return f"{line.rstrip()} ..."


def add_colour_bar(image: Image.Image, scale: Scale, *, style: Style, signed: bool, caption: str = "") -> Image.Image:
    """A new picture with the colour bar of ``scale`` to its right."""
    return beside(image, colour_bar(image.height, scale, style=style, signed=signed, caption=caption))


def beside(image: Image.Image, other: Image.Image) -> Image.Image:
    """Two pictures next to each other, their tops in line."""
    out = on_larger_paper(image, (image.width + other.width, max(image.height, other.height)), (0, 0))
    out.paste(other, (image.width, 0))
    return out


def on_larger_paper(image: Image.Image, size: tuple[int, int], corner: tuple[int, int]) -> Image.Image:
    """A new picture of (w, h) pixels, paper but for ``image``, whose upper left corner lies at ``corner`` (x, y)."""
    out = Image.new("RGB", size, None)  # not filled first: of a large photo that takes half as long as colouring it
    x, y = corner
    w, h = size
    for box in (
        (0, 0, w, y),
        (0, y + image.height, w, h),
        (0, y, x, y + image.height),
        (x + image.width, y, w, y + image.height),
    ):
        if box[2] > box[0] and box[3] > box[1]:
            out.paste(PAPER, box)
    image.load()
    for y0, y1 in bands((image.height, image.width)):
        out.paste(image.crop((0, y0, image.width, y1)), (x, y + y0))
    return out


def colour_bar(
    height: int, scale: Scale, *, style: Style, signed: bool, caption: str = "", font_size: int | None = None
) -> Image.Image:
    """A colour bar with ticks at round numbers, ``height`` pixels high, on paper.

    Args:
        height: in pixels; the bar itself is shorter by a margin. Where that leaves no room for two ticks, it is higher.
        scale: the values at its ends; an empty one gives a blank bar that says so.
        style: how the map is drawn. The bar shows its colours as they lie on paper, and its lines where they lie in the
            scale.
        signed: True where the map is: below 0 stand the colours of evidence against.
        caption: written along the bar, such as what the numbers are.
        font_size: in pixels; by default it follows the height.
    """
    size = font_size or text_size(height, height, share=0.021, smallest=11)
    font = font_for(caption, size)
    pad = max(6, round(size * 0.8))
    width = max(10, round(size * 1.1))
    height = max(height, 2 * pad + 3 * size)
    top, bottom = pad, height - pad
    ticks = [] if scale.is_empty else [(v, f) for v, f in nice_ticks(scale, max(2, (bottom - top) // (4 * size)))]
    label_width = max([measure(text, font)[0] for _, text in ticks] or [0])
    caption_height = measure("", font)[1] + pad // 2 if caption else 0
    out = Image.new("RGB", (pad + width + pad // 2 + label_width + caption_height + pad, height), PAPER)
    draw = ImageDraw.Draw(out)
    if scale.is_empty:
        draw.rectangle((pad, top, pad + width, bottom), outline=LINE)
    else:
        ink = Ink.of(on_paper(style), scale, signed=signed)
        colour = (ink.colour * ink.alpha[:, None] + 1 - ink.alpha[:, None])[1:].mul(255).round().byte().flip(0)
        bar = Image.fromarray(colour[:, None].contiguous().numpy()).resize(
            (width, bottom - top), Image.Resampling.BILINEAR
        )
        out.paste(bar, (pad, top))
        draw.rectangle((pad, top, pad + width, bottom), outline=LINE)
        if scale.beyond:  # an arrow, as is usual: there are values below the lower end
            draw.polygon(
                [(pad, bottom), (pad + width, bottom), (pad + width / 2, bottom + 0.7 * pad)],
                fill=bar.getpixel((0, bar.height - 1)),
            )
        for share in style.lines:
            y = bottom - (scale.value_at(share, signed=signed) - scale.low) / (scale.high - scale.low) * (bottom - top)
            draw.line(
                (pad, y, pad + width, y),
                fill=INK if share == HALF else MUTED,
                width=max(1, size // 6) if share == HALF else 1,
            )
    for value, text in ticks:
        y = bottom - (value - scale.low) / (scale.high - scale.low) * (bottom - top)
        draw.line((pad + width, y, pad + width + pad // 4, y), fill=MUTED, width=max(1, size // 12))
        draw.text((pad + width + pad // 2, y), text, font=font, fill=INK, anchor="lm")
    if caption:
        line = Image.new("L", (max(1, bottom - top), caption_height), 0)
        ImageDraw.Draw(line).text((line.width / 2, line.height / 2), caption, font=font, fill=255, anchor="mm")
        turned = line.rotate(90, expand=True)
        out.paste(MUTED, (out.width - caption_height - pad // 2, top), turned)
    return out


def nice_ticks(scale: Scale, count: int) -> list[tuple[float, str]]:
    """About ``count`` round numbers within the scale, each with its text; 0 is one of them where it lies inside."""
    span = scale.high - scale.low
    raw = span / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(scale.low / step - 1e-9)
    last = math.floor(scale.high / step + 1e-9)
    values = [k * step for k in range(first, last + 1)]
    return [(v, number(v, step)) for v in values]


def number(value: float, step: float) -> str:
    """A tick's text: as many decimals as the step needs, powers of ten for the very large and the very small."""
    if value == 0:
        return "0"
    if abs(step) < 1e-3 or abs(value) >= 1e5:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    decimals += round(step * 10**decimals, 6) % 1 != 0  # 2.5 of something needs one more
    return f"{value:.{decimals}f}"


@dataclass(frozen=True)
class Tile:
    """One place of a grid: a picture, and a line below it."""

    image: Image.Image
    caption: str = ""


def shorten(text: str, font: Font, width: int) -> str:
    """The text, or as much of it as fits ``width`` pixels with an ellipsis in its middle (ends tell names apart)."""
    text = clean(text)
    if font.getlength(text) <= width:
        return text

    def with_ellipsis(kept: int) -> str:
        return f"{text[: (kept + 1) // 2]}...{text[len(text) - kept // 2 :]}"

    # measuring costs as much as drawing, so the longest that fits is searched for by halves
    kept = bisect_left(range(len(text)), True, lo=2, key=lambda kept: font.getlength(with_ellipsis(kept)) > width) - 1
    return with_ellipsis(kept) if kept >= 2 else ""


def arrange(
    rows: Sequence[Sequence[Tile | None]],
    *,
    row_names: Sequence[str] | None = None,
    column_names: Sequence[str] | None = None,
    font_size: int,
) -> Image.Image:
    """One picture of all tiles; columns are as wide as their widest tile, rows as high as their highest.

    Args:
        rows: tiles, or None for an empty place.
        row_names: written upwards, left of each row.
        column_names: above each column.
        font_size: of headings in pixels; captions are a little smaller.
    """
    columns = max(len(row) for row in rows)
    gap = max(6, round(font_size * 0.7))
    widths = [max((t.image.width for row in rows for t in row[c : c + 1] if t), default=0) for c in range(columns)]
    heights = [max((t.image.height for t in row if t), default=0) for row in rows]
    small = max(10, round(font_size * 0.85))
    line = round(measure("", font_for("", font_size))[1] * 1.3)
    small_line = round(measure("", font_for("", small))[1] * 1.5)
    captions = [small_line if any(t and t.caption for t in row) else 0 for row in rows]
    left = gap + (line + gap // 2 if row_names else 0)
    top = gap + (line + gap // 3 if column_names else 0)
    out = Image.new(
        "RGB", (left + sum(widths) + gap * columns, top + sum(heights) + sum(captions) + gap * len(rows)), PAPER
    )
    draw = ImageDraw.Draw(out)
    xs = [left + sum(widths[:c]) + gap * c for c in range(columns)]
    for c, name in enumerate(column_names or ()):
        font = font_for(name, font_size)
        draw.text(
            (xs[c] + widths[c] / 2, gap + line / 2), shorten(name, font, widths[c]), font=font, fill=INK, anchor="mm"
        )
    y = top
    for r, row in enumerate(rows):
        if row_names:
            _upwards(out, row_names[r], (gap, y), line, heights[r], font_size)
        for c, tile in enumerate(row):
            if tile is None:
                continue
            x = xs[c] + (widths[c] - tile.image.width) // 2
            place = y + (heights[r] - tile.image.height) // 2
            out.paste(tile.image, (x, place))
            if tile.caption:
                font = font_for(tile.caption, small)
                text = shorten(tile.caption, font, widths[c])
                draw.text(
                    (xs[c] + widths[c] / 2, y + heights[r] + small_line * 0.55),
                    text,
                    font=font,
                    fill=MUTED,
                    anchor="mm",
                )
        y += heights[r] + captions[r] + gap
    return out


def _upwards(out: Image.Image, text: str, corner: tuple[int, int], width: int, height: int, font_size: int) -> None:
    font = font_for(text, font_size)
    strip = Image.new("L", (max(1, height), width), 0)
    ImageDraw.Draw(strip).text((height / 2, width / 2), shorten(text, font, height), font=font, fill=255, anchor="mm")
    out.paste(INK, corner, strip.rotate(90, expand=True))
