"""From counts and dots of crops that overlap to one count: what two crops see is one object.

A dot in the overlap of two crops has a partner if the other crop has a dot near by; pairs are found one to one, so that
of two objects that stand together neither is lost. A pair is one object. A dot without a partner counts where its own
crop owns the place (lies deeper around it than the other): there the other one saw nothing, and one of the two is
wrong. Counting each place by its owner alone loses or doubles what lies at a border when dots are not exact; joining
what is near and keeping the rest adds every dot that only one crop has. Both together are within half an object of the
better one, on simulated counts and with a small trained model, and err least where that one errs most.

What a crop counts beyond its dots has no place. It is added, times the share of the crop's area that it owns, because
the rest is counted by others. Where no crop gave a count, the whole picture's look stands in, if there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from isotherm.frame import Size
from isotherm.systems.counting_views import CountView, depths, own_shares, owners, within

FAR = 1e9


@dataclass(frozen=True, eq=False)
class Sighting:
    """One view's part in a count.

    Args:
        view: what was looked at.
        count: in it, or None where the model gave none.
        xy: (m, 2) where the map has peaks, in source pixels, strongest first.
    """

    view: CountView
    count: float | None
    xy: Float[np.ndarray, "m 2"]

    @property
    def dots(self) -> Float[np.ndarray, "k 2"]:
        """The strongest peaks, as many as were counted."""
        return self.xy[: max(0, int(np.floor((self.count or 0.0) + 0.5)))]

    @property
    def left(self) -> float:
        """What was counted beyond the dots."""
        return 0.0 if self.count is None else self.count - len(self.dots)


@dataclass(frozen=True, eq=False)
class FusedCount:
    """A count of the whole.

    Args:
        count: not rounded, or None where nothing gave one.
        view, peak: (n) which peak of which of the views each dot is.
        unplaced: how much of the count has no dot.
    """

    count: float | None
    view: Int[np.ndarray, " n"]
    peak: Int[np.ndarray, " n"]
    unplaced: float


@dataclass
class _Object:
    view: int
    peak: int
    at: np.ndarray
    deep: float
    views: list[int] = field(default_factory=list)


def fuse(seen: Sequence[Sighting], size: Size, *, same_px: float) -> FusedCount:
    """One count of several views: of the parts, or of the whole where there are none.

    Args:
        size: (h, w) of the picture.
        same_px: dots of two views this near are one object.

    Example:
        >>> left, right = CountView("left", (0, 0, 60, 50)), CountView("right", (40, 0, 100, 50))
        >>> one = fuse([Sighting(left, 1.0, np.array([[49.0, 25.0]])), Sighting(right, 1.0, np.array([[52.0, 25.0]]))], (50, 100), same_px=5)
        >>> one.count, one.view.tolist()
        (1.0, [1])
    """
    parts = [i for i, s in enumerate(seen) if s.view.role == "part"]
    whole = next((i for i, s in enumerate(seen) if s.view.role == "whole"), None)
    speaking = [i for i in parts if seen[i].count is not None]
    objects: list[_Object] = []
    unplaced, counted = 0.0, False
    if speaking:
        views = [seen[i].view for i in speaking]
        objects = _objects(views, [seen[i].dots for i in speaking], size, same_px)
        objects = [_Object(speaking[o.view], o.peak, o.at, o.deep) for o in objects]
        unplaced = float(sum(seen[i].left * share for i, share in zip(speaking, own_shares(views, size), strict=True)))
        counted = True
    if whole is not None and seen[whole].count is not None and len(speaking) < max(1, len(parts)):
        views = [seen[i].view for i in speaking]
        dots = seen[whole].dots
        free = owners(views, size, dots) == -1 if views else np.ones(len(dots), bool)
        objects += [_Object(whole, int(k), dots[k], 0.0) for k in np.flatnonzero(free)]
        unplaced += seen[whole].left * _unseen(views, size)
        counted = True
    view, peak = (np.array([getattr(o, name) for o in objects], np.int64) for name in ("view", "peak"))
    return FusedCount(max(0.0, len(objects) + unplaced) if counted else None, view, peak, unplaced)


def _objects(
    views: Sequence[CountView], dots: Sequence[Float[np.ndarray, "_ 2"]], size: Size, same_px: float
) -> list[_Object]:
    """Dots of several views, those that are partners as one, without those that no partner and no owner backs."""
    objects: list[_Object] = []
    for i, xy in enumerate(dots):
        if not len(xy):
            continue
        deep = depths(views, size, xy)[i]
        partner = _partners(views, objects, i, xy, same_px)
        for k, at in enumerate(xy):
            known = partner.get(k)
            if known is None:
                objects.append(_Object(i, k, at, float(deep[k]), [i]))
                continue
            known.views.append(i)
            if deep[k] > known.deep:  # the one that sees more around it knows better where it is
                known.view, known.peak, known.at, known.deep = i, k, at, float(deep[k])
    if not objects:
        return []
    owner = owners(views, size, np.stack([o.at for o in objects]))
    return [o for o, own in zip(objects, owner, strict=True) if len(o.views) > 1 or own == o.view]


def _partners(
    views: Sequence[CountView], objects: list[_Object], i: int, xy: Float[np.ndarray, "k 2"], same_px: float
) -> dict[int, _Object]:
    """For dots of view i the objects that other views have in the same place, one to one, the nearest together."""
    if not objects or same_px <= 0:
        return {}
    at = np.stack([o.at for o in objects])
    cost = np.linalg.norm(xy[:, None] - at[None], axis=-1)
    # both must see the place; a dot is off by about half of what may lie between two
    both = within(views[i], at, same_px / 2)[None] & np.stack(
        [within(views[o.views[-1]], xy, same_px / 2) for o in objects], 1
    )
    cost = np.where(both & (cost <= same_px), cost, FAR)
    return {int(k): objects[j] for k, j in zip(*linear_sum_assignment(cost), strict=True) if cost[k, j] < FAR}


def _unseen(views: Sequence[CountView], size: Size) -> float:
    """The share of the picture that no view sees."""
    if not views:
        return 1.0
    h, w = size
    ys, xs = np.meshgrid((np.arange(64) + 0.5) * h / 64, (np.arange(64) + 0.5) * w / 64, indexing="ij")
    return float((owners(views, size, np.stack([xs.ravel(), ys.ravel()], -1)) == -1).mean())
