"""How well scores rank pictures that hold a class above pictures that do not."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def average_precision(scores: Float[Tensor, "n k"], present: Bool[Tensor, "n k"]) -> Float[Tensor, " k"]:
    """Area under the precision-recall steps of each class, without interpolation; NaN for a class that is nowhere.

    Mean over the positives of the precision at each positive's score, pictures of equal score counted together.

    Args:
        scores: (n, k) higher is more likely.
        present: (n, k) what is really there.

    Returns:
        (k,) in [0, 1], float64.

    Source: Manning, Raghavan & Schuetze, Introduction to Information Retrieval (2008), section 8.4.

    Example:
        >>> scores = torch.tensor([[4.0], [3.0], [2.0], [1.0]])
        >>> # (1 / 1 + 2 / 3) / 2
        >>> average_precision(scores, torch.tensor([[True], [False], [True], [False]])).round(decimals=4)
        tensor([0.8333], dtype=torch.float64)
    """
    results = []
    for score, there in zip(scores.double().T, present.T, strict=True):
        positives = score[there]
        if not len(positives):
            results.append(torch.nan)
            continue
        ranks = (positives[None] >= positives[:, None]).sum(1).double()
        returned = (score[None] >= positives[:, None]).sum(1).double()
        results.append(float((ranks / returned).mean()))
    return torch.tensor(results, dtype=torch.float64)
