"""Clutter of generated scenes: outlines that are never a class, drawn anew each time.

Clutter shares textures, colours, light and size with the objects, so that nothing but shape tells them apart.
"""

from __future__ import annotations

import numpy as np

from isotherm.data.scene_shapes import Distance, Plane, circle, polygon
from isotherm.data.scene_shapes import box as rectangle


def random_clutter(rng: np.random.Generator) -> Distance:
    """An outline in unit coordinates: an ellipse, bar, blob, quadrilateral, wave or half disc."""
    return _KINDS[int(rng.integers(len(_KINDS)))](rng)


def _ellipse(rng: np.random.Generator) -> Distance:
    flat = float(rng.uniform(0.45, 1.0))

    def distance(x: Plane, y: Plane) -> Plane:
        # the radial error of this form is second order at the outline after dividing by the gradient's mean
        return (np.hypot(x, y / np.float32(flat)) - np.float32(0.95)) * np.float32((1 + flat) / 2)

    return distance


def _bar(rng: np.random.Generator) -> Distance:
    half = float(rng.uniform(0.1, 0.4))
    return lambda x, y: rectangle(x, y, 0.95, half)


def _blob(rng: np.random.Generator) -> Distance:
    waves = [(k, float(rng.uniform(0.0, 0.16 / k)), float(rng.uniform(0, 2 * np.pi))) for k in (2, 3, 4)]

    def distance(x: Plane, y: Plane) -> Plane:
        angle = np.arctan2(y, x)
        radius = np.float32(0.78) + sum(
            np.float32(a) * np.cos(np.float32(k) * angle + np.float32(p)) for k, a, p in waves
        )
        return np.hypot(x, y) - radius

    return distance


def _quadrilateral(rng: np.random.Generator) -> Distance:
    angles = np.arange(4) * np.pi / 2 + rng.uniform(-0.45, 0.45, 4)
    radii = rng.uniform(0.6, 0.98, 4)
    corners = [(float(r * np.cos(a)), float(r * np.sin(a))) for r, a in zip(radii, angles, strict=True)]
    return lambda x, y: polygon(x, y, corners)


def _wave(rng: np.random.Generator) -> Distance:
    height, bends, half = float(rng.uniform(0.05, 0.3)), float(rng.uniform(2, 6)), float(rng.uniform(0.06, 0.16))

    def distance(x: Plane, y: Plane) -> Plane:
        phase = np.float32(bends) * x
        steep = np.sqrt(1 + (np.float32(height * bends) * np.cos(phase)) ** 2)
        band = np.abs(y - np.float32(height) * np.sin(phase)) / steep - np.float32(half)
        return np.maximum(band, np.abs(x) - np.float32(0.95))

    return distance


def _half_disc(rng: np.random.Generator) -> Distance:
    cut = float(rng.uniform(-0.1, 0.35))
    return lambda x, y: np.maximum(circle(x, y, 0, 0, 0.95), np.float32(cut) - y)


_KINDS = (_ellipse, _bar, _blob, _quadrilateral, _wave, _half_disc)
