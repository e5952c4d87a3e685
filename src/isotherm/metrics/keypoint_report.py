"""All figures of a keypoint model on a set: of all pictures and of every group, with intervals, as a table and as
JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.errors import InputError, OptionError, ShapeError
from isotherm.metrics.figure_table import FigureTable, figure_rows
from isotherm.metrics.oks import oks
from isotherm.metrics.pck import pck
from isotherm.metrics.point_errors import (
    Groups,
    length_errors,
    match_exchangeable,
    out_of_bounds,
    place_known,
    point_errors,
    reordered,
    to_cm,
)
from isotherm.points import Points

PCK_AT = (0.02, 0.05, 0.1)
"""Shares of the square root of the object's area."""
DEFAULT_SIGMA = 0.05
"""Constant of OKS where a set has none of its own."""
ELLIPSE_95 = -2 * math.log(0.05)
"""Squared Mahalanobis distance of the 95 % ellipse: chi-squared with two degrees of freedom."""


@dataclass(frozen=True, eq=False)
class KeypointTruth:
    """What is known of m pictures with n points.

    Args:
        points: (m, n, 2) source pixels.
        state: (m, n).
        px_per_cm: (m,), NaN where not known.
        area: (m,) pixels squared.
        group: (m) names.
        sizes: (m, 2) (h, w) of the source pictures.
    """

    points: Float[Tensor, "m n 2"]
    state: Int[Tensor, "m n"]
    px_per_cm: Float[Tensor, " m"]
    area: Float[Tensor, " m"]
    group: tuple[str, ...]
    sizes: Int[Tensor, "m 2"]

    def __post_init__(self) -> None:
        m, n = self.points.shape[:2]
        if (
            self.state.shape != (m, n)
            or self.px_per_cm.shape != (m,)
            or self.area.shape != (m,)
            or len(self.group) != m
            or self.sizes.shape != (m, 2)
        ):
            raise ShapeError(f"the parts of the truth do not fit {m} pictures with {n} points")
        bad = place_known(self.state).any(1) & ~((self.area > 0) & torch.isfinite(self.area))
        if bool(bad.any()):
            raise OptionError(
                f"the area of picture {int(bad.nonzero()[0])} is {float(self.area[bad][0])}; expected a finite number above 0"
            )
        if "all" in self.group:
            raise OptionError(
                "a group is called 'all', which is the name of the row of all pictures; give it another name"
            )


class KeypointReport(FigureTable):
    """Figures of keypoints: of all pictures first, then of every group, where there are several."""


def report_keypoints(
    predicted: Points,
    truth: KeypointTruth,
    *,
    names: Sequence[str],
    exchangeable: Groups = (),
    lines: Mapping[str, tuple[int, int]] | None = None,
    oks_sigmas: Sequence[float] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> KeypointReport:
    """Compare predicted points with what is known.

    Distances are Euclidean, in source pixels, after points that may be exchanged have been matched. Means are over
    pictures, each picture's figure being the mean over its known points; so are the intervals, by bootstrap over
    pictures.

    Args:
        predicted: (m, n) source pixels, with covariances or without.
        truth: of the same pictures.
        names: of the n points.
        exchangeable: sets of points whose order says nothing.
        lines: pairs of points whose distance is measured.
        oks_sigmas: constants of OKS; None: all 0.05.
        seed, resamples: of the bootstrap.

    Returns:
        ``point_err_px``, ``point_err_cm``: distances of points. ``line_err_px``, ``line_err_cm``,
        ``<line>_line_err_cm``: absolute errors of lengths. ``oob_points_frac``: true points of known place that lie
        outside of their picture; ``predicted_oob_frac``: predicted points that do. ``pck@0.05``: share of points off by
        at most so much of the square root of the area. ``oks``. With covariances ``inside_95``, the share of places
        inside of their 95 % ellipse, and ``nll``, the Gaussian negative log-likelihood in nats (density per pixel
        squared).

    Raises:
        ShapeError: parts that do not fit.
        InputError: a prediction that would be compared is not finite.
    """
    if predicted.xy.shape != truth.points.shape or len(names) != truth.points.shape[1]:
        raise ShapeError(
            f"predicted has shape {tuple(predicted.xy.shape)}, the truth {tuple(truth.points.shape)}, and there are {len(names)} names; expected (m, n, 2) twice and n"
        )
    known, xy = place_known(truth.state), predicted.xy.detach().cpu().double()
    errors = point_errors(xy, truth.points, truth.state, exchangeable=exchangeable)
    order = match_exchangeable(xy, truth.points, known, exchangeable)
    predictions = reordered(xy, order)
    each: dict[str, Tensor] = {
        "point_err_px": errors.nanmean(1),
        "point_err_cm": to_cm(errors, truth.px_per_cm).nanmean(1),
    }
    if lines:
        lengths = length_errors(predictions, truth.points, truth.state, lines)
        in_cm = to_cm(lengths, truth.px_per_cm)
        each |= {"line_err_px": lengths.nanmean(1), "line_err_cm": in_cm.nanmean(1)}
        each |= {f"{name}_line_err_cm": in_cm[:, i] for i, name in enumerate(lines)}
    beyond = out_of_bounds(torch.where(known[..., None], truth.points, 0.0), truth.sizes).double()
    each["oob_points_frac"] = torch.where(known, beyond, torch.nan).nanmean(1)
    each["predicted_oob_frac"] = out_of_bounds(xy, truth.sizes).double().mean(1)
    share = errors / truth.area.double().sqrt()[:, None]
    for at in PCK_AT:
        each[f"pck@{at:g}"] = torch.where(known, (share <= at).double(), torch.nan).nanmean(1)
    each["oks"] = oks(predictions, truth.points, truth.state, truth.area, oks_sigmas or (DEFAULT_SIGMA,) * len(names))
    if predicted.covariance is not None:
        covariance = reordered(predicted.covariance.detach().cpu().double(), order)
        squared, log_det = _mahalanobis(predictions - truth.points.double(), covariance, known)
        each["inside_95"] = torch.where(known, (squared <= ELLIPSE_95).double(), torch.nan).nanmean(1)
        each["nll"] = torch.where(known, squared / 2 + log_det / 2 + math.log(2 * math.pi), torch.nan).nanmean(1)
    return KeypointReport(figure_rows(each, truth.group, seed=seed, resamples=resamples))


def errors_of(predicted: Points, truth: KeypointTruth, *, exchangeable: Groups = ()) -> Float[Tensor, " m"]:
    """The mean error of each picture in pixels, NaN where nothing is known of it; by it pictures are ranked."""
    return point_errors(
        predicted.xy.detach().cpu().double(), truth.points, truth.state, exchangeable=exchangeable
    ).nanmean(1)


def pck_curve(
    predicted: Points, truth: KeypointTruth, thresholds: Float[Tensor, " t"], *, exchangeable: Groups = ()
) -> Float[Tensor, " t"]:
    """Share of all known points off by at most each threshold times the square root of the object's area."""
    errors = point_errors(predicted.xy.detach().cpu().double(), truth.points, truth.state, exchangeable=exchangeable)
    known = ~errors.isnan()
    share = pck(errors, truth.area.double().sqrt(), thresholds)
    return torch.where(known.any(0), share * known.sum(0), 0.0).sum(-1) / known.sum()


def _mahalanobis(apart: Tensor, covariance: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """(squared Mahalanobis distances, logarithms of determinants) where known; a flat ellipse holds nothing."""
    bad = known & ~torch.isfinite(covariance).all(-1).all(-1)
    if bool(bad.any()):
        picture, point = bad.nonzero()[0].tolist()
        raise InputError(
            f"the covariance of point {point} of picture {picture} is not finite; expected one for every point whose place is known"
        )
    safe = torch.where(known[..., None, None], covariance, torch.eye(2, dtype=covariance.dtype))
    apart = torch.where(known[..., None], apart, 0.0)
    (a, b), (c, d) = (row.unbind(-1) for row in safe.unbind(-2))
    det = a * d - b * c
    squared = (d * apart[..., 0].square() - (b + c) * apart[..., 0] * apart[..., 1] + a * apart[..., 1].square()) / det
    return torch.where((det > 0) & (a > 0), squared, torch.inf), det.clamp(min=1e-300).log()
