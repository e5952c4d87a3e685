"""Figures between a map and the map of where people looked: KL, CC and SIM.

A map that is no distribution (of zeros) and, for the correlation, a constant one cannot be judged: NaN.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.metrics.saliency.fixated import EPSILON
from isotherm.metrics.saliency.inputs import Maps, distributions, expect_distribution, pair_of
from isotherm.metrics.similarity import pearson


def kl_divergence(maps: Maps, truth: Maps) -> Float[Tensor, " t"]:
    """How much the truth is not what the map says: the sum of Q log(e + Q / (P + e)), in nats.

    Args:
        maps: P, a heatmap of (t, h, w) or values, without negative ones; each map is divided by its sum.
        truth: Q, of the same shape and kind.

    Returns:
        (t,) float64, about 0 of equal maps, at most about 36; NaN where a map sums to 0. e is 2.2204e-16, which the
        value depends on where P is 0 and Q is not.

    Raises:
        KindError: logits or signed relevance, negative values, or maps of two kinds.
        ShapeError, FrameError: maps of two shapes, or over other cells.

    Source: the MIT benchmark, as defined by Bylinskii et al. 2019, section 3.2.4.

    Example:
        >>> kl_divergence(torch.full((1, 1, 2), 0.5), torch.tensor([[[1.0, 0.0]]]))   # ln 2
        tensor([0.6931], dtype=torch.float64)
    """
    expect_distribution(maps, "the divergence")
    p, q = (distributions(v, "the divergence") for v in pair_of(maps, truth, "the divergence"))
    return (q * (EPSILON + q / (p + EPSILON)).log()).sum((1, 2))


def correlation(maps: Maps, truth: Maps) -> Float[Tensor, " t"]:
    """Pearson's correlation of the two maps' values, CC; NaN where one is constant.

    Args:
        maps, truth: two heatmaps of (t, h, w) of one kind, or values.

    Returns:
        (t,) from -1 to 1, float64.

    Raises:
        KindError: maps of two kinds, NaN or infinite values.
        ShapeError, FrameError: maps of two shapes, or over other cells.

    Example:
        >>> correlation(torch.tensor([[[0.0, 1.0, 2.0]]]), torch.tensor([[[1.0, 3.0, 5.0]]])).round(decimals=12).tolist()
        [1.0]
    """
    return pearson(*pair_of(maps, truth, "the correlation"))


def similarity(maps: Maps, truth: Maps) -> Float[Tensor, " t"]:
    """How much two distributions have in common, SIM: the sum of the smaller of the two in each cell.

    Each map is divided by its sum and by nothing else. The MATLAB code of the MIT benchmark stretches both to 0 ... 1
    before it does so; that moves every map's least value to 0 and so changes the figure of maps that are not 0
    anywhere, such as a softmax: two distributions that are equal parts uniform have half in common and would be told to
    have nothing.

    Args:
        maps, truth: as of :func:`kl_divergence`.

    Returns:
        (t,) from 0, nothing in common, to 1, equal; float64; NaN where a map sums to 0.

    Raises:
        As :func:`kl_divergence`.

    Source: Judd et al., "A benchmark of computational models of saliency to predict human fixations" (MIT 2012),
    section 3.2.

    Example:
        >>> similarity(torch.tensor([[[3.0, 1.0]]]), torch.tensor([[[1.0, 3.0]]])).tolist()
        [0.5]
    """
    expect_distribution(maps, "the similarity")
    p, q = (distributions(v, "the similarity") for v in pair_of(maps, truth, "the similarity"))
    return torch.minimum(p, q).sum((1, 2))
