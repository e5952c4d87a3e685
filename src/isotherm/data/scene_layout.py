"""Where things lie in a generated scene: poses, their coverage of pixels, and who hides whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from isotherm.data.scene_shapes import Distance, Plane
from isotherm.frame import Size


@dataclass(frozen=True)
class Pose:
    """From unit coordinates to pixels: mirrored, stretched, turned, scaled by ``radius``, moved to (x, y).

    Args:
        x, y: centre in edge-origin pixels.
        radius: pixels per unit.
        angle: radians, clockwise as seen.
        stretch: (along x, along y) before turning, of product 1.
        mirror: 1, or -1 where left and right are swapped.
    """

    x: float
    y: float
    radius: float
    angle: float
    stretch: tuple[float, float]
    mirror: int

    @property
    def reach(self) -> float:
        """Pixels from the centre beyond which nothing of the shape lies."""
        return self.radius * max(self.stretch)

    @property
    def matrix(self) -> Float32[np.ndarray, "2 2"]:
        """Unit coordinates -> pixels about the centre."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        sx, sy = self.stretch[0] * self.mirror * self.radius, self.stretch[1] * self.radius
        return np.array([[cos * sx, -sin * sy], [sin * sx, cos * sy]], np.float32)

    def to_pixels(self, points: Float32[np.ndarray, "k 2"]) -> Float32[np.ndarray, "k 2"]:
        """Points (x, y) in unit coordinates -> edge-origin pixels."""
        m = self.matrix
        x, y = points[:, 0], points[:, 1]
        return np.stack(
            [m[0, 0] * x + m[0, 1] * y + np.float32(self.x), m[1, 0] * x + m[1, 1] * y + np.float32(self.y)], 1
        )


def random_pose(rng: np.random.Generator, x: float, y: float, radius: float, stretch: float) -> Pose:
    """A pose at a place: any angle, stretched by up to ``stretch``, mirrored or not."""
    s = float(np.exp(rng.uniform(-1, 1) * np.log(stretch)))
    return Pose(x, y, radius, float(rng.uniform(0, 2 * np.pi)), (s, 1 / s), 1 if rng.uniform() < 0.5 else -1)


@dataclass(frozen=True, eq=False)
class Cover:
    """A posed outline on the pixels of its patch of the picture.

    Args:
        rows, columns: the patch.
        x, y: (h, w) unit coordinates of its pixel centres.
        depth_px: (h, w) signed distance in pixels, negative inside.
        alpha: (h, w) coverage in [0, 1].
    """

    pose: Pose
    rows: slice
    columns: slice
    x: Plane
    y: Plane
    depth_px: Plane
    alpha: Plane

    @property
    def patch(self) -> tuple[slice, slice]:
        return self.rows, self.columns


def cover(distance: Distance, pose: Pose, size: Size) -> Cover:
    """What an outline covers, antialiased over one pixel; its centre must lie in the picture."""
    # room for the antialiased edge and for the soft rim of the shadow
    reach = pose.reach * 1.03 + 1.5
    y0, y1 = max(0, int(np.floor(pose.y - reach))), min(size[0], int(np.ceil(pose.y + reach)))
    x0, x1 = max(0, int(np.floor(pose.x - reach))), min(size[1], int(np.ceil(pose.x + reach)))
    px = np.arange(x0, x1, dtype=np.float32) + np.float32(0.5 - pose.x)
    py = (np.arange(y0, y1, dtype=np.float32) + np.float32(0.5 - pose.y))[:, None]
    (a, b), (c, d) = pose.matrix
    det = a * d - b * c
    x, y = px * (d / det) - py * (b / det), py * (a / det) - px * (c / det)
    depth = distance(x, y)
    depth *= np.float32(pose.radius)
    alpha = np.clip(np.float32(0.5) - depth, 0, 1)
    return Cover(pose, slice(y0, y1), slice(x0, x1), x, y, depth, alpha)


def place(
    rng: np.random.Generator,
    size: Size,
    radius: float,
    reach: float,
    taken: list[tuple[float, float, float]],
    overlap: float,
) -> tuple[float, float] | None:
    """A centre at which a disc of ``reach`` lies in the picture and overlaps those ``taken`` at most by ``overlap``.

    Args:
        taken: (x, y, radius) of what is there.
        overlap: 0: discs may touch; 1: they may coincide.

    Returns:
        (x, y), or None where twenty tries found no room.
    """
    if 2 * reach > min(size):
        return None
    for _ in range(20):
        x, y = rng.uniform(reach, size[1] - reach), rng.uniform(reach, size[0] - reach)
        if all((x - u) ** 2 + (y - v) ** 2 >= ((1 - overlap) * (radius + r)) ** 2 for u, v, r in taken):
            return float(x), float(y)
    return None
