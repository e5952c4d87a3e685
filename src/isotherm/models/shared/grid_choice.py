"""The layer that running a model shows to be the one to explain, and why, in words."""

from __future__ import annotations

from dataclasses import dataclass

from isotherm.cam.view import LayerChoice


@dataclass(frozen=True)
class LastGrid:
    """The layer that was found.

    Args:
        name: of the layer.
        grid: (h, w) of its cells.
        passed: how many later grids were passed over for want of gradient.
        moved: that its cells are places was proved by a square that moved.
        proved: it was proved at all.
        share: of the layers that run in front of it, among all whose output has more than one place, from 0 to 1.
        alive: share of its cells that carry gradient.
        cancelled: the last later layer that was passed over since its map would be zero by construction, and why; of a
            layer that is chosen for want of another, itself.
    """

    name: str
    grid: tuple[int, int]
    passed: int
    moved: bool = False
    proved: bool = True
    share: float = 1.0
    alive: float = 1.0
    cancelled: tuple[str, str] | None = None


def choice_of(grid: LastGrid, kind: str) -> LayerChoice:
    """The choice of a layer that was found, with its reason in words. kind: of the model."""
    why = (
        f"the last layer of this {kind} that still has one cell per image region "
        f"({grid.grid[0]} x {grid.grid[1]}) and of which {'every cell carries' if grid.alive == 1 else f'{grid.alive:.0%} of the cells carry'} gradient, "
        "found by running the model once"
    )
    if grid.moved and grid.proved:
        why += "; that its cells are places was proved by moving a square over the input"
    if grid.passed:
        why += f"; {grid.passed} later one{'s were' if grid.passed > 1 else ' was'} passed over because cells without gradient would draw nothing"
    if grid.cancelled is not None and grid.cancelled[0] != grid.name:
        why += f"; {grid.cancelled[0]} was passed over: {grid.cancelled[1]}"
    if grid.cancelled is not None and grid.cancelled[0] == grid.name:
        why += f"; CAUTION: {grid.cancelled[1]}, and no other layer will do, so its map may be rounding alone; name a layer behind that"
    if not grid.proved:
        why += "; CAUTION: nothing could prove that its cells are places of the picture (they do not follow a square that is moved over the input)"
    if grid.share < 0.5:
        why += (
            f"; CAUTION: it is an early layer, {1 - grid.share:.0%} of the layers run behind it and may move evidence away from its cells; "
            "name a later one if you know one"
        )
    return LayerChoice((grid.name,), why)
