"""Colours, textures and noise of generated scenes.

Everything is elementwise arithmetic in a fixed order: no matrix product whose rounding could depend on the
number of threads, so the same seed gives the same bytes wherever it is drawn.
"""

from __future__ import annotations

import colorsys

import numpy as np
from jaxtyping import Float32

from isotherm.data.scene_shapes import Plane
from isotherm.frame import Size

Colour = Float32[np.ndarray, "3"]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def random_colour(rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]) -> Colour:
    """A colour (r, g, b) in [0, 1] of any hue."""
    return np.array(colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(*saturation), rng.uniform(*value)), np.float32)


def contrast(a: Colour, b: Colour) -> float:
    """How far two colours are apart, brightness counting most: 0 to about 1.6."""
    d = a - b
    return float(np.sqrt((d * d).sum() / 3) + abs(float((d * LUMA).sum())))


def contrasting(
    rng: np.random.Generator, ground: Colour, least: float, saturation: tuple[float, float], value: tuple[float, float]
) -> Colour:
    """The first of twelve random colours that stands out from ``ground`` by ``least``, else the one that does most."""
    best, most = ground, -1.0
    for _ in range(12):
        colour = random_colour(rng, saturation, value)
        apart = contrast(colour, ground)
        if apart >= least:
            return colour
        if apart > most:
            best, most = colour, apart
    return best


def value_noise(rng: np.random.Generator, size: Size, cells: float) -> Float32[np.ndarray, "h w"]:
    """Smooth noise in [0, 1] of ``size`` with about ``cells`` bumps along the longer side."""
    h, w = size
    step = np.float32(cells / max(h, w))
    gh, gw = int(h * step) + 2, int(w * step) + 2
    grid = rng.random((gh, gw), np.float32)
    rows = _between(grid, np.arange(h, dtype=np.float32) * step)
    return _between(np.ascontiguousarray(rows.T), np.arange(w, dtype=np.float32) * step).T


def _between(rows: Plane, at: Float32[np.ndarray, " n"]) -> Float32[np.ndarray, "n k"]:
    low = at.astype(np.int32)
    part = at - low
    part = (part * part * (3 - 2 * part))[:, None]
    first, second = rows[low], rows[low + 1]
    second -= first
    second *= part
    second += first
    return second


def random_texture(rng: np.random.Generator, x: Plane, y: Plane, cell_px: float) -> Float32[np.ndarray, "h w"]:
    """A pattern in [0, 1] over local coordinates, so that it turns and scales with what it covers.

    Args:
        x, y: (h, w) local unit coordinates.
        cell_px: pixels per unit, which sets how sharp an edge may be.
    """
    kind = int(rng.integers(7))
    if kind == 0:  # plain, with a gradient
        angle = rng.uniform(0, 2 * np.pi)
        return np.clip(
            np.float32(0.5) + np.float32(0.45 * np.cos(angle)) * x + np.float32(0.45 * np.sin(angle)) * y, 0, 1
        )
    if kind == 1:
        return value_noise(rng, x.shape, rng.uniform(3, 9))
    waves = rng.uniform(5, 15)  # radians per unit
    sharp = np.float32(np.clip(cell_px / waves, 1.0, 4.0))
    angle = rng.uniform(0, np.pi)
    cos, sin = np.float32(waves * np.cos(angle)), np.float32(waves * np.sin(angle))
    u = cos * x + sin * y
    if kind in (2, 3):  # stripes
        pattern = np.sin(u + np.float32(rng.uniform(0, 6)))
    elif kind == 4:  # checks
        pattern = np.sin(u) * np.sin(cos * y - sin * x) * 2
    elif kind == 5:  # dots
        pattern = np.sin(u) + np.sin(cos * y - sin * x) - np.float32(0.7)
    else:  # grain of wood
        pattern = np.sin(np.float32(waves) * np.hypot(x + np.float32(rng.uniform(0.5, 3)), y * np.float32(0.6)))
    pattern *= sharp * np.float32(0.5)
    pattern += np.float32(0.5)
    return np.clip(pattern, 0, 1, out=pattern)


def background(rng: np.random.Generator, size: Size) -> tuple[Float32[np.ndarray, "h w 3"], Colour]:
    """A ground of two related colours mixed by a gradient, noise or a faint pattern; and its mean colour."""
    h, w = size
    dark = rng.uniform() < 0.45
    first = random_colour(rng, (0.05, 0.6), (0.1, 0.42) if dark else (0.6, 0.97))
    second = np.clip(first + rng.uniform(-0.2, 0.2, 3).astype(np.float32) + np.float32(rng.uniform(-0.1, 0.1)), 0, 1)
    kind = int(rng.integers(4))
    if kind == 0:
        angle = rng.uniform(0, 2 * np.pi)
        along = np.linspace(-0.5, 0.5, w, dtype=np.float32)[None] * np.float32(np.cos(angle))
        mix: np.ndarray = (
            along + np.linspace(-0.5, 0.5, h, dtype=np.float32)[:, None] * np.float32(np.sin(angle)) + np.float32(0.5)
        )
    elif kind in (1, 2):
        mix = value_noise(rng, size, rng.uniform(2, 6))
        mix = mix * np.float32(0.65) + value_noise(rng, size, rng.uniform(8, 26)) * np.float32(0.35)
    else:
        scale = 2.0 / min(h, w)
        x = np.broadcast_to((np.arange(w, dtype=np.float32) - np.float32(w / 2)) * np.float32(scale), (h, w))
        y = np.broadcast_to(((np.arange(h, dtype=np.float32) - np.float32(h / 2)) * np.float32(scale))[:, None], (h, w))
        mix = random_texture(rng, x, y, 1 / scale)
    mix = np.clip(mix, 0, 1)[..., None]
    picture = (second - first) * mix
    picture += first
    return picture, (first + second) / 2
