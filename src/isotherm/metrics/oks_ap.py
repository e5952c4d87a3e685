"""Average precision and recall of keypoints, as COCO evaluates them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.errors import InputError, ShapeError
from isotherm.metrics.oks import COCO_SIGMAS, oks_matrix
from isotherm.metrics.point_errors import place_known

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
RANGES = {"all": (0.0, 1e10), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
MOST = 20
"""Predictions of a picture that count, the best first."""


@dataclass(frozen=True, eq=False)
class OksTruth:
    """The objects of a picture.

    Args:
        points: (g, n, 2) pixels.
        state: (g, n).
        area: (g,) pixels squared.
        boxes: (g, 4) x0, y0, x1, y1.
        ignored: (g,) crowds and objects that count neither when they are found nor when they are not; None: none of
            them.

    Raises:
        ShapeError: ``ignored`` is not one truth value for each object; without objects an empty tensor of any type is.
    """

    points: Float[Tensor, "g n 2"]
    state: Int[Tensor, "g n"]
    area: Float[Tensor, " g"]
    boxes: Float[Tensor, "g 4"]
    ignored: Bool[Tensor, " g"] | None = None

    def __post_init__(self) -> None:
        ignored = self.ignored
        if ignored is None:
            return
        if ignored.shape != self.area.shape or (ignored.dtype != torch.bool and len(ignored)):
            raise ShapeError(
                f"ignored has shape {tuple(ignored.shape)} and type {ignored.dtype} for {len(self.area)} objects; expected one truth value (torch.bool) for each"
            )
        object.__setattr__(self, "ignored", ignored.bool())  # torch.tensor([]) is of numbers


@dataclass(frozen=True, eq=False)
class OksPredictions:
    """What was found in a picture: points (p, n, 2) in pixels and scores (p,)."""

    points: Float[Tensor, "p n 2"]
    score: Float[Tensor, " p"]


@dataclass(frozen=True)
class OksPrecision:
    """COCO's ten figures; -1 where there is no object of the kind, as there.

    Args:
        ap: mean over thresholds .50 to .95 of average precision; ap50 and ap75 at one; ap_medium and ap_large for
            objects of 32^2 to 96^2 pixels and above. ar and so on: the largest recall, averaged alike.
    """

    ap: float
    ap50: float
    ap75: float
    ap_medium: float
    ap_large: float
    ar: float
    ar50: float
    ar75: float
    ar_medium: float
    ar_large: float


def oks_average_precision(
    truth: Sequence[OksTruth], predicted: Sequence[OksPredictions], *, sigmas: Sequence[float] = COCO_SIGMAS
) -> OksPrecision:
    """COCO's keypoint evaluation of some pictures.

    Predictions are matched greedily by score, each to the object of the largest similarity that is left; objects
    without labelled points, crowds and those of another size are matched last and count nowhere, nor do predictions
    that fall on them.

    Args:
        truth, predicted: one for every picture, in the same order.
        sigmas: (n) constants of the points.

    Raises:
        ShapeError: not as many of both.
        InputError: a prediction or score that is not finite.

    Source: ``cocoeval.py`` of pycocotools 2.0.11, to 1e-12; the only difference is that an object with the id 0, which
    it takes for "no object", is one here.
    """
    if len(truth) != len(predicted):
        raise ShapeError(
            f"there are {len(truth)} pictures with truth and {len(predicted)} with predictions; expected one of each for every picture"
        )
    for i, p in enumerate(predicted):
        if not bool(torch.isfinite(p.points).all() & torch.isfinite(p.score).all()):
            raise InputError(f"a prediction of picture {i} is not finite; leave it out, or give it a place and a score")
    ready = [_prepared(t, p, sigmas) for t, p in zip(truth, predicted, strict=True)]
    figures = {name: _accumulated([_matched(*r, low_high) for r in ready]) for name, low_high in RANGES.items()}
    (precision, recall), at50, at75 = figures["all"], 0, 5
    return OksPrecision(
        _mean(precision),
        _mean(precision[at50]),
        _mean(precision[at75]),
        _mean(figures["medium"][0]),
        _mean(figures["large"][0]),
        _mean(recall),
        float(recall[at50]),
        float(recall[at75]),
        _mean(figures["medium"][1]),
        _mean(figures["large"][1]),
    )


@dataclass(frozen=True, eq=False)
class _Objects:
    area: np.ndarray
    ignored: np.ndarray
    crowd: np.ndarray


@dataclass(frozen=True, eq=False)
class _Found:
    score: np.ndarray
    area: np.ndarray


def _prepared(
    truth: OksTruth, predicted: OksPredictions, sigmas: Sequence[float]
) -> tuple[np.ndarray, _Objects, _Found]:
    """(similarities (p, g), objects, predictions), the predictions by falling score."""
    order = torch.from_numpy(np.argsort(-predicted.score.double().numpy(), kind="stable")[:MOST].copy())
    points = predicted.points[order]
    similarity = oks_matrix(points, truth.points, truth.state, truth.area, truth.boxes, sigmas).numpy()
    crowd = np.zeros(len(truth.area), bool) if truth.ignored is None else truth.ignored.numpy()
    unlabelled = ~place_known(truth.state).any(-1).numpy()
    extent = (points.double().amax(1) - points.double().amin(1)).prod(-1).numpy() if len(points) else np.zeros(0)
    return (
        similarity,
        _Objects(truth.area.double().numpy(), crowd | unlabelled, crowd),
        _Found(predicted.score[order].double().numpy(), extent),
    )


def _matched(
    similarity: np.ndarray, objects: _Objects, predictions: _Found, limits: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """(scores (p), hits (t, p), to be left out (t, p), objects that count) of a picture in a range of areas."""
    low, high = limits
    ignored = objects.ignored | (objects.area < low) | (objects.area > high)
    order = np.argsort(ignored, kind="stable")
    ignored, crowd, similarity = ignored[order], objects.crowd[order], similarity[:, order]
    hit = np.zeros((len(THRESHOLDS), len(predictions.score)), bool)
    left_out = np.zeros_like(hit)
    for t, threshold in enumerate(THRESHOLDS):
        taken = np.zeros(len(ignored), bool)
        for p in range(len(predictions.score)):
            best, at = min(threshold, 1 - 1e-10), -1
            for g in range(len(ignored)):
                if taken[g] and not crowd[g]:
                    continue
                if at > -1 and not ignored[at] and ignored[g]:
                    break  # one that counts was found; those that do not come last
                if similarity[p, g] >= best:
                    best, at = similarity[p, g], g
            if at > -1:
                taken[at] = hit[t, p] = True
                left_out[t, p] = ignored[at]
    left_out |= ~hit & ((predictions.area < low) | (predictions.area > high))
    return predictions.score, hit, left_out, int((~ignored).sum())


def _accumulated(pictures: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray, int]]) -> tuple[np.ndarray, np.ndarray]:
    """(precision (t, recalls), recall (t)), -1 where no object counts."""
    thresholds = len(THRESHOLDS)
    count = sum(n for *_, n in pictures)
    if count == 0:
        return np.full((thresholds, len(RECALLS)), -1.0), np.full(thresholds, -1.0)
    score = np.concatenate([s for s, *_ in pictures])
    order = np.argsort(-score, kind="stable")
    hit, left_out = (np.concatenate([p[i] for p in pictures], axis=1)[:, order] for i in (1, 2))
    precision, recall = np.zeros((thresholds, len(RECALLS))), np.zeros(thresholds)
    for t in range(thresholds):
        right = np.cumsum(hit[t] & ~left_out[t]).astype(float)
        wrong = np.cumsum(~hit[t] & ~left_out[t]).astype(float)
        if not len(right):
            continue
        recalled = right / count
        recall[t] = recalled[-1]
        envelope = np.maximum.accumulate((right / (right + wrong + np.spacing(1)))[::-1])[::-1]
        at = np.searchsorted(recalled, RECALLS, side="left")
        reached = at < len(envelope)
        precision[t, reached] = envelope[at[reached]]
    return precision, recall


def _mean(values: np.ndarray) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else -1.0
