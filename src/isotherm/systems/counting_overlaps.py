"""Whether crops count twice: for each two crops that overlap, the objects that both of them count."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from jaxtyping import Float

from isotherm.systems.counting_fusion import Sighting
from isotherm.systems.counting_kinds import matches
from isotherm.systems.counting_views import Box, within
from isotherm.systems.vlm_counting import CountResult


@dataclass(frozen=True, eq=False)
class CropOverlap:
    """What two crops both see.

    Args:
        first, second: names of the crops.
        box: (x0, y0, x1, y1) of what both see, in source pixels.
        twice: (n, 2) places that both count, in the middle between their two dots.
    """

    first: str
    second: str
    box: Box
    twice: Float[np.ndarray, "n 2"] = field(repr=False)


@dataclass(frozen=True, eq=False)
class CropCheck:
    """Whether a strategy's crops count twice, and how much it would be.

    Args:
        overlaps: of every two crops that overlap.
        summed: the crops' counts added up, as if nothing overlapped.
        counted: the count without what is seen twice, before rounding; None where there is none.
    """

    overlaps: tuple[CropOverlap, ...]
    summed: float
    counted: float | None

    def lines(self) -> list[str]:
        """A list for a person, the crops that count most twice first."""
        counted = "no count" if self.counted is None else f"{self.counted:g}"
        worst = sorted(self.overlaps, key=lambda one: -len(one.twice))
        return [
            f"the crops' counts add up to {self.summed:g}; with what overlaps counted once: {counted}",
            *(f"{one.first} and {one.second}: {len(one.twice)} counted twice" for one in worst if len(one.twice)),
        ]


def check_crops(result: CountResult, *, same_tokens: float = 1.5) -> CropCheck:
    """What the overlaps of a count's crops count twice.

    Args:
        result: of the strategies dense, hybrid or custom; others have no crops that are put together.
        same_tokens: dots of two crops this near, in vision tokens, are one object; as in the configuration of the
            count.
    """
    parts = [
        (one, counted) for one, counted in zip(result.looks, result.counts, strict=True) if one.view.role == "part"
    ]
    same_px = same_tokens * max((one.token_px for one, _ in parts), default=0.0)
    seen = [Sighting(one.view, counted, one.peaks.xy.double().numpy()) for one, counted in parts]
    overlaps = []
    for a, b in combinations(seen, 2):
        x0, y0 = (max(a.view.box[i], b.view.box[i]) for i in (0, 1))
        x1, y1 = (min(a.view.box[i], b.view.box[i]) for i in (2, 3))
        if x0 < x1 and y0 < y1:
            mine, others = a.dots[within(b.view, a.dots, same_px / 2)], b.dots[within(a.view, b.dots, same_px / 2)]
            i, j = matches(mine, others, same_px)
            overlaps.append(CropOverlap(a.view.name, b.view.name, (x0, y0, x1, y1), (mine[i] + others[j]) / 2))
    return CropCheck(tuple(overlaps), float(sum(counted or 0.0 for _, counted in parts)), result.exact)
