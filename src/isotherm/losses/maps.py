"""Mean squared error and cross-entropy against any target map."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from isotherm.losses.read_target import AnyTarget, read_target
from isotherm.losses.reduce import Reduction, expect_reduction, reduced


def mse(
    pred: Float[Tensor, "*b h w"],
    target: AnyTarget,
    *,
    state: Int[Tensor, "*b"] | None = None,
    weight: Float[Tensor, "*b"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Tensor, "*r"]:
    """Mean squared error of maps against target maps; for Gaussians of points :func:`gaussian_mse` is many times
    faster.

    Args:
        pred: (*batch, h, w) in any precision; sums are in float32 or more.
        target: a :class:`isotherm.training_map.TrainingMap`, a Heatmap of kind 'peak' or 'relevance', or values shaped
            as pred. It is not differentiated.
        state: (*batch) of :class:`isotherm.points.State`; UNLABELLED maps take no part.
        weight: (*batch), see :func:`isotherm.losses.gaussian_mse`.
        reduction: 'mean' over the cells of the maps that take part (mmpose divides by all of them, so that a picture
            with fewer labels counts less), 'sum' over cells and maps, 'none': (*batch), a mean over the cells of each.

    Raises:
        KindError: a Heatmap of another kind.
        ShapeError, OptionError: parts that do not fit.

    Example:
        >>> import torch
        >>> mse(torch.zeros(2, 1, 2), torch.tensor([[[0.0, 1.0]], [[3.0, 3.0]]]), state=torch.tensor([1, 0]))
        tensor(0.5000)
    """
    expect_reduction(reduction)
    pair = read_target(pred, target, state=state, kinds=("peak", "relevance"))
    squares = (pair.pred - pair.target).square()
    each = squares.sum((-2, -1)) if reduction == "sum" else squares.mean((-2, -1))
    return reduced(each, pair.active, weight=weight, reduction=reduction)


def cross_entropy(
    logits: Float[Tensor, "*b h w"],
    target: AnyTarget,
    *,
    state: Int[Tensor, "*b"] | None = None,
    weight: Float[Tensor, "*b"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Tensor, "*r"]:
    """Cross-entropy of logits against distributions over cells, each map its own softmax.

    Never one softmax over several maps: over three views it gives 42.5 where the loss is 10.8 (measured), and lets a
    sure view pay for the others.

    Args:
        logits: (*batch, h, w).
        target: a TrainingMap, a Heatmap of kind 'probability', or values shaped as the logits, each map summing to 1.
            It is not differentiated.
        state: (*batch); UNLABELLED and ABSENT maps take no part.
        weight, reduction: as of :func:`isotherm.losses.gaussian_cross_entropy`, which for Gaussians of points is many
            times faster.

    Raises:
        KindError: a Heatmap of another kind.
        OptionError: a map that takes part does not sum to 1.
        ShapeError: parts that do not fit.

    Source: Bishop, "Pattern recognition and machine learning" (2006), eq. 4.108.

    Example:
        >>> import torch
        >>> cross_entropy(torch.zeros(1, 2, 2), torch.full((1, 2, 2), 0.25))   # ln 4
        tensor(1.3863)
    """
    expect_reduction(reduction)
    pair = read_target(logits, target, state=state, kinds=("probability",), distribution=True)
    # as gaussian_cross_entropy: no subtraction of the log of the sum from every cell
    each = pair.pred.logsumexp((-2, -1)) - (pair.target * pair.pred).sum((-2, -1))
    return reduced(each, pair.active, weight=weight, reduction=reduction)
