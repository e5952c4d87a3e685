"""Boxes and labels on a picture, readable on any background and at any size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from isotherm.draw.text import clean, font_for, measure, text_size
from isotherm.errors import ShapeError

Colour = tuple[int, int, int]
Boxes = Tensor | np.ndarray | Sequence[Sequence[float]]
"""(n, 4) x0, y0, x1, y1 in pixels, edge-origin."""

PALETTE: tuple[Colour, ...] = (
    (34, 211, 238),
    (163, 230, 53),
    (244, 114, 182),
    (251, 191, 36),
    (167, 139, 250),
    (52, 211, 153),
    (251, 113, 133),
    (96, 165, 250),
)
"""Bright colours that stand apart from each other; a dark rim keeps them visible on bright ground."""

RIM: Colour = (15, 23, 42)


def as_boxes(boxes: Boxes) -> np.ndarray:
    """(n, 4) float64 boxes (x0, y0, x1, y1) from a tensor, an array or lists.

    Raises:
        ShapeError: not (n, 4), not finite, or a corner the wrong way round (as boxes (x, y, w, h) often are).
    """
    array = boxes.detach().cpu().double().numpy() if isinstance(boxes, Tensor) else np.asarray(boxes, np.float64)
    if array.size == 0:
        return np.zeros((0, 4))
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or array.shape[1] != 4:
        raise ShapeError(f"boxes have shape {array.shape}; expected (n, 4): x0, y0, x1, y1 in source pixels")
    if not np.isfinite(array).all():
        raise ShapeError("a box has a corner that is not finite; expected x0, y0, x1, y1 in source pixels")
    if (array[:, 2:] < array[:, :2]).any():
        bad = array[(array[:, 2:] < array[:, :2]).any(1)][0].tolist()
        raise ShapeError(f"box {bad} ends before it starts; expected x0, y0, x1, y1 (not x, y, w, h) in source pixels")
    return array


def draw_boxes(
    image: Image.Image,
    boxes: Boxes,
    labels: Sequence[str] | None = None,
    *,
    colours: Sequence[Colour] | None = None,
    font_size: int | None = None,
) -> None:
    """Draw boxes with labels into an RGB picture.

    Args:
        image: mode RGB, changed in place.
        boxes: (n, 4) x0, y0, x1, y1 in the picture's pixels, edge-origin; parts outside are cut off.
        labels: one a box, or None; an empty one leaves its box bare.
        colours: one RGB a box; by default they differ from box to box.
        font_size: in pixels; by default it follows the picture's size, as the line width always does.

    Raises:
        ShapeError: boxes that are not boxes, or labels or colours that are not one a box.
    """
    corners = as_boxes(boxes)
    for name, values in (("labels", labels), ("colours", colours)):
        if values is not None and len(values) != len(corners):
            raise ShapeError(f"there are {len(corners)} boxes but {len(values)} {name}; expected one a box")
    w, h = image.size
    draw = ImageDraw.Draw(image)
    stroke = max(2, round(text_size(h, w, share=0.0034, smallest=2)))
    rim = max(1, stroke // 3)
    size = font_size or text_size(h, w)
    kept = [i for i, (x0, y0, x1, y1) in enumerate(corners) if x1 > 0 and y1 > 0 and x0 < w and y0 < h]
    colour = {i: colours[i] if colours is not None else PALETTE[i % len(PALETTE)] for i in kept}
    outlines = {i: _pixels(corners[i], w, h) for i in kept}
    for i in kept:
        x0, y0, x1, y1 = outlines[i]
        draw.rectangle((x0 - rim, y0 - rim, x1 + rim, y1 + rim), outline=RIM, width=stroke + 2 * rim)
        draw.rectangle((x0, y0, x1, y1), outline=colour[i], width=stroke)
    if labels is None:
        return
    taken: list[tuple[int, int, int, int]] = []
    for i in kept:
        text = clean(str(labels[i]), 60)
        if text:
            _label(draw, text, outlines[i], colour[i], size, (w, h), taken)


def _pixels(box: np.ndarray, w: int, h: int) -> tuple[int, int, int, int]:
    """Edges -> first and last pixel inside, cut to just outside of the picture so that a cut side is not drawn as a
    side.
    """
    x0, y0 = (max(-8, round(float(v))) for v in box[:2])
    x1, y1 = min(w + 8, round(float(box[2]))) - 1, min(h + 8, round(float(box[3]))) - 1
    return x0, y0, max(x0, x1), max(y0, y1)


def _label(draw, text: str, box, colour: Colour, size: int, picture: tuple[int, int], taken: list) -> None:
    font = font_for(text, size)
    pad = max(2, round(size * 0.3))
    tw, th = measure(text, font)
    lw, lh = tw + 2 * pad, th + 2 * pad - pad // 2
    w, h = picture
    x0, y0, x1, y1 = box
    left = min(max(0, x0), max(0, w - lw))
    right = min(max(0, x1 + 1 - lw), max(0, w - lw))
    spots = [
        (left, y0 - lh),
        (left, max(0, y0)),
        (left, y1 + 1),
        (right, y0 - lh),
        (right, max(0, y0)),
        (left, y1 + 1 - lh),
    ]
    spots += [(left, max(0, y0) + k * lh) for k in range(1, 6)]
    inside = [(x, y) for x, y in spots if y >= 0 and y + lh <= h] or [(left, max(0, min(y0, h - lh)))]
    x, y = next((s for s in inside if not any(_overlap((*s, s[0] + lw, s[1] + lh), t) for t in taken)), inside[0])
    taken.append((x, y, x + lw, y + lh))
    draw.rectangle((x, y, x + lw - 1, y + lh - 1), fill=colour)
    dark = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 120
    draw.text((x + pad, y + lh / 2), text, font=font, fill=RIM if dark else (255, 255, 255), anchor="lm")


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
