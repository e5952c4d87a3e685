"""Points on a picture with the region that each is expected in, lines between them, and the truth beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from isotherm.draw.boxes import PALETTE, RIM, Colour
from isotherm.draw.picture import Picture, open_canvas, to_pil
from isotherm.draw.sheet import add_footer, add_title
from isotherm.draw.text import clean, font_for, measure, text_size
from isotherm.errors import OptionError, ShapeError
from isotherm.points import Points, State

FINER = 3
"""Shapes are drawn so many times larger and made smaller, which smooths their edges."""
MOST_NAMES = 6
"""More names than this would cover the picture."""
TRUTH: Colour = (255, 255, 255)


def draw_points(
    picture: Picture,
    points: Points,
    *,
    names: Sequence[str] | None = None,
    lines: Sequence[tuple[int, int]] = (),
    truth: Points | None = None,
    level: float = 0.95,
    least_side: int = 512,
    title: str | None = None,
    footer: str | None = None,
) -> Image.Image:
    """A picture with points on it: a dot each, and around it the ellipse that holds the true place with a probability.

    Args:
        picture: PIL or array, upright.
        points: (n, 2) in its pixels, edge-origin, with covariances or without; those that are UNLABELLED, ABSENT or not
            finite are left out.
        names: of the points; written where there are at most six.
        lines: pairs of points that are joined.
        truth: (n, 2), drawn as white rings.
        level: probability of the ellipses, from the chi-squared distribution with two degrees of freedom.
        least_side: smaller pictures are made larger by a whole number until their longer side has so many pixels.
        title, footer: written above and below.

    Raises:
        ShapeError: points that are not (n, 2), or as many names.
        OptionError: a level that is no probability.

    Example:
        >>> found = Points(torch.tensor([[8.0, 8.0]]), covariance=torch.eye(2)[None])
        >>> draw_points(np.zeros((16, 16, 3), np.uint8), found, least_side=64).size
        (64, 64)
    """
    if not 0 < level < 1:
        raise OptionError(f"level is {level}; expected a probability between 0 and 1, such as 0.95")
    for what, other in (("points", points), ("truth", truth)):
        if other is not None and (other.xy.ndim != 2 or (other.xy.shape != points.xy.shape)):
            raise ShapeError(
                f"{what} have shape {tuple(other.xy.shape)}; expected (n, 2) of one picture, as many as the others ({tuple(points.xy.shape)})"
            )
    if names is not None and len(names) != len(points.xy):
        raise ShapeError(f"there are {len(names)} names for {len(points.xy)} points")
    image = to_pil(open_canvas(picture).rgb)
    zoom = max(1, math.ceil(least_side / max(image.size)))
    image = image.resize(
        (image.width * zoom, image.height * zoom), Image.Resampling.LANCZOS if zoom > 1 else Image.Resampling.NEAREST
    )
    radius = max(2.5, 0.006 * math.sqrt(image.width * image.height))
    layer = Image.new("RGBA", (image.width * FINER, image.height * FINER), (0, 0, 0, 0))
    pen = _Pen(ImageDraw.Draw(layer), zoom * FINER, radius * FINER)
    xy, shown, colours = _array(points.xy), _shown(points), _colours(len(points.xy), lines)
    # what is drawn later replaces what lies below it
    if points.covariance is not None:
        for i in np.flatnonzero(shown):
            pen.ellipse(xy[i], points.covariance[i].detach().cpu().double(), level, colours[i])
    if truth is not None:
        true_xy, known = _array(truth.xy), _shown(truth)
        for a, b in lines:
            if known[a] and known[b]:
                pen.line(true_xy[a], true_xy[b], TRUTH, 0.35)
    for k, (a, b) in enumerate(lines):
        if shown[a] and shown[b]:
            pen.line(xy[a], xy[b], PALETTE[k % len(PALETTE)], 0.6)
    if truth is not None:
        for i in np.flatnonzero(known):
            pen.ring(true_xy[i], TRUTH)
    for i in np.flatnonzero(shown):
        pen.dot(xy[i], colours[i])
    image.paste(small := layer.resize(image.size, Image.Resampling.BOX), (0, 0), small)
    if names is not None and shown.sum() <= MOST_NAMES:
        _write_names(image, [(xy[i] * zoom, str(names[int(i)]), colours[i]) for i in np.flatnonzero(shown)], radius)
    if title:
        image = add_title(image, title)
    return add_footer(image, footer) if footer else image


class _Pen:
    """Draws in the picture's pixels onto a larger layer."""

    def __init__(self, draw: ImageDraw.ImageDraw, zoom: float, radius: float) -> None:
        self.draw, self.zoom, self.radius = draw, zoom, radius

    def dot(self, at: np.ndarray, colour: Colour) -> None:
        x, y, r = *(at * self.zoom), self.radius
        self.draw.ellipse((x - 1.3 * r, y - 1.3 * r, x + 1.3 * r, y + 1.3 * r), fill=(*RIM, 230))
        self.draw.ellipse((x - r, y - r, x + r, y + r), fill=(*colour, 255))

    def ring(self, at: np.ndarray, colour: Colour) -> None:
        x, y, r = *(at * self.zoom), 2.1 * self.radius
        self.draw.ellipse((x - r, y - r, x + r, y + r), outline=(*RIM, 200), width=max(1, round(self.radius * 0.9)))
        r *= 0.95
        self.draw.ellipse((x - r, y - r, x + r, y + r), outline=(*colour, 255), width=max(1, round(self.radius * 0.5)))

    def line(self, a: np.ndarray, b: np.ndarray, colour: Colour, share: float) -> None:
        ends = [tuple(a * self.zoom), tuple(b * self.zoom)]
        self.draw.line(ends, fill=(*RIM, 110), width=max(1, round(self.radius * share * 1.8)))
        self.draw.line(ends, fill=(*colour, 210), width=max(1, round(self.radius * share)))

    def ellipse(self, at: np.ndarray, covariance: Tensor, level: float, colour: Colour) -> None:
        if not bool(torch.isfinite(covariance).all()):
            return
        values, vectors = torch.linalg.eigh(covariance)
        half = (values.clamp(min=0) * (-2 * math.log(1 - level))).sqrt()  # chi-squared with 2 degrees: -2 ln(1 - p)
        turn = torch.linspace(0, 2 * math.pi, 73, dtype=torch.float64)
        circle = torch.stack([turn.cos(), turn.sin()], -1) * half
        outline = [tuple(p) for p in ((circle @ vectors.T).numpy() + at) * self.zoom]
        self.draw.polygon(outline, fill=(*colour, 50))
        for tint, share in (((*RIM, 150), 0.55), ((*colour, 255), 0.3)):
            self.draw.line(outline, fill=tint, width=max(1, round(self.radius * share)), joint="curve")


def _array(xy: Tensor) -> np.ndarray:
    return xy.detach().cpu().double().numpy()


def _shown(points: Points) -> np.ndarray:
    finite = torch.isfinite(points.xy).all(-1)
    if points.state is not None:
        finite = finite & (points.state != int(State.UNLABELLED)) & (points.state != int(State.ABSENT))
    return finite.cpu().numpy()


def _colours(count: int, lines: Sequence[tuple[int, int]]) -> list[Colour]:
    """One per point; the ends of a line have the line's."""
    of_line = {i: k for k, pair in reversed(list(enumerate(lines))) for i in pair}
    return [PALETTE[of_line.get(i, i) % len(PALETTE)] for i in range(count)]


def _write_names(image: Image.Image, named: Sequence[tuple[np.ndarray, str, Colour]], radius: float) -> None:
    draw, size = ImageDraw.Draw(image), text_size(image.height, image.width, share=0.02)
    middle = np.mean([at for at, _, _ in named], axis=0) if named else np.zeros(2)
    for at, name, colour in named:
        text = clean(name, 24)
        font = font_for(text, size)
        w, h = measure(text, font)
        # away from the others, and inside of the picture
        x = at[0] + 2.2 * radius if at[0] >= middle[0] else at[0] - 2.2 * radius - w
        y = at[1] - h / 2 + (0.6 * h if at[1] >= middle[1] else -0.6 * h)
        x, y = min(max(2.0, x), image.width - w - 2), min(max(2.0, y), image.height - h - 2)
        draw.text((x, y), text, font=font, fill=colour, stroke_width=max(1, size // 8), stroke_fill=RIM)
