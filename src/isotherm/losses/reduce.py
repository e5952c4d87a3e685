"""One loss per map -> what was asked for: mean over the maps that take part, sum, or each."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError

Reduction = Literal["mean", "sum", "none"]
"""mean: over the maps that take part, 0 (and gradients of 0) where there is none. sum: over them. none: one value per
map, 0 for those that take no part."""


def reduced(
    each: Float[Tensor, "*b"], active: Bool[Tensor, "*b"], *, weight: Float[Tensor, "*b"] | None, reduction: Reduction
) -> Float[Tensor, "*r"]:
    """Losses of maps, reduced.

    Args:
        each: (*batch, n).
        active: (*batch, n), which of them count. Others are selected away, never multiplied away: a NaN in them reaches
            neither the loss nor its gradient.
        weight: (*batch, n), a factor of each; the mean still divides by the number of maps that take part, so doubling
            all weights doubles the loss.

    Raises:
        OptionError: another reduction.
        ShapeError: weights that are not one per map.
    """
    expect_reduction(reduction)
    each = torch.where(active, each, 0.0)
    if weight is not None:
        if weight.shape != active.shape:
            raise ShapeError(
                f"weight has shape {tuple(weight.shape)}; expected {tuple(active.shape)}, one for every map"
            )
        each = each * torch.where(active, weight.to(each), 0.0)
    if reduction == "none":
        return each
    total = each.sum()
    return total if reduction == "sum" else total / active.sum().clamp(min=1)


def expect_reduction(reduction: str) -> None:
    """Refuse an unknown word before anything is computed."""
    if reduction not in get_args(Reduction):
        raise OptionError(f"reduction is {reduction!r}; expected one of {', '.join(get_args(Reduction))}")
