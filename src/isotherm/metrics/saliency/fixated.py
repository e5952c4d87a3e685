"""Figures of a map at the places where somebody looked: AUC-Judd, shuffled AUC, NSS and information gain.

A figure that cannot be judged is NaN, to be counted and reported: a moment at which nobody looked at the map at all,
and of NSS a map that is the same everywhere. Of such a map AUC is exactly 0.5.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.errors import OptionError, ShapeError
from isotherm.metrics.saliency.inputs import (
    Maps,
    cells_of,
    distinct,
    distributions,
    expect_distribution,
    pair_of,
    values_of,
)

EPSILON = 2.2204e-16
"""What keeps logarithms of 0 finite, the value that the MIT benchmark has."""


def auc_judd(maps: Maps, fixations: Float[Tensor, "_ n 2"]) -> Float[Tensor, " t"]:
    """The area below the curve of fixated cells against all others, as the map's level falls from fixation to fixation.

    With thresholds at the values of the fixated cells, each counted once: the true positives are the fixated cells at
    or above a threshold, the false positives the other cells at or above it, both as shares; the curve begins at
    (0, 0), ends at (1, 1) and is straight between thresholds. Cells of equal value enter together, so that ties need no
    noise to be broken, and no figure depends on a random number.

    Args:
        maps: a heatmap of (t, h, w), or values, finite, of any kind: only their order matters.
        fixations: (t, n, 2) as (x, y), edge-origin: in source pixels for a heatmap, in cells for values. NaN where a
            moment has fewer; what lies beside the map is left out.

    Returns:
        (t,) from 0 to 1, float64; 0.5 of a constant map, NaN where no cell is fixated or every cell is.

    Raises:
        ShapeError: maps or fixations of another shape.
        KindError: NaN or infinite values.

    Source: Judd et al., "Learning to predict where humans look" (ICCV 2009), as defined by Bylinskii et al., "What do
    different evaluation metrics tell us about saliency models?" (PAMI 2019), section 3.1.1.

    Example:
        >>> auc_judd(torch.tensor([[[3.0, 2.0, 1.0, 0.0]]]), torch.tensor([[[1.5, 0.5]]])).tolist()   # one of three is above
        [0.8333333333333334]
    """
    values = values_of(maps).flatten(1)
    hit = distinct(*cells_of(maps, fixations), values.shape[1])
    fixated = hit.sum(1).double()
    others = values.shape[1] - fixated
    width = int(fixated.max()) if len(values) else 0
    # descending, and behind the fixated cells infinitely low ones, whose thresholds lie at the end of the curve
    thresholds = values.masked_fill(~hit, -torch.inf).sort(1, descending=True).values[:, :width]
    real = thresholds > -torch.inf
    positive = _at_least(thresholds, thresholds)
    everything = _at_least(values, thresholds)
    one = torch.ones_like(thresholds)
    true_rate = torch.where(real, positive / fixated[:, None], one)
    false_rate = torch.where(real, (everything - positive) / others[:, None], one)
    zero, end = one.new_zeros(len(values), 1), one.new_ones(len(values), 1)
    true_rate = torch.cat([zero, true_rate, end], 1)
    false_rate = torch.cat([zero, false_rate, end], 1)
    area = torch.trapezoid(true_rate, false_rate, dim=1)
    return area.masked_fill((fixated == 0) | (others == 0), torch.nan)


def auc_shuffled(
    maps: Maps,
    fixations: Float[Tensor, "_ n 2"],
    *,
    group: Sequence[Hashable] | None = None,
    others: Float[Tensor, "m 2"] | None = None,
) -> Float[Tensor, " t"]:
    """The chance that a map is higher at a fixation of its own than at one of another picture; ties count half.

    People look at the middle of pictures, so a map of the middle has a high AUC on all of them. It has 0.5 here,
    because the others' fixations lie in the middle as well.

    Args:
        maps, fixations: as of :func:`auc_judd`. Every fixation counts, as often as it was made. Others' fixations are
            taken at the same cells of this map.
        group: (t) what each map is of: fixations of one's own group are never others'. Moments of one clip are of one
            group. None: every map is of a picture of its own.
        others: (m, 2) all fixations of other pictures, in the same coordinates, in place of those of the other groups.

    Returns:
        (t,) from 0 to 1, float64; 0.5 of a constant map, NaN where a picture or all the others have no fixation.

    Raises:
        ShapeError: as of :func:`auc_judd`, or not one group for each map.
        OptionError: both groups and others.
        KindError: NaN or infinite values.

    Source: Zhang et al., "SUN: a Bayesian framework for saliency using natural statistics" (Journal of Vision 2008),
    with all of the others' fixations in place of a sample of them.

    Example:
        >>> maps = torch.tensor([[[3.0, 2.0, 1.0, 0.0]]] * 2)
        >>> auc_shuffled(maps, torch.tensor([[[0.5, 0.5]], [[2.5, 0.5]]])).tolist()
        [1.0, 0.0]
    """
    values = values_of(maps).flatten(1)
    flat, there = cells_of(maps, fixations)
    counts = torch.zeros_like(values).scatter_add_(1, flat, there.double())
    if others is None:
        negatives = _of_other_groups(counts, group)
    elif group is None:
        places, inside = cells_of(maps, others[None].expand(len(values), -1, -1))
        negatives = torch.zeros_like(values).scatter_add_(1, places, inside.double())
    else:
        raise OptionError("give either the groups of the maps, or the fixations of others")
    # the negatives' weight below each cell's value, and half of the weight at it
    ordered, order = values.sort(1)
    weight = negatives.gather(1, order)
    below = torch.cat([weight.new_zeros(len(values), 1), weight.cumsum(1)], 1)
    first = torch.searchsorted(ordered, ordered)
    last = torch.searchsorted(ordered, ordered, right=True)
    share = (below.gather(1, first) + below.gather(1, last)) / 2
    beaten = (share * counts.gather(1, order)).sum(1)
    pairs = counts.sum(1) * negatives.sum(1)
    return beaten / torch.where(pairs > 0, pairs, torch.nan)


def nss(maps: Maps, fixations: Float[Tensor, "_ n 2"]) -> Float[Tensor, " t"]:
    """The map's value at the fixations, in its own standard deviations from its own mean, on average.

    Args:
        maps, fixations: as of :func:`auc_judd`. Every fixation counts, as often as it was made.

    Returns:
        (t,) float64, 0 at chance; NaN where there is no fixation, and of a constant map, which has no deviation.

    Raises:
        As :func:`auc_judd`.

    Source: Peters et al., "Components of bottom-up gaze allocation in natural images" (Vision Research 2005); the
    deviation is that of all cells, with n and not n - 1.

    Example:
        >>> nss(torch.tensor([[[0.0, 0.0], [0.0, 4.0]]]), torch.tensor([[[1.5, 1.5]]])).tolist()   # (4 - 1) / sqrt(3)
        [1.7320508075688774]
    """
    values = values_of(maps).flatten(1)
    flat, there = cells_of(maps, fixations)
    return _mean_at(_standardised(values), flat, there)


def information_gain(maps: Maps, fixations: Float[Tensor, "_ n 2"], baseline: Maps) -> Float[Tensor, " t"]:
    """How many bits a fixation the map tells more than a baseline does, such as a map of the middle.

    Args:
        maps, fixations: as of :func:`auc_judd`, without negative values; each map is divided by its sum.
        baseline: maps of the same shape and kind.

    Returns:
        (t,) mean of log2(e + P) - log2(e + B) at the fixations with e = 2.2204e-16, float64; NaN where there is no
        fixation, or a map sums to 0.

    Raises:
        KindError: logits or signed relevance, negative values, or maps of two kinds. Others: as of :func:`auc_judd`.

    Source: Kümmerer et al., "Information-theoretic model comparison unifies saliency metrics" (PNAS 2015); e is that of
    Bylinskii et al. 2019, section 3.1.5.

    Example:
        >>> maps, uniform = torch.tensor([[[0.5, 0.5, 0.0, 0.0]]]), torch.full((1, 1, 4), 0.25)
        >>> round(information_gain(maps, torch.tensor([[[0.5, 0.5]]]), uniform).item(), 6)
        1.0
    """
    expect_distribution(maps, "the information gain")
    p, b = (distributions(v, "the information gain") for v in pair_of(maps, baseline, "the information gain"))
    flat, there = cells_of(maps, fixations)
    return _mean_at(((EPSILON + p).log2() - (EPSILON + b).log2()).flatten(1), flat, there)


def _of_other_groups(counts: Float[Tensor, "t cells"], group: Sequence[Hashable] | None) -> Float[Tensor, "t cells"]:
    """How often the fixations of all other groups lie in each cell."""
    names = list(range(len(counts))) if group is None else list(group)
    if len(names) != len(counts):
        raise ShapeError(f"there are {len(names)} groups for {len(counts)} maps; expected one for each")
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    rows = torch.tensor([number[name] for name in names], device=counts.device, dtype=torch.int64)
    own = counts.new_zeros(len(number), counts.shape[1]).index_add_(0, rows, counts)
    return counts.sum(0) - own[rows]


def _at_least(values: Tensor, thresholds: Tensor) -> Int[Tensor, "t n"]:
    """How many values are at or above each threshold, row by row."""
    ordered = values.sort(1).values
    return values.shape[1] - torch.searchsorted(ordered, thresholds.contiguous())


def _standardised(values: Float[Tensor, "t cells"]) -> Float[Tensor, "t cells"]:
    # constant by its values, not by its deviation: rounding leaves a hair of it
    flat = values.amax(1, keepdim=True) == values.amin(1, keepdim=True)
    centred = values - values.mean(1, keepdim=True)
    deviation = centred.square().mean(1, keepdim=True).sqrt()
    return (centred / torch.where(flat, 1.0, deviation)).masked_fill(flat, torch.nan)


def _mean_at(values: Float[Tensor, "t cells"], flat: Tensor, there: Tensor) -> Float[Tensor, " t"]:
    at = torch.where(there, values.gather(1, flat), 0.0)
    count = there.sum(1)
    return at.sum(1) / torch.where(count > 0, count.double(), torch.nan)
