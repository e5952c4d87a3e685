"""Detections drawn on a frame that is shown live; plain and fast, by Pillow alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw

from isotherm.draw.text import clean, font_for

INK, PAPER = (255, 255, 255), (20, 20, 20)
FONT_PIXELS = 14


def mark(image: Image.Image, detections: Sequence[Mapping[str, Any]], scale: float) -> Image.Image:
    """The picture with boxes and labels; one without a box has its label in the corner. It is drawn on itself.

    Args:
        image: RGB.
        detections: each with ``label``, ``confidence``, and ``box`` (x0, y0, x1, y1) of the whole frame or None.
        scale: pixels of the picture per pixel of the frame.
    """
    draw = ImageDraw.Draw(image)
    row = 0
    for one in detections:
        text = f"{clean(str(one['label']), 40)} {one['confidence']:.2f}"
        if one["box"] is None:
            _label(draw, text, 4, 4 + row * (FONT_PIXELS + 8))
            row += 1
            continue
        x0, y0, x1, y1 = (side * scale for side in one["box"])
        draw.rectangle((x0, y0, x1, y1), outline=PAPER, width=4)
        draw.rectangle((x0 + 1, y0 + 1, x1 - 1, y1 - 1), outline=INK, width=2)
        _label(draw, text, max(0, x0), max(0, y0 - FONT_PIXELS - 6))
    return image


def _label(draw: ImageDraw.ImageDraw, text: str, x: float, y: float) -> None:
    font = font_for(text, FONT_PIXELS)
    left, top, right, bottom = draw.textbbox((x + 3, y + 2), text, font=font)
    draw.rectangle((left - 3, top - 2, right + 3, bottom + 2), fill=PAPER)
    draw.text((x + 3, y + 2), text, fill=INK, font=font)
