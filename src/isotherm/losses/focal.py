"""CenterNet's penalty-reduced focal loss for maps of object centres."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.losses.read_target import AnyTarget, read_target
from isotherm.losses.reduce import Reduction, expect_reduction, reduced

ONE = 1 - 1e-4
"""What counts as a peak: rounding may leave a peak of 1 a little lower."""


def focal(
    logits: Float[Tensor, "*b h w"],
    target: AnyTarget,
    *,
    alpha: float = 2.0,
    beta: float = 4.0,
    state: Int[Tensor, "*b"] | None = None,
    weight: Float[Tensor, "*b"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Tensor, "*r"]:
    """Focal loss over cells, with less penalty near the peaks: each cell is a decision of its own, so a map holds many
    objects.

    Args:
        logits: (*batch, h, w), before the sigmoid. In log space throughout: nothing is clamped, where common code
            clamps the sigmoid to [1e-4, 1 - 1e-4] and so has gradients of 0 for cells that are surely wrong.
        target: a TrainingMap, a Heatmap of kind 'peak', or values from 0 to 1 shaped as the logits. Cells of 1 are the
            positives, so the peaks must lie on cells: ``targets.boxes(..., centre="cell")``.
        alpha: how much sure cells count less.
        beta: how much cells near a peak count less.
        state: (*batch); UNLABELLED maps take no part.
        weight: (*batch) factor of every map.
        reduction: 'mean': the sum over the number of positives (at least 1), as published; 'sum'; 'none': (*batch)
            sums.

    Raises:
        KindError: a Heatmap of another kind.
        OptionError: negative alpha or beta, or a map that reaches above 1/2 without a cell of 1: its object would
            silently be background.
        ShapeError: parts that do not fit.

    Source: Zhou et al., "Objects as points" (2019), eq. 1; Law and Deng, "CornerNet" (ECCV 2018), eq. 1.

    Example:
        >>> focal(torch.zeros(1, 1, 2), torch.tensor([[[1.0, 0.0]]]))   # 2 x 0.5^2 ln 2
        tensor(0.3466)
    """
    expect_reduction(reduction)
    if alpha < 0 or beta < 0:
        raise OptionError(f"alpha is {alpha} and beta {beta}; expected numbers of at least 0")
    pair = read_target(logits, target, state=state, kinds=("peak",))
    positive = (pair.target >= ONE) & pair.active[..., None, None]
    _expect_peaks(pair.target, positive)
    log_yes, log_no = F.logsigmoid(pair.pred), F.logsigmoid(-pair.pred)
    # powers of the sigmoid through its logarithm: p^a ln(1 - p) keeps its gradient where p is 0 or 1 in float32
    missed = (alpha * log_no).exp() * log_yes
    false = (1 - pair.target).clamp(min=0) ** beta * (alpha * log_yes).exp() * log_no
    each = -torch.where(positive, missed, false).sum((-2, -1))
    if reduction != "mean":
        return reduced(each, pair.active, weight=weight, reduction=reduction)
    return reduced(each, pair.active, weight=weight, reduction="sum") / positive.sum().clamp(min=1)


def _expect_peaks(target: Tensor, positive: Tensor) -> None:
    if torch.compiler.is_compiling():  # looking at values would break the graph in two
        return
    top = target.amax((-2, -1))
    lost = (top > 0.5) & ~positive.any(-1).any(-1)
    if bool(lost.any()):
        raise OptionError(
            f"a target map reaches {float(top[lost][0]):.4f} but has no cell of 1, so it has no positive cell; put the peaks on "
            "cells, as targets.boxes(..., centre='cell') does"
        )
