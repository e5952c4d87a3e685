"""Kullback-Leibler and Jensen-Shannon divergence between the softmax of logits and a target, map by map."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.losses.read_target import AnyTarget, read_target
from isotherm.losses.reduce import Reduction, expect_reduction, reduced


def kl(
    logits: Float[Tensor, "*b h w"],
    target: AnyTarget,
    *,
    state: Int[Tensor, "*b"] | None = None,
    weight: Float[Tensor, "*b"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Tensor, "*r"]:
    """KL(target || softmax(logits)): the cross-entropy less the target's own entropy, so that its floor is 0.

    Its gradient is that of the cross-entropy; use it where the number is to be read.

    Args:
        logits, target, state, weight, reduction: as of :func:`isotherm.losses.cross_entropy`.

    Raises:
        As :func:`isotherm.losses.cross_entropy`.

    Source: Kullback and Leibler, "On information and sufficiency" (1951), eq. 2.4.

    Example:
        >>> kl(torch.zeros(1, 1, 2), torch.tensor([[[0.0, 1.0]]]))   # ln 2
        tensor(0.6931)
    """
    expect_reduction(reduction)
    pair = read_target(logits, target, state=state, kinds=("probability",), distribution=True)
    log_share = pair.pred.flatten(-2).log_softmax(-1)
    goal = pair.target.flatten(-2)
    each = (torch.xlogy(goal, goal) - goal * log_share).sum(-1)
    return reduced(each, pair.active, weight=weight, reduction=reduction)


def js(
    logits: Float[Tensor, "*b h w"],
    target: AnyTarget,
    *,
    state: Int[Tensor, "*b"] | None = None,
    weight: Float[Tensor, "*b"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Tensor, "*r"]:
    """Jensen-Shannon divergence of softmax(logits) and the target: symmetric, from 0 to ln 2.

    Args:
        logits, target, state, weight, reduction: as of :func:`isotherm.losses.cross_entropy`.

    Raises:
        As :func:`isotherm.losses.cross_entropy`.

    Source: Lin, "Divergence measures based on the Shannon entropy" (1991), eq. 3.13; as a regulariser of heatmaps,
    Nibali et al., "Numerical coordinate regression with convolutional neural networks" (2018), section 4.4.

    Example:
        >>> js(torch.tensor([[[50.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]]))   # nothing in common: ln 2
        tensor(0.6931)
    """
    expect_reduction(reduction)
    pair = read_target(logits, target, state=state, kinds=("probability",), distribution=True)
    log_share = pair.pred.flatten(-2).log_softmax(-1)
    goal = pair.target.flatten(-2)
    # in logs, so that a share that underflows has a gradient still: ln((p + q) / 2)
    log_goal = torch.where(goal > 0, goal, 1.0).log()
    log_middle = torch.where(goal > 0, torch.logaddexp(log_share, log_goal), log_share) - math.log(2)
    against = goal * (log_goal - log_middle) + log_share.exp() * (log_share - log_middle)
    return reduced(against.sum(-1) / 2, pair.active, weight=weight, reduction=reduction)
