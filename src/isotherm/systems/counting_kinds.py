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
COVERED = 0.4
"""Share of the smaller of two boxes that the other lies over, from which on one of the two objects covers the other."""
NEAR, NEIGHBOURS = 1.5, 2
"""In object sizes: so many others within the first are a cluster."""
EDGE_PX = 1.0
"""An exemplar that ends this near to the picture's edge is cut off by it."""


def object_size(one: CountedPicture) -> float | None:
    """The exemplars' mean longer side in pixels, or None where a picture has no exemplars."""
    boxes = _exemplars(one)
    return float((boxes[:, 2:] - boxes[:, :2]).max(1).mean()) if len(boxes) else None


def _exemplars(one: CountedPicture) -> Float[np.ndarray, "m 4"]:
    """Those that have an extent; one without says nothing of an object's size."""
    return one.boxes[(one.boxes[:, 2:] > one.boxes[:, :2]).all(1)]


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


def object_boxes(one: CountedPicture) -> tuple[Float[np.ndarray, "n 4"], Bool[np.ndarray, " n"]]:
    """(a box for each object, which of them are exemplars): an exemplar where the object's point is the one nearest to
    its middle and lies inside; for the others a box of the exemplars' mean width and height about the point.
    """
    n, exemplars = len(one.points), _exemplars(one)
    own = np.zeros(n, bool)
    if not n or not len(exemplars):
        return np.full((n, 4), np.nan), own
    half = (exemplars[:, 2:] - exemplars[:, :2]).mean(0) / 2
    boxes = np.concatenate([one.points - half, one.points + half], 1)
    for exemplar in exemplars:
        inside = ((one.points >= exemplar[:2]) & (one.points <= exemplar[2:])).all(1) & ~own
        if inside.any():
            far = np.linalg.norm(one.points - (exemplar[:2] + exemplar[2:]) / 2, axis=1)
            nearest = int(np.where(inside, far, np.inf).argmin())
            boxes[nearest], own[nearest] = exemplar, True
    return boxes, own


def kinds_of(one: CountedPicture, size: Size) -> list[str]:
    """The kind of each object, the first of these that is so, by its box (:func:`object_boxes`).

    ``border``: its box reaches out of the picture, or, if it is an exemplar, which ends where the picture ends, up to
    its edge. ``occluded``: another object's box lies over two fifths of the smaller of both, or another object's point
    lies in the exemplar's box, so that one of the two covers the other. ``cluster``: at least two others within one and
    a half of the exemplars' mean longer side. ``other``: none of these, or the picture has no exemplars.

    FSC-147 marks a point on each object, an outline of three or so, and what covers none: this is what points and
    exemplars can tell.

    Args:
        size: (h, w) of the picture.
    """
    h, w = size
    side = object_size(one)
    if side is None or not len(one.points):
        return ["other"] * len(one.points)
    boxes, own = object_boxes(one)
    slack = np.where(own, EDGE_PX, 0.0)
    beyond = np.minimum(boxes[:, :2].min(1), (np.array([w, h]) - boxes[:, 2:]).min(1))
    edge = beyond < slack
    shared = (
        (np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(boxes[:, None, :2], boxes[None, :, :2]))
        .clip(min=0)
        .prod(-1)
    )
    area = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(1)
    covered = shared > COVERED * np.minimum(area[:, None], area[None])
    inside = ((one.points[None] > boxes[:, None, :2]) & (one.points[None] < boxes[:, None, 2:])).all(-1) & own[:, None]
    covered |= inside | inside.T
    np.fill_diagonal(covered, False)
    apart = np.linalg.norm(one.points[:, None] - one.points[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    crowded = (apart < NEAR * side).sum(1) >= NEIGHBOURS
    return [
        KINDS[0] if e else KINDS[1] if o else KINDS[2] if c else KINDS[3]
        for e, o, c in zip(edge, covered.any(1), crowded, strict=True)
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
