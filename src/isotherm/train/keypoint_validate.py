"""How good a keypoint model is on pictures that it has not seen: figures, and the best and worst pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from isotherm.data.keypoint_cache import CachedKeypoints
from isotherm.data.keypoints import KeypointSet
from isotherm.decode.calibration import fit_covariance_scale, scale_covariance
from isotherm.decode.ellipse_levels import EllipseLevels, fit_ellipse_levels
from isotherm.draw import draw_points
from isotherm.metrics.keypoint_report import DEFAULT_SIGMA, KeypointReport, KeypointTruth, errors_of, report_keypoints
from isotherm.metrics.oks_ap import OksPrecision, OksPredictions, OksTruth, oks_average_precision
from isotherm.metrics.point_errors import match_exchangeable, place_known, reordered
from isotherm.points import Points
from isotherm.progress import Say, silent
from isotherm.train.keypoint_model import Objective
from isotherm.train.keypoint_predict import predict_cached
from isotherm.train.map_figures import MapFigures, map_figures, together

LOGGED = (
    "point_err_px",
    "point_err_cm",
    "line_err_cm",
    "oob_points_frac",
    "predicted_oob_frac",
    "oks",
    "inside_95",
    "nll",
)
"""Figures that are logged in a run; the first judges it, and less is better."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What a model found in a set.

    Args:
        points: (m, n) predicted, source pixels.
        report: figures of all and of every group.
        errors: (m) mean distance per picture, NaN where nothing is known of it.
        precision: COCO's figures, with the true boxes given (as the field's tables with ground-truth boxes have it):
            each object's score is the mean score of its points.
        maps: of every point the means of :class:`isotherm.train.map_figures.MapFigures`; none where there are no maps.
    """

    points: Points
    report: KeypointReport
    errors: Float[Tensor, " m"]
    precision: OksPrecision
    maps: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def table(self) -> str:
        """The report's table and a line with COCO's figures."""
        p = self.precision
        return f"{self.report.table()}\nOKS with true boxes: AP {p.ap:.3f}, AP50 {p.ap50:.3f}, AP75 {p.ap75:.3f}, AR {p.ar:.3f}"

    def to_json(self) -> dict[str, Any]:
        """Both as JSON can hold them."""
        return {**self.report.to_json(), "oks_ap": asdict(self.precision)}


def judge(
    model: nn.Module,
    objective: Objective,
    data: CachedKeypoints,
    kind: KeypointSet,
    *,
    size: tuple[int, int],
    batch: int = 32,
    draws: int = 1000,
    covariance_scale: float | None = None,
    say: Say = silent,
) -> Judged:
    """Predict a set by the decoder that belongs to the loss, and compare with what is known.

    Args:
        size: (h, w) of the model's input.
        draws: resamples of the intervals.
        covariance_scale: what covariances are multiplied by.
        say: takes the progress after every batch; what it raises ends the judgement.
    """
    seen: list[MapFigures] = []

    def look(maps: Tensor) -> None:
        if maps.ndim == 4:
            seen.append(map_figures(maps, objective.map_kind))

    points = predict_cached(model, objective, data, size=size, batch=batch, say=say, look=look)
    if covariance_scale is not None and points.covariance is not None:
        points = scale_covariance(points, covariance_scale)
    truth = truth_of(data)
    report = report_keypoints(
        points,
        truth,
        names=kind.names,
        exchangeable=kind.exchangeable,
        lines=kind.lines,
        oks_sigmas=kind.oks_sigmas,
        resamples=draws,
    )
    return Judged(
        points,
        report,
        errors_of(points, truth, exchangeable=kind.exchangeable),
        _precision(points, data, kind),
        dict(zip(kind.names, together(seen).by_map(), strict=True)) if seen else {},
    )


def _precision(points: Points, data: CachedKeypoints, kind: KeypointSet) -> OksPrecision:
    order = match_exchangeable(points.xy, data.points, place_known(data.state), kind.exchangeable)
    xy = reordered(points.xy, order)
    score = torch.ones(len(xy)) if points.score is None else points.score.float().mean(-1)
    of_picture: dict[str, list[int]] = {}
    for i, record in enumerate(data.records):
        of_picture.setdefault(str(record.picture) if isinstance(record.picture, Path) else str(i), []).append(i)
    truth, predictions = [], []
    for rows in of_picture.values():
        sizes = data.frame.source_size[rows].float()
        boxes = torch.tensor(
            [data.records[i].box or (0.0, 0.0, float(w), float(h)) for i, (h, w) in zip(rows, sizes, strict=True)]
        )
        truth.append(OksTruth(data.points[rows], data.state[rows], data.area[rows], boxes))
        predictions.append(OksPredictions(xy[rows], score[rows]))
    return oks_average_precision(truth, predictions, sigmas=kind.oks_sigmas or (DEFAULT_SIGMA,) * len(kind.names))


def truth_of(data: CachedKeypoints) -> KeypointTruth:
    """What is known of cached pictures, in source pixels."""
    return KeypointTruth(
        points=data.points,
        state=data.state,
        px_per_cm=data.px_per_cm,
        area=data.area,
        group=data.group,
        sizes=data.frame.source_size,
    )


def matched(judged: Judged, data: CachedKeypoints, kind: KeypointSet) -> tuple[Points, Points]:
    """(what was found, in the order that fits the truth best, the truth): pairs for
    :mod:`isotherm.decode.calibration`.
    """
    points, known = judged.points, place_known(data.state)
    order = match_exchangeable(points.xy, data.points, known, kind.exchangeable)
    xy = points.xy.gather(1, order[..., None].expand(*order.shape, 2))
    covariance = (
        None
        if points.covariance is None
        else points.covariance.gather(1, order[..., None, None].expand(*order.shape, 2, 2))
    )
    return Points(xy, covariance=covariance), Points(data.points, state=data.state)


def calibrated(judged: Judged, data: CachedKeypoints, kind: KeypointSet) -> tuple[float, EllipseLevels | None]:
    """The factor that makes the covariances as large as the errors are, and which of their ellipses then holds a point
    with which probability; 1 and None where nothing can be said.

    Least-squares and moment covariances know of the map's width and noise, not of what the model mistakes for what; and
    as that makes a few errors very large, no one factor makes the ellipses of all levels right.
    """
    predictions, truth = matched(judged, data, kind)
    if predictions.covariance is None or not bool(place_known(data.state).any()):
        return 1.0, None
    scale = fit_covariance_scale(predictions, truth)
    return scale, fit_ellipse_levels(scale_covariance(predictions, scale), truth)


def logged_figures(judged: Judged, group: Sequence[str]) -> dict[str, float]:
    """The figures that are logged, without those that could not be judged.

    First those of all pictures, with the error of every line. Then all figures of every group, as
    ``val/hawaii/point_err_cm``, and of every point's maps, as ``val/heatmap/length_p0/entropy``.

    Args:
        group: of every picture that was judged.
    """
    whole, *rows = judged.report.rows
    names = [*LOGGED, *(name for name in whole.figures if name.endswith("_line_err_cm"))]
    figures = {name: whole.figures[name].mean for name in names if name in whole.figures}
    # where all pictures are of one group, they are that group
    of = [(row.group, row) for row in rows] or [(name, whole) for name in set(group) if name]
    for name, row in of:
        figures |= {f"val/{slug(name)}/{key}": value.mean for key, value in row.figures.items()}
    for point, one in judged.maps.items():
        figures |= {f"val/heatmap/{point}/{key}": value for key, value in one.items()}
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def slug(group: str) -> str:
    """A group's name as it stands in those of figures: in lower case, what is neither a letter nor a digit as '_'.

    Example:
        >>> slug("North Hawaii")
        'north_hawaii'
    """
    return re.sub(r"[^\w.-]+", "_", group.lower()).strip("_")


def ranked(errors: Float[Tensor, " m"]) -> list[int]:
    """Numbers of the pictures from the best to the worst; those of which nothing is known are left out."""
    known = torch.isfinite(errors).nonzero()[:, 0]
    return [int(i) for i in known[errors[known].argsort(stable=True)]]


def draw_judged(
    judged: Judged, data: CachedKeypoints, kind: KeypointSet, index: int, *, command: str | None = None
) -> Image.Image:
    """One picture with what was found and, as white rings, what is known."""
    record = data.records[index]
    points, state = judged.points, data.state[index]
    predictions = Points(points.xy[index], covariance=None if points.covariance is None else points.covariance[index])
    error = float(judged.errors[index])
    cm = f", {error / record.px_per_cm:.4f} cm" if record.px_per_cm else ""
    return draw_points(
        record.read(),
        predictions,
        names=kind.names,
        lines=tuple(kind.lines.values()),
        truth=Points(data.points[index], state=state),
        title=f"{record.name or index}: {error:.2f} px{cm} on average",
        footer=command,
    )


def write_extremes(
    judged: Judged, data: CachedKeypoints, kind: KeypointSet, dpath: Path, *, count: int, command: str
) -> list[Path]:
    """The best and the worst pictures as files, named by rank and error; earlier ones are replaced."""
    from isotherm.draw import save_picture

    dpath.mkdir(parents=True, exist_ok=True)
    for old in [*dpath.glob("best-*.jpg"), *dpath.glob("worst-*.jpg")]:
        old.unlink()
    order = ranked(judged.errors)
    chosen: Sequence[tuple[str, int, int]] = [("best", k, i) for k, i in enumerate(order[:count])] + [
        ("worst", k, i) for k, i in enumerate(order[::-1][: min(count, len(order))])
    ]
    return [
        save_picture(draw_judged(judged, data, kind, i), dpath / f"{what}-{k + 1}.jpg", command=command)
        for what, k, i in chosen
    ]
