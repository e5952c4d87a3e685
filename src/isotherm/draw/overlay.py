"""Overlay: a map over its picture, in source pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from isotherm.draw.blend import blend
from isotherm.draw.boxes import Boxes, as_boxes, draw_boxes
from isotherm.draw.colour import Ink, Scale, scale_of
from isotherm.draw.describe import CAPTIONS, silence_of
from isotherm.draw.marks import draw_marks
from isotherm.draw.picture import Colours, Picture, like, open_canvas, to_pil
from isotherm.draw.sheet import add_colour_bar, add_footer, add_title
from isotherm.draw.style import Style, as_style, on_paper
from isotherm.draw.text import font_for, measure, text_size
from isotherm.errors import ShapeError
from isotherm.frame import Size
from isotherm.heatmap import Heatmap

UNSEEN = (236, 238, 241)
"""Behind a map without its picture: what the frame does not cover, or has no value."""


def overlay(
    heatmap: Heatmap,
    picture: Picture,
    *,
    scale: Scale | None = None,
    style: Style | str | None = None,
    boxes: Boxes | None = None,
    labels: Sequence[str] | None = None,
    colour_bar: bool = False,
    title: str | None = None,
    footer: str | None = None,
) -> Picture:
    """The picture with the heatmap over it, each cell on the pixels that it belongs to.

    The values are interpolated through the heatmap's frame as floats and coloured after that. Where the values are
    below a tenth of the scale the picture is untouched; pixels that the frame does not cover, and cells that are NaN,
    are marked faintly; infinities are drawn as the ends of the scale, which finite values decide. A map without a
    positive value is not stretched into one: the picture comes back with the words "no positive evidence" on it.

    Args:
        heatmap: a single map; index a heatmap that holds several.
        picture: the source picture, of the frame's source size: PIL in any mode, or an array (H, W), (H, W, 3)
            RGB or (H, W, 4) RGBA of uint8, uint16, or floating point from 0 to 1.
        scale: the values at the ends of the colour map; by default the heatmap's own
            (:func:`~isotherm.draw.shared_scale` makes one for several).
        style: how the map is drawn: a :class:`~isotherm.draw.Style`, or the name of one (isotherm, tint, grey, lines,
            outline, even); None: isotherm.
        boxes: (n, 4) x0, y0, x1, y1 in source pixels, edge-origin.
        labels: one a box.
        colour_bar: a colour bar to the right of the picture.
        title, footer: text above and below.

    Returns:
        A new picture: PIL for PIL, an array of the same dtype for an array; grey comes back as RGB, transparency
        stays. It is larger than the picture by what a title, a footer and a colour bar add.

    Raises:
        ShapeError: a heatmap of several maps, a picture of another size, boxes or labels that do not fit.
        OptionError: an unknown style.

    Example:
        >>> from isotherm.frame import Frame
        >>> heatmap = Heatmap(torch.eye(4), Frame.resize((48, 64), (4, 4)), "relevance")
        >>> overlay(heatmap, np.zeros((48, 64, 3), np.uint8)).shape
        (48, 64, 3)
    """
    single(heatmap)
    canvas = open_canvas(picture)
    check_size(heatmap, canvas.size)
    scale = scale_of(heatmap) if scale is None else scale
    style = as_style(style)
    plain, drawn = _laid_over(canvas.rgb, heatmap, scale=scale, style=style, boxes=boxes, labels=labels)
    if colour_bar:
        drawn = add_colour_bar(drawn, scale, style=style, signed=heatmap.signed, caption=CAPTIONS[heatmap.kind])
    below = drawn.height
    if title:
        drawn = add_title(drawn, title)
    offset = (0, drawn.height - below)
    if footer:
        drawn = add_footer(drawn, footer)
    return like(canvas, drawn, plain, offset)


def overlay_tile(
    heatmap: Heatmap,
    tile: Image.Image,
    *,
    scale: Scale,
    style: Style,
    boxes: Boxes | None = None,
    labels: Sequence[str] | None = None,
    font_size: int | None = None,
) -> Image.Image:
    """The map and the boxes (in source pixels) over the whole source picture at any size.

    A picture made smaller first and drawn on then keeps its lines and text sharp, and a hundred tiles of large photos
    cost little.
    """
    return _laid_over(tile, heatmap, scale=scale, style=style, boxes=boxes, labels=labels, font_size=font_size)[1]


def map_tile(heatmap: Heatmap, size: Size, *, scale: Scale, style: Style, font_size: int | None = None) -> Image.Image:
    """The map alone over its source at ``size`` (h, w), without its picture: full colours on paper, for and against."""
    ground = Image.new("RGB", (size[1], size[0]), UNSEEN)
    return overlay_tile(heatmap, ground, scale=scale, style=on_paper(style), font_size=font_size)


def _laid_over(
    rgb: Colours,
    heatmap: Heatmap,
    *,
    scale: Scale,
    style: Style,
    boxes: Boxes | None,
    labels: Sequence[str] | None,
    font_size: int | None = None,
) -> tuple[Colours, Image.Image]:
    """The source picture at any size with the map over it, in its own type, and the same in 8 bits with lines, peak,
    boxes and words.
    """
    plain = blend(rgb, heatmap.values, heatmap.frame, scale=scale, ink=Ink.of(style, scale, signed=heatmap.signed))
    drawn = plain if isinstance(plain, Image.Image) else to_pil(plain)
    draw_marks(drawn, heatmap, scale, style)
    if boxes is not None:
        h, w = heatmap.frame.source_size.tolist()
        boxes = as_boxes(boxes) * np.array([drawn.width / w, drawn.height / h] * 2)
        draw_boxes(drawn, boxes, labels, font_size=font_size)
    if silence := silence_of(heatmap):
        draw_chip(drawn, silence, font_size=font_size)
    return plain, drawn


def single(heatmap: Heatmap) -> None:
    """Raises ShapeError for a heatmap that holds several maps, and says what to do with it."""
    if heatmap.values.ndim > 2:
        raise ShapeError(
            f"this heatmap holds maps of shape {tuple(heatmap.values.shape)}; an overlay draws one. "
            "Index it (heatmap[0]), or draw all of them with comparison_grid, contact_sheet, moment_sheet or overlay_frames"
        )


def check_size(heatmap: Heatmap, size: tuple[int, int]) -> None:
    """Raises ShapeError where the picture is not the one that the frame speaks of."""
    h, w = heatmap.frame.source_size.tolist()
    if (h, w) != size:
        hint = "; turn it first with PIL.ImageOps.exif_transpose" if (w, h) == size else ""
        raise ShapeError(
            f"the picture is {size[0]} x {size[1]} (h x w) but the heatmap's source is {h} x {w}; "
            f"pass the picture that was explained, at its own size{hint}"
        )


def draw_chip(image: Image.Image, text: str, *, font_size: int | None = None) -> None:
    """A short note in the lower left corner of an RGB picture, changed in place."""
    size = font_size or text_size(image.height, image.width)
    font = font_for(text, size)
    pad = max(3, round(size * 0.45))
    w, h = measure(text, font)
    x, y = pad, image.height - h - 3 * pad
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((x, y, x + w + 2 * pad, y + h + 2 * pad), radius=pad, fill=(17, 24, 39))
    draw.text((x + pad, y + pad + h / 2), text, font=font, fill=(249, 250, 251), anchor="lm")
