"""How often the answers in training were right: counted as it goes, since nobody asks a model of its training again."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

MOST = 10
"""Largest k of the recall that is counted."""


class Seen:
    """Counts of right answers by class, since they were last taken, of the clips that this process has seen.

    Example:
        >>> seen = Seen()
        >>> seen.add({"verb": torch.tensor([[0.9, 0.1], [0.8, 0.2]])}, {"verb": torch.tensor([0, 1])})
        >>> seen.taken(0, k=1)
        {'verb_accuracy': 0.5, 'verb_recall': 0.5}
        >>> seen.taken(0, k=1)
        {}
    """

    def __init__(self) -> None:
        # of every head (p, MOST, classes): how often the class was the first, the second, ... answer where it was right
        self._ranks: dict[str, Tensor] = {}
        self._total: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self, logits: Mapping[str, Float[Tensor, "*p b k"]], labels: Mapping[str, Int[Tensor, " b"]]) -> None:
        """Count a batch.

        Args:
            logits: by head.
            labels: by head; clips with -1 are passed over.
        """
        for name, values in logits.items():
            known = labels[name] >= 0
            of = labels[name][known]
            each = values.detach().float()
            each = (each if each.ndim == 3 else each[None])[:, known]
            classes = each.shape[2]
            # of equal ones the first, as the measures have it: a model that tells nothing apart is not always right
            order = each.sort(dim=2, descending=True, stable=True).indices
            rank = (order == of[:, None]).int().argmax(2)
            if name not in self._ranks:
                self._ranks[name] = torch.zeros(len(each), MOST, classes)
                self._total[name] = torch.zeros(classes)
            self._total[name] += of.bincount(minlength=classes).float().cpu()
            for p, ranks in enumerate(rank):
                near = ranks < MOST
                at = (ranks[near] * classes + of[near]).bincount(minlength=MOST * classes)
                self._ranks[name][p] += at.view(MOST, classes).float().cpu()

    def taken(self, probe: int, *, k: int) -> dict[str, float]:
        """Accuracy and mean class recall at k of every head, and begin anew.

        Args:
            probe: of which.
            k: of the recall, at most :data:`MOST`.
        """
        figures = {}
        for name, ranks in self._ranks.items():
            total = self._total[name]
            there = total > 0
            if not bool(there.any()):
                continue
            figures[f"{name}_accuracy"] = float(ranks[probe, 0].sum() / total.sum())
            hits = ranks[probe, : min(k, MOST)].sum(0)
            figures[f"{name}_recall"] = float((hits[there] / total[there]).mean())
        self._ranks.clear()
        self._total.clear()
        return figures
