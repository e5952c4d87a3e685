"""What rays meet first among boxes, and how it is lit: exact, and without a graphics card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from isotherm.data.tabletop.blocks import COLOURS, HALF_TABLE, Block

Vectors = Float[np.ndarray, "n 3"]
TABLE, NOTHING = -1, -2
"""Instead of a block's number: the table, and what lies behind all."""
SLAB = Block("table", (0.0, 0.0, -0.03), (HALF_TABLE, HALF_TABLE, 0.03), 0.0)


@dataclass(frozen=True)
class Light:
    """The light of a scene and the colours of what is no block.

    Args:
        toward: (3) unit vector to the light.
        ambient: share of light that comes from everywhere.
        table, wall: reflectance.
        grain: seed of the table's wood.
    """

    toward: tuple[float, float, float]
    ambient: float
    table: tuple[float, float, float]
    wall: tuple[float, float, float]
    grain: int


def random_light(rng: np.random.Generator) -> Light:
    """From above and somewhere aside, over a table of wood, cloth or stone."""
    angle, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.9, 1.6)
    toward = np.array([np.cos(angle), np.sin(angle), height * 1.4])
    toward /= np.linalg.norm(toward)
    table = np.array([(0.70, 0.60, 0.48), (0.62, 0.64, 0.66), (0.48, 0.40, 0.34)][int(rng.integers(3))])
    table = np.clip(table + rng.uniform(-0.05, 0.05), 0, 1)
    wall = np.full(3, rng.uniform(0.75, 0.9))
    return Light(tuple(toward), float(rng.uniform(0.42, 0.6)), tuple(table), tuple(wall), int(rng.integers(1 << 30)))


def first_hits(
    blocks: Sequence[Block], origin: Vectors, ahead: Vectors
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"], Vectors]:
    """The block that each ray meets first, how far along it, and the outward normal there.

    Args:
        blocks: beside the table.
        origin, ahead: (n, 3) of the rays.

    Returns:
        (n) numbers of blocks, or :data:`TABLE` or :data:`NOTHING`; (n) distances in lengths of ``ahead``; (n, 3).
    """
    n = len(origin)
    which, nearest, normal = np.full(n, NOTHING), np.full(n, np.inf), np.zeros((n, 3))
    for number, block in [(TABLE, SLAB), *enumerate(blocks)]:
        distance, axis, side = _entry(block, origin, ahead)
        closer = distance < nearest
        which[closer], nearest[closer] = number, distance[closer]
        turned = np.zeros((int(closer.sum()), 3))
        turned[np.arange(len(turned)), axis[closer]] = side[closer]
        normal[closer] = turned @ _turn(block.yaw)
    return which, nearest, normal


def shade(
    blocks: Sequence[Block], light: Light, origin: Vectors, ahead: Vectors
) -> tuple[Vectors, Int[np.ndarray, " n"]]:
    """The colours (n, 3) from 0 to 1 that rays see, and the block that each meets first."""
    which, distance, normal = first_hits(blocks, origin, ahead)
    hit = which != NOTHING
    colour = np.broadcast_to(np.array(light.wall), (len(origin), 3)).copy()
    place = origin[hit] + ahead[hit] * distance[hit, None]
    toward = np.broadcast_to(np.array(light.toward), place.shape)
    facing = np.clip((normal[hit] * toward).sum(-1), 0, None)
    lit = facing > 0
    blocked = np.zeros(len(place), bool)
    blocked[lit] = first_hits(blocks, place[lit] + 1e-5 * normal[hit][lit], toward[lit])[0] >= 0
    bright = light.ambient + (1 - light.ambient) * facing * ~blocked
    own = np.array([*COLOURS.values()])
    names = list(COLOURS)
    palette = np.array([light.table, *(own[names.index(b.colour)] for b in blocks)])
    surface = palette[which[hit] + 1]
    on_table = which[hit] == TABLE
    surface[on_table] *= _grain(place[on_table], light.grain)[:, None]
    colour[hit] = surface * bright[:, None]
    return np.clip(colour, 0, 1) ** (1 / 1.25), which


def _turn(yaw: float) -> Float[np.ndarray, "3 3"]:
    """Row vectors along a block's own axes -> the world."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])


def _entry(
    block: Block, origin: Vectors, ahead: Vectors
) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Where rays enter a box: distance (infinite where they miss), the axis of the face, and which of its two sides."""
    to_own = _turn(block.yaw).T
    start, step = (origin - np.array(block.centre)) @ to_own, ahead @ to_own
    parallel = step == 0
    divisor = np.where(parallel, 1.0, step)
    middle, reach = -start / divisor, np.abs(np.array(block.half) / divisor)
    inside = np.abs(start) <= np.array(block.half)
    low = np.where(parallel, np.where(inside, -np.inf, np.inf), middle - reach)
    high = np.where(parallel, np.where(inside, np.inf, -np.inf), middle + reach)
    entry, leave = low.max(-1), high.min(-1)
    axis = low.argmax(-1)
    side = -np.sign(step[np.arange(len(step)), axis])
    return np.where((entry <= leave) & (entry > 0), entry, np.inf), axis, side


def _grain(place: Vectors, seed: int) -> Float[np.ndarray, " n"]:
    """Brightness of a table of boards, near 1: waves along y whose phases a few random numbers bend."""
    rng = np.random.Generator(np.random.PCG64(seed))
    bend = rng.uniform(0, 2 * np.pi, 4)
    x, y = place[:, 0], place[:, 1]
    rings = np.sin(2 * np.pi * (9 * x + 0.5 * np.sin(3 * y + bend[0]) + 0.2 * np.sin(11 * y + bend[1])))
    fine = np.sin(2 * np.pi * (61 * x + np.sin(5 * y + bend[2])) + bend[3])
    return 1 + 0.035 * rings + 0.02 * fine
