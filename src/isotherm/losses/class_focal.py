"""RetinaNet's focal loss for classes, each a decision of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.errors import OptionError, ShapeError
from isotherm.losses.reduce import Reduction, reduced

NO_LABEL = -1
"""The label of an example that takes no part."""


def class_focal(
    logits: Float[Tensor, "*b k"],
    labels: Int[Tensor, "*b"],
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    reduction: Reduction = "sum",
) -> Float[Tensor, "*r"]:
    """Focal loss over classes: sure decisions count less, so that thousands of absent classes do not outweigh the
    present one.

    Args:
        logits: (*batch, k), before the sigmoid.
        labels: (*batch) of the present class; -1: not known, the example takes no part.
        alpha: weight of the present class; absent ones have 1 - alpha. Below 0: both have 1.
        gamma: how much sure decisions count less.
        reduction: 'sum' over examples and classes, as V-JEPA 2's probes are trained; 'mean' of the examples' sums;
            'none': (*batch) sums over classes.

    Raises:
        OptionError: a label that there is not, or a negative gamma.
        ShapeError: labels that are not one per example.

    Source: Lin et al., "Focal loss for dense object detection" (ICCV 2017), eq. 5.

    Example:
        >>> class_focal(torch.zeros(1, 2), torch.tensor([0]))      # (0.25 + 0.75) x 0.5^2 ln 2
        tensor(0.1733)
    """
    if gamma < 0:
        raise OptionError(f"gamma is {gamma}; expected a number of at least 0")
    if labels.shape != logits.shape[:-1]:
        raise ShapeError(
            f"labels have shape {tuple(labels.shape)}; expected {tuple(logits.shape[:-1])}, one per example"
        )
    classes = logits.shape[-1]
    if not torch.compiler.is_compiling() and bool(((labels < NO_LABEL) | (labels >= classes)).any()):
        raise OptionError(f"labels are {int(labels.min())} to {int(labels.max())}; expected -1 to {classes - 1}")
    present = F.one_hot(labels.clamp(min=0).long(), classes).bool()
    # powers of the sigmoid through its logarithm keep their gradient where it is 0 or 1 in floating point
    log_yes, log_no = F.logsigmoid(logits), F.logsigmoid(-logits)
    weight_yes, weight_no = (alpha, 1 - alpha) if alpha >= 0 else (1.0, 1.0)
    missed = weight_yes * (gamma * log_no).exp() * log_yes
    false = weight_no * (gamma * log_yes).exp() * log_no
    each = -torch.where(present, missed, false).sum(-1)
    return reduced(each, labels != NO_LABEL, weight=None, reduction=reduction)
