"""Instructions about the blocks of a table, each with the place that it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from isotherm.data.tabletop.blocks import HALF_TABLE, LEAST_GAP, Block

Kind = Literal["pick", "relation", "place"]
KINDS: tuple[Kind, ...] = ("pick", "relation", "place")
"""Of instructions: a block by its colour; a block by where it lies of another; a free place beside a block."""
SIDES = {"left of": (-1, 0), "right of": (1, 0), "in front of": (0, -1), "behind": (0, 1)}
"""As the operator sees it, who stands before the table and looks along y: steps in x and y."""
CLEAR = 0.03
"""By how much an answer must win over what else might be meant, in metres."""
BESIDE = 0.09
"""Between a block's circle and a place beside it, in metres."""
WORDS = ("pick", "put", "the", "it", "one", "block", *(w for side in SIDES for w in side.split()))
"""The words of all instructions, but for the colours; "of" and others more than once."""


@dataclass(frozen=True)
class Instruction:
    """A sentence and what it means.

    Args:
        text: such as "pick the red block".
        kind: see :data:`KINDS`.
        point: (x, y, z) in metres: the middle of the block that is meant, or a place on the table.
        block: the number of the block that is meant; None for a place.
    """

    text: str
    kind: Kind
    point: tuple[float, float, float]
    block: int | None


def all_instructions(blocks: Sequence[Block]) -> tuple[Instruction, ...]:
    """Every instruction that has one meaning on this table."""
    return (*_picks(blocks), *_relations(blocks), *_places(blocks))


def _picks(blocks: Sequence[Block]) -> list[Instruction]:
    return [Instruction(f"pick the {b.colour} block", "pick", b.centre, i) for i, b in enumerate(blocks)]


def _relations(blocks: Sequence[Block]) -> list[Instruction]:
    """A block on one side of another, where no second block is on that side."""
    out = []
    for reference in blocks:
        for words, step in SIDES.items():
            sure = [i for i, b in enumerate(blocks) if b is not reference and _lies(b, reference, step, CLEAR)]
            perhaps = [i for i, b in enumerate(blocks) if b is not reference and _lies(b, reference, step, -CLEAR)]
            if len(sure) == 1 and perhaps == sure:
                text = f"pick the one {words} the {reference.colour} block"
                out.append(Instruction(text, "relation", blocks[sure[0]].centre, sure[0]))
    return out


def _lies(block: Block, reference: Block, step: tuple[int, int], margin: float) -> bool:
    """Whether a block lies more to this side of another than across it."""
    dx, dy = (block.centre[i] - reference.centre[i] for i in (0, 1))
    along, across = dx * step[0] + dy * step[1], abs(dx * step[1]) + abs(dy * step[0])
    return along > margin and along > across + margin


def _places(blocks: Sequence[Block]) -> list[Instruction]:
    """A free place of the table beside a block."""
    out = []
    for reference in blocks:
        for words, step in SIDES.items():
            away = reference.radius + BESIDE
            x, y = (reference.centre[i] + away * step[i] for i in (0, 1))
            free = all(np.hypot(b.centre[0] - x, b.centre[1] - y) > b.radius + LEAST_GAP for b in blocks)
            if free and max(abs(x), abs(y)) < HALF_TABLE - LEAST_GAP:
                out.append(Instruction(f"put it {words} the {reference.colour} one", "place", (x, y, 0.0), None))
    return out
