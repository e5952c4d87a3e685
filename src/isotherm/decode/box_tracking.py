"""Boxes through a sequence of pictures, such as heads in a video: who of this moment is who of the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError


@dataclass(eq=False)
class BoxTrack:
    """One object.

    Args:
        moments: at which it was seen, in order.
        rows: which of each moment's boxes is its own.
        boxes: these boxes, x0, y0, x1, y1.
    """

    moments: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)

    def expected(self, moment: int) -> np.ndarray:
        """Where its box should be at a moment if its middle goes on as it last moved; its size stays."""
        last = self.boxes[-1]
        if len(self.boxes) == 1:
            return last
        step = (_middle(last) - _middle(self.boxes[-2])) / (self.moments[-1] - self.moments[-2])
        return last + np.tile(step * (moment - self.moments[-1]), 2)


def track_boxes(
    boxes: Sequence[Float[Tensor, "_ _"]], *, least_iou: float = 0.2, memory: int = 15, least_moments: int = 1
) -> list[BoxTrack]:
    """Follow objects from moment to moment.

    Every moment's boxes are assigned to the tracks so that the overlaps between where each track should be and its box
    are most in sum; what overlaps less than ``least_iou`` with all of them begins a track of its own.

    Args:
        boxes: of each moment (n, 4) x0, y0, x1, y1.
        least_iou: least intersection over union, above 0 to 1.
        memory: so many moments an object may be unseen.
        least_moments: tracks that were seen less often are left out.

    Returns:
        Tracks, in the order in which they begin.

    Raises:
        ShapeError: boxes of another shape.
        OptionError: an overlap that is none, a negative memory, or fewer than one moment.

    Source: Bewley et al., "Simple online and realtime tracking" (ICIP 2016), with the last step in place of a Kalman
    filter; the assignment is that of Kuhn 1955, as SciPy has it.

    Example:
        >>> moments = [torch.tensor([[2.0 * t, 0, 2 * t + 4, 4], [20, 0, 24, 4]]) for t in range(3)]
        >>> [t.rows for t in track_boxes(moments)]
        [[0, 0, 0], [1, 1, 1]]
    """
    if not 0 < least_iou <= 1 or memory < 0 or least_moments < 1:
        raise OptionError(
            f"least_iou is {least_iou}, memory {memory} and least_moments {least_moments}; expected an overlap above 0 to 1, a "
            "memory of at least 0, and at least 1 moment"
        )
    tracks: list[BoxTrack] = []
    for moment, here in enumerate(boxes):
        if here.ndim != 2 or here.shape[1] != 4:
            raise ShapeError(f"the boxes of moment {moment} have shape {tuple(here.shape)}; expected (n, 4)")
        now = here.detach().cpu().double().numpy()
        alive = [t for t in tracks if moment - t.moments[-1] <= memory + 1]
        pairs = _assigned(alive, now, moment, least_iou)
        for row, box in enumerate(now):
            one = pairs.get(row)
            if one is None:
                one = BoxTrack()
                tracks.append(one)
            one.moments.append(moment)
            one.rows.append(row)
            one.boxes.append(box)
    return [t for t in tracks if len(t.moments) >= least_moments]


def box_overlap(a: Float[np.ndarray, "n 4"], b: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Intersection over union of every box with every other.

    Args:
        a, b: x0, y0, x1, y1.

    Example:
        >>> box_overlap(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]])).round(3).tolist()
        [[0.333]]
    """
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inner = np.clip(high - low, 0, None).prod(-1)
    area_a, area_b = ((v[:, 2:] - v[:, :2]).prod(-1) for v in (a, b))
    union = area_a[:, None] + area_b[None] - inner
    return np.divide(inner, union, out=np.zeros_like(inner), where=union > 0)


def _middle(box: np.ndarray) -> np.ndarray:
    return (box[:2] + box[2:]) / 2


def _assigned(alive: list[BoxTrack], now: np.ndarray, moment: int, least: float) -> dict[int, BoxTrack]:
    """The track of each box that has one."""
    if not alive or not len(now):
        return {}
    from scipy.optimize import linear_sum_assignment  # a tenth of a second that few need

    overlap = box_overlap(np.stack([t.expected(moment) for t in alive]), now)
    # too little counts as nothing, so that a stray box does not tear the others from their tracks
    rows, columns = linear_sum_assignment(np.where(overlap >= least, overlap, 0), maximize=True)
    return {int(c): alive[r] for r, c in zip(rows, columns, strict=True) if overlap[r, c] >= least}
