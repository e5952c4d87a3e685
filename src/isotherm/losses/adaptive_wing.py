"""Adaptive wing loss: squared error far from the peaks, and a steeper one near them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.losses.read_target import AnyTarget, read_target
from isotherm.losses.reduce import Reduction, expect_reduction, reduced

FOREGROUND = 0.2
"""Cells whose target, at its highest in the 3 x 3 cells around, reaches this are foreground (section 4.3 of the
paper).
"""


def adaptive_wing(
    pred: Float[Tensor, "*b h w"],
    target: AnyTarget,
    *,
    alpha: float = 2.1,
    omega: float = 14.0,
    epsilon: float = 1.0,
    theta: float = 0.5,
    foreground_weight: float = 10.0,
    state: Int[Tensor, "*b"] | None = None,
    weight: Float[Tensor, "*b"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Tensor, "*r"]:
    """Wing loss whose curvature follows the target: small errors at a peak still pull, those on the background do not.

    Args:
        pred: (*batch, h, w) peak maps.
        target: a TrainingMap, a Heatmap of kind 'peak', or values from 0 to 1 shaped as pred.
        alpha, omega, epsilon, theta: as published; alpha above 2, so that the exponent alpha - target stays above 1.
        foreground_weight: cells near a peak count 1 + this; 0 for the loss without the paper's weighted map.
        state, weight, reduction: as of :func:`isotherm.losses.mse`.

    Raises:
        KindError: a Heatmap of another kind.
        OptionError: parameters outside of their ranges.
        ShapeError: parts that do not fit.

    Source: Wang et al., "Adaptive wing loss for robust face alignment via heatmap regression" (ICCV 2019), eq. 3 and 6.

    Example:
        >>> adaptive_wing(torch.zeros(1, 1, 1), torch.ones(1, 1, 1), foreground_weight=0)
        tensor(10.2594)
    """
    expect_reduction(reduction)
    if not (alpha > 2 and omega > 0 and epsilon > 0 and theta > 0 and foreground_weight >= 0):
        raise OptionError(
            f"alpha {alpha}, omega {omega}, epsilon {epsilon}, theta {theta}, foreground_weight {foreground_weight}; "
            "expected alpha above 2, the next three above 0, the last at least 0"
        )
    pair = read_target(pred, target, state=state, kinds=("peak",))
    power = alpha - pair.target
    at_theta = (theta / epsilon) ** power
    slope = omega * power * at_theta / (theta * (1 + at_theta))
    distance = (pair.target - pair.pred).abs()
    # the branch that is not taken must be finite too, or its gradient would be 0 times infinity
    near = omega * torch.log1p((distance.clamp(max=theta) / epsilon) ** power)
    far = slope * (distance - theta) + omega * torch.log1p(at_theta)
    cells = torch.where(distance < theta, near, far)
    if foreground_weight > 0:
        h, w = cells.shape[-2:]
        highest = F.max_pool2d(pair.target.reshape(-1, 1, h, w), 3, stride=1, padding=1).view(cells.shape)
        cells = cells * (1 + foreground_weight * (highest >= FOREGROUND))
    each = cells.sum((-2, -1)) if reduction == "sum" else cells.mean((-2, -1))
    return reduced(each, pair.active, weight=weight, reduction=reduction)
