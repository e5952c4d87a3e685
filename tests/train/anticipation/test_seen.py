"""Figures of training are those that the measures themselves give on all that was seen."""

from __future__ import annotations

import pytest
import torch

from isotherm.metrics.recall import hits_at, mean_class_recall
from isotherm.train.anticipation.seen import Seen


@pytest.mark.parametrize("levels", [1000, 3, 1])
def test_counts_are_the_measures_over_everything(levels):
    """Also where classes are as likely as each other: a model that tells none apart is right as often as by chance."""
    generator = torch.Generator().manual_seed(0)
    seen = Seen()
    logits = torch.randint(levels, (2, 60, 7), generator=generator).float()
    labels = torch.randint(-1, 6, (60,), generator=generator)
    for rows in torch.arange(60).split(16):
        seen.add({"noun": logits[:, rows]}, {"noun": labels[rows]})
    known = labels >= 0
    figures = seen.taken(1, k=3)
    of, values = labels[known], logits[1][known]
    assert figures["noun_recall"] == pytest.approx(mean_class_recall(values, of, k=3))
    assert figures["noun_accuracy"] == pytest.approx(float(hits_at(values, of, k=1).double().mean()))
    assert seen.taken(1, k=3) == {}
