"""Strokes of generated beetles: ovals, limbs and bars by their distance, each on its own patch of the canvas.

Planes see only sums, products, quotients and roots, which IEEE 754 rounds in one way on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from isotherm.data.scene_paint import Canvas
from isotherm.data.scene_shapes import Plane
from isotherm.data.scene_textures import Colour
from isotherm.frame import Size

Place = Float64[np.ndarray, "2"]


@dataclass(frozen=True, eq=False)
class Patch:
    """A rectangle of the picture. x, y: edge-origin pixel centres, (1, w) and (h, 1)."""

    rows: slice
    columns: slice
    x: Float32[np.ndarray, "1 w"]
    y: Float32[np.ndarray, "h 1"]

    @property
    def at(self) -> tuple[slice, slice]:
        return self.rows, self.columns


def patch_around(places: Float64[np.ndarray, "k 2"], margin: float, size: Size) -> Patch | None:
    """The smallest patch with ``margin`` pixels around places, or None where it lies outside of the picture."""
    (x0, y0), (x1, y1) = np.floor(places.min(0) - margin), np.ceil(places.max(0) + margin)
    left, right = max(0, int(x0)), min(size[1], int(x1))
    top, bottom = max(0, int(y0)), min(size[0], int(y1))
    if left >= right or top >= bottom:
        return None
    x, y = (
        np.arange(left, right, dtype=np.float32) + np.float32(0.5),
        np.arange(top, bottom, dtype=np.float32) + np.float32(0.5),
    )
    return Patch(slice(top, bottom), slice(left, right), x[None], y[:, None])


def lay(
    canvas: Canvas, patch: Patch, colour: Colour | Float32[np.ndarray, "i j 3"], alpha: Float32[np.ndarray, "i j"]
) -> None:
    """Colour over the canvas, in place."""
    ground = canvas[patch.at]
    ground += (colour - ground) * alpha[..., None]


def limb(a: Place, b: Place, radii: tuple[float, float], size: Size) -> tuple[Patch, Plane] | None:
    """Coverage of a rounded, tapering limb from a to b; one thinner than a pixel grows faint instead of broken."""
    patch = patch_around(np.stack([a, b]), max(radii) + 1, size)
    if patch is None:
        return None
    ex, ey = np.float32(b[0] - a[0]), np.float32(b[1] - a[1])
    px, py = patch.x - np.float32(a[0]), patch.y - np.float32(a[1])
    along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey + np.float32(1e-6)), 0, 1)
    dx, dy = px - ex * along, py - ey * along
    radius = np.float32(radii[0]) + np.float32(radii[1] - radii[0]) * along
    return patch, np.clip(radius + np.float32(0.5) - np.sqrt(dx * dx + dy * dy), 0, np.minimum(2 * radius, 1))


def bar(centre: Place, along: Place, half: tuple[float, float], size: Size) -> tuple[Patch, Plane] | None:
    """Coverage of a turned rectangle. along: unit vector of its first axis. half: half extents in pixels."""
    reach = half[0] + half[1]
    patch = patch_around(centre[None], reach + 1, size)
    if patch is None:
        return None
    x, y = patch.x - np.float32(centre[0]), patch.y - np.float32(centre[1])
    cos, sin = np.float32(along[0]), np.float32(along[1])
    covered = [
        np.clip(np.float32(0.5 + h) - np.abs(t), 0, min(1.0, 2 * h))
        for t, h in zip((x * cos + y * sin, y * cos - x * sin), half, strict=True)
    ]
    return patch, (covered[0] * covered[1]).astype(np.float32)


def soften(plane: Float32[np.ndarray, "h w ..."], radius: int) -> Float32[np.ndarray, "h w ..."]:
    """The mean over a square of 2 * radius + 1 pixels, edges repeated: by running sums, so wide is as cheap as
    narrow.
    """
    for axis in (0, 1):
        pad = [(0, 0)] * plane.ndim
        pad[axis] = (radius + 1, radius)
        total = np.cumsum(np.pad(plane, pad, mode="edge"), axis=axis, dtype=np.float64)
        n = plane.shape[axis]
        ahead, behind = np.arange(n) + 2 * radius + 1, np.arange(n)
        plane = ((total.take(ahead, axis) - total.take(behind, axis)) / (2 * radius + 1)).astype(np.float32)
    return plane


def blur(canvas: Canvas, amount: float) -> Canvas:
    """Mixed with its neighbours in a cross, ``amount`` in [0, 1] of the smoothest: the lens of a hand-held camera."""
    k = np.float32(amount / 3)
    for axis in (0, 1):
        moved = np.moveaxis(canvas, axis, 0)
        wide = np.concatenate([moved[:1], moved, moved[-1:]])
        canvas = np.moveaxis(moved * (1 - 2 * k) + (wide[:-2] + wide[2:]) * k, 0, axis)
    return np.ascontiguousarray(canvas)
