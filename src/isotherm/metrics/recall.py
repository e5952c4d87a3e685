"""Of what class an action is: the share of answers whose true class is among the first k, over all and per class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.errors import OptionError, ShapeError


def hits_at(
    logits: Float[Tensor, "n c"],
    labels: Int[Tensor, " n"],
    *,
    k: int = 5,
    valid_classes: Sequence[int] | Int[Tensor, " v"] | None = None,
) -> Bool[Tensor, " n"]:
    """Whether the true class is among the k most likely ones.

    Classes of the same logit share the places that they tie for as they come by number, as ``torch.sort`` (stable)
    has them, so that the answer does not depend on the machine.

    Args:
        logits: (n, c) any numbers that grow with how likely a class is.
        labels: (n,) true classes, from 0 to c - 1.
        k: how many classes count; 1 is the accuracy.
        valid_classes: the only ones that may be answered, such as those that validation has; None: all.

    Raises:
        OptionError: k below 1, or a valid class that there is not.
        ShapeError: not one label per row, or a label that is no class.

    Example:
        >>> hits_at(torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]]), torch.tensor([1, 2]), k=2).tolist()
        [True, False]
    """
    n, c = logits.shape
    if k < 1:
        raise OptionError(f"k is {k}; expected a number of classes of at least 1")
    if labels.shape != (n,) or (n and not (int(labels.min()) >= 0 and int(labels.max()) < c)):
        raise ShapeError(
            f"labels of shape {tuple(labels.shape)} for logits of shape {(n, c)}; expected one class from 0 to {c - 1} per row"
        )
    allowed = torch.ones(c, dtype=torch.bool, device=logits.device)
    if valid_classes is not None:
        valid = torch.as_tensor(valid_classes, dtype=torch.int64, device=logits.device)
        if len(valid) and not (int(valid.min()) >= 0 and int(valid.max()) < c):
            raise OptionError(f"a valid class is not one of the {c}; expected numbers from 0 to {c - 1}")
        allowed = torch.zeros_like(allowed).index_fill_(0, valid, True)
    score = logits.masked_fill(~allowed, -torch.inf)
    first = score.sort(dim=1, descending=True, stable=True).indices[:, : min(k, int(allowed.sum()))]
    return (first == labels[:, None]).any(1)


def class_recalls(hits: Bool[Tensor, " n"], labels: Int[Tensor, " n"], classes: int) -> Float[Tensor, " c"]:
    """Of every class the share of its rows that were hit; NaN for a class that has none.

    Args:
        hits: (n,) of :func:`hits_at`.
        labels: (n,) true classes.
        classes: how many there are.
    """
    count = torch.zeros(classes, dtype=torch.float64, device=labels.device)
    right = count.clone()
    count.index_add_(0, labels, torch.ones_like(labels, dtype=torch.float64))
    right.index_add_(0, labels, hits.double())
    return torch.where(count > 0, right / count, torch.nan)


def mean_class_recall(
    logits: Float[Tensor, "n c"],
    labels: Int[Tensor, " n"],
    *,
    k: int = 5,
    valid_classes: Sequence[int] | Int[Tensor, " v"] | None = None,
) -> float:
    """The mean over the classes that occur of the share of their rows whose class is among the first k; NaN without
    rows.

    Args:
        logits, labels, k, valid_classes: as of :func:`hits_at`.

    Source: the class-aware top-k recall of Furnari et al., "Leveraging uncertainty to rethink loss functions and
    evaluation measures for egocentric action anticipation" (ECCV workshops 2018), section 4; with k = 5 the measure of
    EPIC-KITCHENS-100 (Damen et al., IJCV 2022, section 5.4).

    Example:
        >>> logits = torch.tensor([[2.0, 1.0, 0.0], [2.0, 1.0, 0.0], [0.0, 1.0, 2.0]])
        >>> mean_class_recall(logits, torch.tensor([0, 0, 1]), k=1)   # class 0: 2 of 2, class 1: 0 of 1
        0.5
    """
    hits = hits_at(logits, labels, k=k, valid_classes=valid_classes)
    return float(class_recalls(hits, labels, logits.shape[1]).nanmean())
