"""The classes of generated scenes: outlines as signed distances, and named points on their material.

Shapes live in unit coordinates, x right and y down, inside of the unit disc. A distance is negative inside and
exact to first order at the outline, which is all that an antialiased edge needs; so curves cost a few operations
per pixel instead of a polygon of many sides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

Plane = Float32[np.ndarray, "h w"]
Distance = Callable[[Plane, Plane], Plane]


@dataclass(frozen=True)
class Shape:
    """One class.

    Args:
        name: the class's name.
        distance: unit coordinates x, y (h, w) -> signed distance (h, w), negative inside.
        keypoints: names of points on the material -> (x, y) in unit coordinates, at most :data:`MAX_KEYPOINTS`.
        turns: rotations that map the outline onto itself; 0 for any angle. Keypoints of a shape with ``turns``
            other than 1 are interchangeable accordingly.
    """

    name: str
    distance: Distance
    keypoints: dict[str, tuple[float, float]]
    turns: int = 1


MAX_KEYPOINTS = 5


def circle(x: Plane, y: Plane, cx: float, cy: float, r: float) -> Plane:
    """Distance to a disc."""
    return np.hypot(x - np.float32(cx), y - np.float32(cy)) - np.float32(r)


def box(x: Plane, y: Plane, half_w: float, half_h: float) -> Plane:
    """Distance to an upright rectangle about the origin."""
    qx, qy = np.abs(x) - np.float32(half_w), np.abs(y) - np.float32(half_h)
    outside = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0))
    return outside + np.minimum(np.maximum(qx, qy), 0)


def polygon(x: Plane, y: Plane, corners: Sequence[tuple[float, float]]) -> Plane:
    """Distance to any simple polygon: nearest edge, inside by the parity of crossings."""
    nearest, inside = None, np.zeros(x.shape, bool)
    for i, (ax, ay) in enumerate(corners):
        bx, by = corners[i - 1]
        ex, ey = np.float32(bx - ax), np.float32(by - ay)
        px, py = x - np.float32(ax), y - np.float32(ay)
        along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0, 1)
        dx, dy = px - ex * along, py - ey * along
        squared = dx * dx + dy * dy
        nearest = squared if nearest is None else np.minimum(nearest, squared)
        if ay != by:
            # which side of the edge, for rows between its ends
            left = (px * ey < py * ex) if ey > 0 else (px * ey > py * ex)
            inside ^= ((y < np.float32(ay)) != (y < np.float32(by))) & left
    assert nearest is not None  # a polygon has edges
    d = np.sqrt(nearest)
    return np.where(inside, -d, d)


def folded(x: Plane, y: Plane, count: int) -> tuple[Plane, Plane]:
    """Coordinates (along, across) in the half sector of a shape with ``count`` equal arms, the first pointing up."""
    sector = np.float32(2 * np.pi / count)
    angle = np.arctan2(x, -y)
    angle = np.abs(angle - sector * np.round(angle / sector))
    r = np.hypot(x, y)
    return r * np.cos(angle), r * np.sin(angle)


def _beyond(u: Plane, v: Plane, a: tuple[float, float], b: tuple[float, float]) -> Plane:
    """Signed distance to the line from a to b; positive on the right of it as seen with v down."""
    ex, ey = b[0] - a[0], b[1] - a[1]
    length = float(np.hypot(ex, ey))
    return (u - np.float32(a[0])) * np.float32(ey / length) - (v - np.float32(a[1])) * np.float32(ex / length)


def _star(x: Plane, y: Plane) -> Plane:
    u, v = folded(x, y, 5)
    inner = 0.45
    return _beyond(u, v, (1.0, 0.0), (inner * np.cos(np.pi / 5), inner * np.sin(np.pi / 5)))


def _cross(x: Plane, y: Plane) -> Plane:
    return np.minimum(box(x, y, 0.94, 0.27), box(x, y, 0.27, 0.94))


def _ring(x: Plane, y: Plane) -> Plane:
    return np.abs(np.hypot(x, y) - np.float32(0.72)) - np.float32(0.22)


_TRIANGLE = ((0.0, -1.0), (0.8660254, 0.5), (-0.8660254, 0.5))
_ARROW = ((1.0, 0.0), (0.2, -0.7), (0.2, -0.23), (-0.95, -0.23), (-0.95, 0.23), (0.2, 0.23), (0.2, 0.7))
_BOLT = ((0.3, -0.95), (-0.52, 0.16), (-0.06, 0.16), (-0.3, 0.95), (0.52, -0.2), (0.08, -0.2))


def _triangle(x: Plane, y: Plane) -> Plane:
    return polygon(x, y, _TRIANGLE)


def _arrow(x: Plane, y: Plane) -> Plane:
    return polygon(x, y, _ARROW)


def _bolt(x: Plane, y: Plane) -> Plane:
    return polygon(x, y, _BOLT)


def _gear(x: Plane, y: Plane) -> Plane:
    u, v = folded(x, y, 8)
    r = np.hypot(x, y)
    tooth = np.maximum(u - np.float32(0.98), _beyond(u, v, (0.98, 0.13), (0.6, 0.22)))
    return np.maximum(np.minimum(r - np.float32(0.73), tooth), np.float32(0.32) - r)


def _crescent(x: Plane, y: Plane) -> Plane:
    return np.maximum(circle(x, y, 0.1, 0.0, 0.9), -circle(x, y, 0.52, 0.0, 0.75))


def _heart(x: Plane, y: Plane) -> Plane:
    # a square on its corner with a half disc on each upper side
    h, down = 0.72, 0.1
    y = y - np.float32(down)
    square = (np.abs(x) + np.abs(y) - np.float32(h)) * np.float32(np.sqrt(0.5))
    lobes = circle(np.abs(x), y, h / 2, -h / 2, h * np.sqrt(0.5))
    return np.minimum(square, lobes)


_COIL = (0.1, 0.37, 2.1, 0.115)
"""Radius at the start, growth per turn, turns, half width."""


def _coil_point(turn: float) -> tuple[float, float]:
    start, growth, _, _ = _COIL
    r, angle = start + growth * turn, 2 * np.pi * turn
    return float(r * np.cos(angle)), float(r * np.sin(angle))


def _spiral(x: Plane, y: Plane) -> Plane:
    start, growth, turns, half = _COIL
    part = (np.arctan2(y, x) / np.float32(2 * np.pi)) % np.float32(1)
    lap = (np.hypot(x, y) - np.float32(start)) / np.float32(growth)
    # the lap whose radius is nearest at this angle, and the distance to it along the ray
    turn = part + np.round(lap - part)
    d = np.abs(lap - turn) * np.float32(growth) - np.float32(half)
    d = np.where((turn < 0) | (turn > turns), np.float32(4), d)
    ends = [circle(x, y, *_coil_point(t), half) for t in (0.0, turns)]
    return np.minimum(d, np.minimum(*ends))


def _around(radius: float, count: int, names: str) -> dict[str, tuple[float, float]]:
    angles = [2 * np.pi * i / count for i in range(count)]
    return {f"{names} {i}": (float(radius * np.sin(a)), float(-radius * np.cos(a))) for i, a in enumerate(angles)}


SHAPES: tuple[Shape, ...] = (
    Shape("star", _star, _around(0.82, 5, "arm"), turns=5),
    Shape("cross", _cross, _around(0.85, 4, "arm"), turns=4),
    Shape("ring", _ring, _around(0.72, 4, "quarter"), turns=0),
    Shape("triangle", _triangle, _around(0.76, 3, "corner"), turns=3),
    Shape("gear", _gear, _around(0.85, 4, "tooth"), turns=8),
    Shape("crescent", _crescent, {"middle": (-0.5, 0.0), "upper horn": (0.3, -0.76), "lower horn": (0.3, 0.76)}),
    Shape(
        "arrow",
        _arrow,
        {"tip": (0.84, 0.0), "upper barb": (0.29, -0.5), "lower barb": (0.29, 0.5), "tail": (-0.83, 0.0)},
    ),
    Shape("heart", _heart, {"tip": (0.0, 0.66), "left lobe": (-0.4, -0.35), "right lobe": (0.4, -0.35)}),
    Shape(
        "spiral",
        _spiral,
        {"inner end": _coil_point(0.0), "first lap": _coil_point(1.0), "outer end": _coil_point(_COIL[2])},
    ),
    Shape("bolt", _bolt, {"upper tip": (0.15, -0.65), "middle": (0.0, -0.02), "lower tip": (-0.15, 0.65)}),
)
CLASSES: tuple[str, ...] = tuple(shape.name for shape in SHAPES)
"""Names of all classes, in the order of labels."""
