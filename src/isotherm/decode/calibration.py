"""How far a decoder's certainty can be believed, measured and corrected on pictures held out from training."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.decode.reading import read_maps
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.ops.gaussian import Sigma, outer, probability_vectors, sigma_per_axis
from isotherm.ops.reliability import Reliability, reliability
from isotherm.points import Points, State

KNOWN = (State.LABELLED, State.OCCLUDED, State.OUT_OF_FRAME)
"""States of points whose place is known."""


def fit_temperature(
    maps: Heatmap | Float[Tensor, "*b n h w"], truth: Points, frame: Frame | None = None, *, sigma_cells: Sigma
) -> float:
    """The temperature by which logits must be divided so that their softmax is as wide as it should be.

    Minimises the cross-entropy against the training targets (Gaussians at the true places), which is convex in 1 / T:
    its slope is the difference of two mean logits, its curvature the logits' variance under the map. Newton in 1 / T.

    Args:
        maps: logits held out from training, a Heatmap or values (*batch, n, h, w).
        truth: Points (*batch, n) in source pixels (cells, without a frame); those whose place is not known take no
            part.
        frame: of plain values.
        sigma_cells: standard deviation of the training targets in cells.

    Returns:
        T from 0.01 to 100, above 1 where the maps are too narrow. Decode ``logits / T`` with it.

    Raises:
        KindError: not logits.
        ShapeError: truth does not fit the maps, or none of its places is known.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
    """
    read = read_maps(maps, frame, kinds=("logits",))
    values = read.values.detach().double()
    if tuple(truth.xy.shape[:-1]) != tuple(values.shape[:-2]):
        raise ShapeError(
            f"maps have shape {tuple(values.shape)}, the true points {tuple(truth.xy.shape)}; expected one point per map"
        )
    use = _known(truth)
    if not bool(use.any()):
        raise ShapeError(
            "none of the true places is known, so there is nothing to fit to; give points whose state is LABELLED"
        )
    cells = truth.to_cells(read.frame).xy.double()
    target = outer(*probability_vectors(cells, sigma_per_axis(sigma_cells, cells), read.frame.size))[use].flatten(-2)
    logits = values[use].flatten(-2)
    logits = logits - logits.mean(-1, keepdim=True)
    wanted = (target * logits).sum(-1)
    low, high, inverse = 0.01, 100.0, 1.0
    for _ in range(60):
        probability = (inverse * logits).softmax(-1)
        mean = (probability * logits).sum(-1)
        slope = float((mean - wanted).mean())
        curvature = float((probability * (logits - mean[:, None]).square()).sum(-1).mean())
        low, high = (low, inverse) if slope > 0 else (inverse, high)
        step = inverse - slope / curvature if curvature > 0 else math.inf
        step = step if low < step < high else math.sqrt(low * high)
        if abs(step - inverse) <= 1e-9 * inverse:
            break
        inverse = step
    return 1 / inverse


def fit_covariance_scale(points: Points, truth: Points) -> float:
    """The factor by which covariances must be multiplied to be as large as the errors are.

    The maximum-likelihood answer for Gaussian errors: half of the mean squared Mahalanobis distance.

    Args:
        points: decoded, with covariance, held out from training.
        truth: Points of the same shape, in the same pixels.

    Returns:
        The factor; 1 for a calibrated decoder, above 1 for one that is too sure. See :func:`scale_covariance`.

    Raises:
        ShapeError: no covariance, shapes that differ, or no pair of which both places are known.

    Source: Kendall and Gal, "What Uncertainties Do We Need", NeurIPS 2017, eq. 5, with one common scale: d/ds of its
    likelihood.
    """
    return float(squared_distance(points, truth).mean()) / 2


def scale_covariance(points: Points, scale: float) -> Points:
    """The same points with their covariances times a factor, such as :func:`fit_covariance_scale`'s."""
    if points.covariance is None:
        raise ShapeError(
            "these points have no covariance; use a decoder that gives one (moment_inverse, least_squares)"
        )
    return replace(points, covariance=points.covariance * scale)


def coverage(points: Points, truth: Points, *, level: float = 0.95) -> float:
    """The share of true places that lie inside of the points' ellipses of a level; the level itself if calibrated.

    Args:
        points: decoded, with covariance.
        truth: Points of the same shape, in the same pixels.
        level: between 0 and 1.

    Raises:
        OptionError: a level outside of (0, 1).
        ShapeError: as in :func:`fit_covariance_scale`.

    Example:
        >>> found = Points(torch.zeros(2, 2), covariance=torch.eye(2).expand(2, 2, 2))
        >>> coverage(found, Points(torch.tensor([[1.0, 1.0], [3.0, 0.0]])))    # the ellipse of 95 % has radius 2.45
        0.5
    """
    if not 0 < level < 1:
        raise OptionError(f"level is {level}; expected a share between 0 and 1, such as 0.95")
    # chi-squared with two degrees of freedom has the distribution function 1 - exp(-d / 2)
    return float((squared_distance(points, truth) <= -2 * math.log(1 - level)).double().mean())


def expected_calibration_error(points: Points, truth: Points, *, within: float, bins: int = 15) -> Reliability:
    """How far scores are from being the chance of a hit: the mean gap between score and share of hits, over bins.

    Args:
        points: decoded, with scores from 0 to 1; a point that was not found counts as a miss.
        truth: Points of the same shape; those whose place is not known take no part.
        within: source pixels, the largest distance of a hit.
        bins: of equal width from 0 to 1.

    Raises:
        OptionError: within or bins is not positive, or a score outside of 0 to 1.
        ShapeError: no scores, shapes that differ, or no place known.

    Source: Guo et al., ICML 2017, eq. 3.
    """
    if not within > 0 or bins < 1:
        raise OptionError(f"within is {within} and bins {bins}; expected a distance above 0 and at least one bin")
    if points.score is None:
        raise ShapeError("these points have no score")
    use = _pairs(points, truth)
    score = points.score[use].detach().double()
    if bool(((score < 0) | (score > 1)).any()):
        raise OptionError(
            f"scores run from {float(score.min()):g} to {float(score.max()):g}; expected 0 to 1 (moment_inverse and least_squares give such)"
        )
    distance = (points.xy - truth.xy)[use].detach().double().norm(dim=-1)
    hit = distance <= within  # NaN is a miss
    return reliability(score, hit, bins=bins)


def _known(points: Points) -> Bool[Tensor, "*b n"]:
    finite = torch.isfinite(points.xy).all(-1)
    return (
        finite
        if points.state is None
        else finite & torch.isin(points.state, torch.tensor([int(s) for s in KNOWN], device=points.state.device))
    )


def _pairs(points: Points, truth: Points) -> Bool[Tensor, "*b n"]:
    if points.xy.shape != truth.xy.shape:
        raise ShapeError(
            f"decoded points have shape {tuple(points.xy.shape)}, the true ones {tuple(truth.xy.shape)}; they must be the same points"
        )
    use = _known(truth)
    if not bool(use.any()):
        raise ShapeError("none of the true places is known; give points whose state is LABELLED")
    return use


def squared_distance(points: Points, truth: Points) -> Float[Tensor, " m"]:
    """Squared Mahalanobis distances (m) of the pairs of which both places are known.

    Args:
        points: decoded, with covariance.
        truth: Points of the same shape, in the same pixels.

    Raises:
        ShapeError: no covariance, shapes that differ, or no pair of which both places are known.
    """
    if points.covariance is None:
        raise ShapeError(
            "these points have no covariance; use a decoder that gives one (moment_inverse, least_squares)"
        )
    use = _pairs(points, truth) & _known(points)
    if not bool(use.any()):
        raise ShapeError("no point was found whose true place is known")
    error = (truth.xy - points.xy)[use].detach().double()
    covariance = points.covariance[use].detach().double()
    return (error * torch.linalg.solve(covariance, error)).sum(-1)
