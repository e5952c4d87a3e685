"""What anticipation models are trained with: a loss per head, summed, for each probe by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.losses.class_focal import NO_LABEL, class_focal

ClassLoss = Literal["focal", "cross_entropy"]
"""focal: sigmoid focal loss summed over a batch, alpha 1/4 and gamma 2, as published; cross_entropy: its mean."""


def anticipation_loss(
    logits: Mapping[str, Float[Tensor, "*p b k"]], labels: Mapping[str, Int[Tensor, " b"]], *, loss: ClassLoss = "focal"
) -> Float[Tensor, "*p"]:
    """The loss summed over heads; one number, or one per probe, whose sum trains each as if it were alone.

    Args:
        logits: by head, of :class:`isotherm.gaze.model.AnticipationModel`.
        labels: by head; -1 where the class is not known, such as a pair of verb and noun that training has not seen.
        loss: see :data:`ClassLoss`.

    Raises:
        OptionError: another loss, or labels of other heads.
    """
    if loss not in get_args(ClassLoss):
        raise OptionError(f"loss is {loss!r}; expected one of {', '.join(get_args(ClassLoss))}")
    if set(logits) != set(labels):
        raise OptionError(
            f"there are labels for {', '.join(labels)}; expected {', '.join(logits)}, as the model has heads"
        )
    return torch.stack([_of_head(values, labels[name], loss) for name, values in logits.items()]).sum(0)


def _of_head(logits: Tensor, labels: Tensor, loss: ClassLoss) -> Tensor:
    each = labels.expand(logits.shape[:-1])
    if loss == "focal":
        return class_focal(logits, each, reduction="none").sum(-1)
    losses = F.cross_entropy(logits.flatten(0, -2), each.flatten(), ignore_index=NO_LABEL, reduction="none")
    return losses.view(each.shape).sum(-1) / (labels != NO_LABEL).sum().clamp(min=1)
