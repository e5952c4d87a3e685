"""How well a detector's findings are where, and what, the objects are: average precision over overlaps, and plain
shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.errors import OptionError, ShapeError

OVERLAPS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
"""The overlaps of COCO's AP: 0.50, 0.55, ..., 0.95."""
RECALLS = torch.from_numpy(np.linspace(0, 1, 101))
"""Recalls at which COCO reads the precision."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of one picture, found or true.

    Args:
        boxes: (n, 4) x0, y0, x1, y1 in source pixels.
        classes: (n,).
        scores: (n,) confidences; of true boxes, left out.
    """

    boxes: Float[Tensor, "n 4"]
    classes: Int[Tensor, " n"]
    scores: Float[Tensor, " n"] | None = None


def overlaps(a: Float[Tensor, "n 4"], b: Float[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """Intersection over union of every box with every other, in float64; 0 for boxes without an area.

    Example:
        >>> overlaps(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[1.0, 0.0, 3.0, 2.0], [2.0, 0.0, 3.0, 2.0]])).round(decimals=4)
        tensor([[0.3333, 0.0000]], dtype=torch.float64)
    """
    a, b = a.double(), b.double()
    low, high = torch.maximum(a[:, None, :2], b[None, :, :2]), torch.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = (high - low).clamp(min=0).prod(-1)
    area_a, area_b = ((x[:, 2:] - x[:, :2]).clamp(min=0).prod(-1) for x in (a, b))
    return inter / (area_a[:, None] + area_b[None] - inter).clamp(min=1e-12)


def match(overlaps: Float[Tensor, "n m"], least: float) -> Bool[Tensor, " n"]:
    """Which of the findings, the surest first, hit an object of their own: each takes the object left that it overlaps
    most.

    Args:
        overlaps: (n, m) overlaps of findings with objects.
        least: overlap for a hit.
    """
    hits = torch.zeros(overlaps.shape[0], dtype=torch.bool)
    left = overlaps.clone()
    for i in range(overlaps.shape[0]):
        if not left.shape[1]:
            break
        best = int(left[i].argmax())
        if float(left[i, best]) >= least:
            hits[i] = True
            left[:, best] = -1.0
    return hits


def detection_average_precision(
    predictions: Sequence[Boxes], true: Sequence[Boxes], *, classes: int, least: Sequence[float] = OVERLAPS
) -> Float[Tensor, "k t"]:
    """Average precision of each class at each overlap, as COCO defines it; NaN for a class that has no object.

    All findings of a class, over all pictures, from the surest on: precision is the share of them that hit an object,
    recall the share of objects hit; precision is made falling in recall, and read at 101 recalls.

    Args:
        predictions, true: one for every picture, in the same order.
        classes: how many there are.
        least: overlaps for a hit.

    Returns:
        (classes, len(least)) in [0, 1], float64.

    Raises:
        ShapeError: not as many pictures found as true, or findings without scores.
        OptionError: an overlap outside of (0, 1].

    Source: the evaluation of Lin et al., "Microsoft COCO" (ECCV 2014), as in pycocotools' ``COCOeval``, without its
    limit of 100 findings per picture.

    Example:
        >>> box, other = torch.tensor([[0.0, 0.0, 4.0, 4.0]]), torch.tensor([[6.0, 6.0, 9.0, 9.0]])
        >>> true = Boxes(box, torch.tensor([0]))
        >>> found = Boxes(torch.cat([other, box]), torch.tensor([0, 0]), torch.tensor([0.9, 0.8]))   # the surer one is wrong
        >>> detection_average_precision([found], [true], classes=1, least=(0.5,)).tolist()
        [[0.5]]
    """
    if len(predictions) != len(true) or any(f.scores is None for f in predictions):
        raise ShapeError(
            f"{len(predictions)} pictures were looked at and {len(true)} are labelled; expected as many, and a score for every finding"
        )
    if not least or not all(0 < x <= 1 for x in least):
        raise OptionError(f"least is {tuple(least)}; expected overlaps above 0, up to 1")
    result = torch.full((classes, len(least)), torch.nan, dtype=torch.float64)
    for k in range(classes):
        objects = sum(int((t.classes == k).sum()) for t in true)
        if not objects:
            continue
        scores, hits = [torch.zeros(0, dtype=torch.float64)], [torch.zeros(len(least), 0, dtype=torch.bool)]
        for f, t in zip(predictions, true, strict=True):
            mine, score = _of_class(f, k)
            shared = overlaps(mine, t.boxes[t.classes == k])
            scores.append(score)
            hits.append(torch.stack([match(shared, x) for x in least]))
        order = torch.cat(scores).argsort(descending=True, stable=True)
        for j in range(len(least)):
            result[k, j] = _area(torch.cat(hits, -1)[j][order], objects)
    return result


def shares(predictions: Sequence[Boxes], true: Sequence[Boxes], *, least: float = 0.5) -> dict[str, float]:
    """Plain shares of findings that were made at one threshold of confidence.

    Returns:
        ``recall``: of objects that a finding of their class hits; ``precision``: of findings that hit; ``mean_iou``:
        mean overlap of the hits; ``class_accuracy``: of objects that some finding overlaps, how often the surest of
        those has their class.
    """
    objects = findings = hits = seen = right = 0
    overlap = 0.0
    for f, t in zip(predictions, true, strict=True):
        assert f.scores is not None
        order = f.scores.argsort(descending=True, stable=True)
        shared = overlaps(f.boxes[order], t.boxes)
        same = f.classes[order][:, None] == t.classes[None]
        objects, findings = objects + len(t.classes), findings + len(f.classes)
        of_class = torch.where(same, shared, 0.0)
        hit = match(of_class, least)
        hits += int(hit.sum())
        overlap += float(of_class[hit].amax(1).sum()) if bool(hit.any()) else 0.0
        for m in range(len(t.classes)):
            there = torch.nonzero(shared[:, m] >= least).flatten()
            if len(there):
                seen, right = seen + 1, right + int(same[there[0], m])
    return {
        "recall": hits / max(1, objects),
        "precision": hits / max(1, findings),
        "mean_iou": overlap / max(1, hits),
        "class_accuracy": right / max(1, seen),
    }


def _of_class(predictions: Boxes, k: int) -> tuple[Tensor, Tensor]:
    """Boxes and scores of one class, the surest first."""
    assert predictions.scores is not None
    rows = torch.nonzero(predictions.classes == k).flatten()
    rows = rows[predictions.scores[rows].argsort(descending=True, stable=True)]
    return predictions.boxes[rows], predictions.scores[rows].double()


def _area(hits: Bool[Tensor, " n"], objects: int) -> float:
    right = hits.double().cumsum(0)
    recall, precision = right / objects, right / torch.arange(1, len(hits) + 1, dtype=torch.float64)
    falling = precision.flip(0).cummax(0).values.flip(0) if len(hits) else precision
    at = torch.searchsorted(recall, RECALLS)
    return float(torch.where(at < len(hits), torch.cat([falling, falling.new_zeros(1)])[at], 0.0).mean())
