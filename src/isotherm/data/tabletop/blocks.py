"""Blocks on a table: boxes of one colour each that stand apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

COLOURS = {
    "red": (0.80, 0.10, 0.10),
    "green": (0.12, 0.58, 0.18),
    "blue": (0.12, 0.25, 0.80),
    "yellow": (0.92, 0.78, 0.12),
    "purple": (0.50, 0.16, 0.66),
    "orange": (0.92, 0.46, 0.08),
}
"""Reflectance in red, green and blue."""
HALF_TABLE = 0.5
"""Half of the table's side, in metres."""
LEAST_GAP = 0.05
"""Between the circles around two blocks, in metres."""


@dataclass(frozen=True)
class Block:
    """A box that stands on the table.

    Args:
        colour: a name of :data:`COLOURS`.
        centre: (x, y, z) of its middle in metres: x to the operator's right, y away from the operator, z up; the
            table's top is z = 0.
        half: half of its sides along its own axes.
        yaw: turned about the vertical, in radians.
    """

    colour: str
    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    yaw: float

    @property
    def radius(self) -> float:
        """Of the circle around its footprint."""
        return float(np.hypot(self.half[0], self.half[1]))


def scatter_blocks(rng: np.random.Generator, *, least: int = 3, most: int = 5) -> tuple[Block, ...]:
    """So many blocks of different colours that do not come near each other or the table's edge."""
    colours = rng.permutation(list(COLOURS))[: int(rng.integers(least, most + 1))].tolist()
    halves = [(rng.uniform(0.045, 0.07), rng.uniform(0.045, 0.07), rng.uniform(0.03, 0.085)) for _ in colours]
    yaws = rng.uniform(0, np.pi / 2, len(colours)).tolist()
    radii = np.array([np.hypot(h[0], h[1]) for h in halves])
    while True:  # five circles of these radii always find room, at the latest after a few tries
        places = rng.uniform(-1, 1, (len(colours), 2)) * (HALF_TABLE - radii - 0.02)[:, None]
        if _apart(places, radii):
            break
    return tuple(
        Block(
            colour, (float(x), float(y), float(half[2])), (float(half[0]), float(half[1]), float(half[2])), float(yaw)
        )
        for colour, (x, y), half, yaw in zip(colours, places, halves, yaws, strict=True)
    )


def _apart(places: Float[np.ndarray, "n 2"], radii: Float[np.ndarray, " n"]) -> bool:
    distance = np.linalg.norm(places[:, None] - places[None], axis=-1) + 10 * np.eye(len(places))
    return bool((distance > radii[:, None] + radii[None] + LEAST_GAP).all())
