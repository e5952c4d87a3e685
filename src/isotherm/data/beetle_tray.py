"""What lies around generated beetles: the ground of each collection, its clutter, and the ruler."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from jaxtyping import Float32, Float64

from isotherm.data.beetle_paint import Canvas, Place, bar, lay, limb
from isotherm.data.scene_textures import Colour, value_noise
from isotherm.frame import Size


@dataclass(frozen=True, kw_only=True)
class Look:
    """How the pictures of one collection look. Lengths are shares of the shorter side.

    Args:
        length: least and most length of the elytra.
        ground: (r, g, b) that grounds vary about, by ``spread``.
        mottle, speckle: strength of coarse and of fine texture.
        clutter: least and most labels, pins and crumbs.
        second: probability of a second beetle, cut off by the edge.
        light: least and most exposure.
        blur: most of it, 0 to 1.
        width_labelled: whether the width was annotated.
    """

    length: tuple[float, float]
    ground: tuple[float, float, float]
    spread: float
    mottle: float
    speckle: float
    clutter: tuple[int, int]
    second: float
    light: tuple[float, float]
    blur: float
    width_labelled: bool = True


LOOKS = {
    "Hawaii": Look(
        length=(0.36, 0.5),
        ground=(0.9, 0.9, 0.88),
        spread=0.05,
        mottle=0.04,
        speckle=0.02,
        clutter=(0, 1),
        second=0.0,
        light=(0.85, 1.05),
        blur=0.4,
    ),
    "BeetlePalooza": Look(
        length=(0.26, 0.42),
        ground=(0.8, 0.7, 0.53),
        spread=0.08,
        mottle=0.18,
        speckle=0.14,
        clutter=(1, 4),
        second=0.1,
        light=(0.75, 1.1),
        blur=0.7,
        width_labelled=False,
    ),
    "BioRepo": Look(
        length=(0.15, 0.25),
        ground=(0.48, 0.46, 0.44),
        spread=0.08,
        mottle=0.12,
        speckle=0.06,
        clutter=(4, 9),
        second=0.4,
        light=(0.6, 0.95),
        blur=0.9,
    ),
}
"""The collections: large on plain paper; on sand, lengths only; small, dark and crowded in a tray."""


def ground(rng: np.random.Generator, look: Look, size: Size) -> tuple[Canvas, Colour]:
    """The empty ground, and its mean colour."""
    colour = np.clip(
        np.array(look.ground) + rng.uniform(-look.spread, look.spread) + rng.uniform(-0.02, 0.02, 3), 0, 1
    ).astype(np.float32)
    mix = np.float32(look.mottle) * (value_noise(rng, size, 4) - np.float32(0.5))
    mix = mix + np.float32(look.speckle) * (value_noise(rng, size, 40) - np.float32(0.5))
    return colour * (1 + mix)[..., None], colour


def clutter(canvas: Canvas, rng: np.random.Generator, keep_free: tuple[Place, float]) -> None:
    """One label with lines of writing, pin or heap of crumbs, in place, away from a disc (centre, radius) in pixels.

    The draws do not depend on the size of the canvas.
    """
    h, w = canvas.shape[:2]
    size, side = (h, w), min(h, w)
    centre = _apart(rng, size, keep_free)
    angle, kind = rng.uniform(0, 2 * pi), rng.uniform()
    along = np.array([cos(angle), sin(angle)])
    across = np.array([-along[1], along[0]])
    if kind < 0.45:
        half = rng.uniform(0.07, 0.13) * side, rng.uniform(0.035, 0.06) * side
        _bar(canvas, centre + 0.015 * side, along, half, np.zeros(3, np.float32), 0.3)
        _bar(
            canvas, centre, along, half, np.array([0.93, 0.92, 0.86], np.float32) * np.float32(rng.uniform(0.85, 1.05))
        )
        for at in (-0.5, 0.0, 0.5):
            ink = rng.uniform(0.4, 0.8)
            _bar(
                canvas,
                centre + across * (at * half[1]) - along * (half[0] * (0.85 - ink)),
                along,
                (half[0] * ink, 0.006 * side),
                np.full(3, 0.25, np.float32),
                0.8,
            )
    elif kind < 0.65:
        length = rng.uniform(0.08, 0.2) * side
        for shift, colour, alpha in ((0.012 * side, 0.0, 0.3), (0.0, 0.75, 1.0)):
            _limb(
                canvas,
                centre + shift,
                centre + along * length + shift,
                (0.006 * side, 0.004 * side),
                np.full(3, colour, np.float32),
                alpha,
            )
        _limb(canvas, centre, centre + 0.01, (0.018 * side, 0.018 * side), rng.uniform(0.1, 0.8, 3).astype(np.float32))
    else:
        shade = rng.uniform(0.1, 0.7)
        for _ in range(8):
            at = centre + rng.normal(0, 0.05, 2) * side
            radius = rng.uniform(0.003, 0.01) * side
            _limb(canvas, at, at + rng.uniform(-0.02, 0.02, 2) * side, (radius, radius), np.full(3, shade, np.float32))


def draw_ruler(
    canvas: Canvas, ends: Float64[np.ndarray, "2 2"], tick_px: float, white: bool
) -> Float32[np.ndarray, "H W"]:
    """A line from end to end with a tick every ``tick_px`` pixels, in place -> its coverage without the ticks.

    Args:
        canvas: (h, w, 3).
        ends: (x, y) in edge-origin pixels; the ink stops exactly there.
        white: else black.
    """
    h, w = canvas.shape[:2]
    side = min(h, w)
    span = ends[1] - ends[0]
    length = float(np.sqrt((span * span).sum()))
    along, ink = span / length, np.full(3, 0.96 if white else 0.04, np.float32)
    across = np.array([-along[1], along[0]])
    thick = max(0.7, 0.007 * side)
    for i in range(round(length / tick_px) + 1):
        # the outermost ticks stand inside of the ends, so that the bar is as long as it says
        at = min(max(i * tick_px, 0.3 * thick), length - 0.3 * thick)
        tall = (0.028 if i % 5 == 0 else 0.018) * side
        _bar(canvas, ends[0] + along * at - across * (0.5 * tall), along, (0.3 * thick, 0.5 * tall), ink)
    covered = np.zeros((h, w), np.float32)
    drawn = bar((ends[0] + ends[1]) / 2, along, (0.5 * length, thick), (h, w))
    if drawn is not None:
        lay(canvas, drawn[0], ink, drawn[1])
        covered[drawn[0].at] = drawn[1]
    return covered


def _apart(rng: np.random.Generator, size: Size, keep_free: tuple[Place, float]) -> Place:
    """The first of eight places outside of a disc, else the farthest of them."""
    places = rng.uniform(0, 1, (8, 2)) * np.array([size[1], size[0]])
    far = ((places - keep_free[0]) ** 2).sum(1)
    free = np.flatnonzero(far > keep_free[1] ** 2)
    return places[free[0] if len(free) else int(far.argmax())]


def _bar(
    canvas: Canvas, centre: Place, along: Place, half: tuple[float, float], colour: Colour, alpha: float = 1.0
) -> None:
    drawn = bar(centre, along, half, canvas.shape[:2])
    if drawn is not None:
        lay(canvas, drawn[0], colour, drawn[1] * np.float32(alpha))


def _limb(canvas: Canvas, a: Place, b: Place, radii: tuple[float, float], colour: Colour, alpha: float = 1.0) -> None:
    drawn = limb(a, b, radii, canvas.shape[:2])
    if drawn is not None:
        lay(canvas, drawn[0], colour, drawn[1] * np.float32(alpha))
