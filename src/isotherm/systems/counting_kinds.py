"""Which objects have a dot: those at the border, those that others cover, those in clusters, the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment

from isotherm.data.fsc147 import CountedPicture
from isotherm.frame import Size

KINDS = ("border", "occluded", "cluster", "other")
COVERED, NEAR, NEIGHBOURS = 0.5, 1.5, 2
"""In object sizes: nearer than the first, one of two covers the other; so many within the second are a cluster."""


def object_size(one: CountedPicture) -> float | None:
    """The exemplars' mean longer side in pixels, or None where a picture has no exemplars."""
    return float((one.boxes[:, 2:] - one.boxes[:, :2]).max(1).mean()) if len(one.boxes) else None


def matches(
    dots: Float[np.ndarray, "k 2"], points: Float[np.ndarray, "n 2"], reach_px: float
) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """The numbers of the dots and of the points that belong together: one to one, no further apart than a reach, as
    many as can be.

    Example:
        >>> [m.tolist() for m in matches(np.array([[0.0, 0.0], [9.0, 9.0]]), np.array([[9.0, 8.0]]), 2)]
        [[1], [0]]
    """
    if not len(dots) or not len(points):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    far = np.linalg.norm(dots[:, None] - points[None], axis=-1) > reach_px
    rows, columns = linear_sum_assignment(far)
    near = ~far[rows, columns]
    return rows[near], columns[near]


def objects_with_dots(dots: Float[np.ndarray, "k 2"], one: CountedPicture) -> Bool[np.ndarray, " n"]:
    """Which objects have a dot on them, one to one: no further from an object's point than half of its size."""
    on = np.zeros(len(one.points), bool)
    size = object_size(one)
    if size is None or not len(dots) or not len(one.points):
        return on
    on[matches(dots, one.points, size / 2)[1]] = True
    return on


def kinds_of(one: CountedPicture, size: Size) -> list[str]:
    """The kind of each object, the first of these that is so.

    ``border``: a box of an object's size around its point would reach out of the picture. ``occluded``: another
    object's point is nearer than half of that size, so that one of the two covers the other. ``cluster``: at least two
    others within one and a half of it. ``other``: none of these, or the picture has no exemplars.

    FSC-147 marks a point on each object and neither its outline nor what covers it: this is what points and the
    exemplars' mean longer side can tell.

    Args:
        size: (h, w) of the picture.
    """
    h, w = size
    own = object_size(one)
    if own is None or not len(one.points):
        return ["other"] * len(one.points)
    x, y = one.points[:, 0], one.points[:, 1]
    edge = np.minimum(np.minimum(x, w - x), np.minimum(y, h - y)) < own / 2
    apart = np.linalg.norm(one.points[:, None] - one.points[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    covered = apart.min(1) < COVERED * own
    crowded = (apart < NEAR * own).sum(1) >= NEIGHBOURS
    return [
        KINDS[0] if e else KINDS[1] if o else KINDS[2] if c else KINDS[3]
        for e, o, c in zip(edge, covered, crowded, strict=True)
    ]


def kind_counts(kinds: Sequence[str], on: Bool[np.ndarray, " n"]) -> dict[str, list[int]]:
    """For each kind that there is, how many objects, and how many of them have a dot.

    Example:
        >>> kind_counts(["border", "other", "other"], np.array([False, True, False]))
        {'border': [1, 0], 'other': [2, 1]}
    """
    of = np.array(kinds)
    return {kind: [int((of == kind).sum()), int(on[of == kind].sum())] for kind in KINDS if kind in kinds}


def kind_shares(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each kind in the lines of several pictures: ``objects``, and ``dot_recall``, the share that has a dot.

    Example:
        >>> kind_shares([{"kinds": {"border": [1, 0]}}, {"kinds": {"border": [3, 2]}}])
        {'border': {'objects': 4, 'dot_recall': 0.5}}
    """
    out = {}
    for kind in KINDS:
        pairs = [row["kinds"][kind] for row in rows if kind in row.get("kinds", {})]
        objects, hits = (sum(pair[i] for pair in pairs) for i in (0, 1))
        if objects:
            out[kind] = {"objects": objects, "dot_recall": hits / objects}
    return out
