"""A table of a seed: its blocks, five views, and every instruction that has one meaning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from isotherm.data.tabletop.blocks import Block, scatter_blocks
from isotherm.data.tabletop.instructions import Instruction, all_instructions
from isotherm.data.tabletop.rays import random_light
from isotherm.data.tabletop.views import BOUNDS as BOUNDS
from isotherm.data.tabletop.views import TableView, render
from isotherm.decode.cameras import FRONT, RIGHT, TOP, Cameras, OrthographicView
from isotherm.errors import OptionError

ORTHOGRAPHIC: dict[str, OrthographicView] = {"top": TOP, "side": FRONT, "operator": RIGHT}
"""By name, in the order that :func:`isotherm.decode.lift_orthographic` takes unless told otherwise."""
PERSPECTIVE = ("left", "right")
"""Names of the two cameras that look at the table from before it."""
FOCAL = 1.25
"""Focal length in sides of the picture."""
TRAINING, VALIDATION, HELD_OUT = range(0, 1 << 40), range(1 << 40, 1 << 41), range(1 << 41, 1 << 42)


@dataclass(frozen=True, eq=False)
class Tabletop:
    """A table with blocks.

    Args:
        blocks: on it.
        views: by name: top, side, operator, left, right.
        cameras: the two perspective ones, left and right.
        instructions: each with the place that it means.
    """

    blocks: tuple[Block, ...]
    views: dict[str, TableView]
    cameras: Cameras
    instructions: tuple[Instruction, ...]

    def points(self, instruction: Instruction) -> dict[str, tuple[float, float]]:
        """Where the place that an instruction means lies in every view, (x, y) in edge-origin pixels."""
        point = torch.tensor([instruction.point], dtype=torch.float64)
        places = {name: view.project(point)[0].tolist() for name, view in self.views.items()}
        return {name: (x, y) for name, (x, y) in places.items()}


def make_tabletop(
    seed: int, *, size: int = 112, samples: int = 2, views: tuple[str, ...] = (*ORTHOGRAPHIC, *PERSPECTIVE)
) -> Tabletop:
    """The table of a seed.

    Args:
        seed: 0 to 2**42 - 1; see :data:`TRAINING`, :data:`VALIDATION` and :data:`HELD_OUT`.
        size: side of the square pictures in pixels.
        samples: rays along each side of a pixel: 1 is fastest, 2 has smooth edges.
        views: those that are rendered.

    Raises:
        OptionError: a seed outside of that, no such view, or a size or number of samples below 1.

    Example:
        >>> table = make_tabletop(3, size=32, samples=1)
        >>> sorted(table.views), table.instructions[0].text
        (['left', 'operator', 'right', 'side', 'top'], 'pick the blue block')
    """
    if not 0 <= seed < HELD_OUT.stop:
        raise OptionError(f"seed is {seed}; expected 0 to 2**42 - 1")
    if size < 1 or samples < 1:
        raise OptionError(f"size is {size} and samples {samples}; expected at least 1 of each")
    if unknown := [name for name in views if name not in (*ORTHOGRAPHIC, *PERSPECTIVE)]:
        raise OptionError(f"there is no view {unknown[0]!r}; expected {', '.join((*ORTHOGRAPHIC, *PERSPECTIVE))}")
    rng = np.random.Generator(np.random.PCG64(seed))
    blocks, light = scatter_blocks(rng), random_light(rng)
    cameras = _cameras(rng, size)
    each: dict[str, OrthographicView | Cameras] = {**ORTHOGRAPHIC}
    for i, name in enumerate(PERSPECTIVE):
        each[name] = Cameras(cameras.intrinsics[i : i + 1], cameras.rotation[i : i + 1], cameras.translation[i : i + 1])
    shown = {name: render(name, blocks, light, each[name], (size, size), samples) for name in views}
    return Tabletop(blocks, shown, cameras, all_instructions(blocks))


def _cameras(rng: np.random.Generator, size: int) -> Cameras:
    """Before the table, to the left and to the right, at the height of eyes, never quite at the same place."""
    places = np.array([[-0.75, -1.35, 1.05], [0.8, -1.3, 0.95]]) + rng.uniform(-0.12, 0.12, (2, 3))
    target = torch.tensor([0.0, 0.0, 0.02], dtype=torch.float64)
    return Cameras.looking_at(torch.from_numpy(places), target, focal_px=FOCAL * size, size=(size, size))
