"""Objects through a sequence of maps: the peaks of each moment, assigned to the tracks of the moments before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError
from isotherm.points import Points


@dataclass(eq=False)
class Track:
    """One object.

    Args:
        moments: at which it was seen, in order.
        places: (x, y) at each of them, in source pixels.
        scores: of the points.
    """

    moments: list[int] = field(default_factory=list)
    places: list[tuple[float, float]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    @property
    def xy(self) -> Float[Tensor, "m 2"]:
        """Its places, one per moment at which it was seen."""
        return torch.tensor(self.places).view(-1, 2)

    def expected(self, moment: int) -> np.ndarray:
        """Where it should be at a moment if it goes on as it last did."""
        last = np.array(self.places[-1])
        if len(self.places) == 1:
            return last
        step = (last - self.places[-2]) / (self.moments[-1] - self.moments[-2])
        return last + step * (moment - self.moments[-1])


def track(points: Sequence[Points], *, most_distance: float, memory: int = 2, least_moments: int = 1) -> list[Track]:
    """Follow objects from moment to moment.

    Every moment's points are assigned to the tracks so that the distances between where each track should be and its
    point are least in sum; what is farther than ``most_distance`` begins a track of its own.

    Args:
        points: of each moment (n, 2), in source pixels, such as :func:`isotherm.decode.peaks` gives; those that are not
            finite are none.
        most_distance: in source pixels.
        memory: so many moments an object may be unseen.
        least_moments: tracks that were seen less often are left out.

    Returns:
        Tracks, in the order in which they begin.

    Raises:
        ShapeError: moments that are no Points, or points of several pictures at one moment.
        OptionError: a distance that is not above 0, a negative memory, or fewer than one moment.

    Source: Kuhn, "The Hungarian method for the assignment problem" (1955), as SciPy has it.

    Example:
        >>> moments = [Points(torch.tensor([[float(t), 5.0], [20.0, float(t)]])) for t in range(3)]
        >>> [t.places[-1] for t in track(moments, most_distance=3.0)]
        [(2.0, 5.0), (20.0, 2.0)]
    """
    if not most_distance > 0 or memory < 0 or least_moments < 1:
        raise OptionError(
            f"most_distance is {most_distance}, memory {memory} and least_moments {least_moments}; expected a distance above "
            "0, a memory of at least 0, and at least 1 moment"
        )
    if not isinstance(points, Sequence):
        raise ShapeError(f"points is {_kind(points)}; expected a list with the Points of every moment")
    tracks: list[Track] = []
    for moment, here in enumerate(points):
        if not isinstance(here, Points):
            raise ShapeError(f"moment {moment} is {_kind(here)}; expected Points, such as isotherm.decode.peaks gives")
        if here.xy.ndim != 2:
            raise ShapeError(
                f"the points of moment {moment} have shape {tuple(here.xy.shape)}; expected (n, 2) of one picture"
            )
        xy = here.xy.detach().cpu().double().numpy()
        score = np.ones(len(xy)) if here.score is None else here.score.detach().cpu().double().numpy()
        seen = np.isfinite(xy).all(-1)
        alive = [t for t in tracks if moment - t.moments[-1] <= memory + 1]
        pairs = _assigned(alive, xy[seen], moment, most_distance)
        for i, (place, sure) in enumerate(zip(xy[seen], score[seen], strict=True)):
            one = pairs.get(i)
            if one is None:
                one = Track()
                tracks.append(one)
            one.moments.append(moment)
            one.places.append((float(place[0]), float(place[1])))
            one.scores.append(float(sure))
    return [t for t in tracks if len(t.moments) >= least_moments]


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _assigned(alive: list[Track], xy: np.ndarray, moment: int, most: float) -> dict[int, Track]:
    """The track of each point that has one."""
    if not alive or not len(xy):
        return {}
    from scipy.optimize import linear_sum_assignment  # a tenth of a second that few need

    expected = np.stack([t.expected(moment) for t in alive])
    distance = np.linalg.norm(expected[:, None] - xy[None], axis=-1)
    # too far costs the same however far, so that one stray point does not tear the others from their tracks
    rows, columns = linear_sum_assignment(np.minimum(distance, most * 2))
    return {int(c): alive[r] for r, c in zip(rows, columns, strict=True) if distance[r, c] <= most}
