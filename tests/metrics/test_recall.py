"""Mean class recall at k, by hand, beside a slow count, and in the corners where others' code is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from isotherm.errors import OptionError, ShapeError
from isotherm.metrics import hits_at, mean_class_recall
from isotherm.metrics.recall import class_recalls


def slow_recall(logits, labels, k, valid):
    """Class by class, row by row, with NumPy."""
    recalls = []
    for c in sorted(set(labels)):
        rows = [i for i, label in enumerate(labels) if label == c]
        right = 0
        for i in rows:
            order = sorted(valid, key=lambda j: (-logits[i][j], j))
            right += c in order[:k]
        recalls.append(right / len(rows))
    return float(np.mean(recalls))


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("valid", [None, (0, 2, 3, 7, 8, 10)])
def test_it_is_the_mean_over_classes(k, valid):
    generator = torch.Generator().manual_seed(k)
    logits = torch.randn(60, 11, generator=generator).round(decimals=1)  # with ties
    labels = torch.randint(9, (60,), generator=generator)
    expected = slow_recall(logits.tolist(), labels.tolist(), k, list(valid or range(11)))
    assert mean_class_recall(logits, labels, k=k, valid_classes=valid) == pytest.approx(expected, abs=1e-12)


def test_rare_classes_count_as_much_as_frequent_ones():
    logits = torch.tensor([[1.0, 0.0]]).expand(100, 2)
    labels = torch.tensor([0] * 99 + [1])
    assert mean_class_recall(logits, labels, k=1) == 0.5
    assert float(hits_at(logits, labels, k=1).double().mean()) == 0.99


def test_fewer_valid_classes_than_k_give_no_place_to_others():
    """Invalid classes that are set to a probability of 0 in place of being left out fill the places that remain."""
    logits = torch.tensor([[-3.0, -2.0, 5.0, 4.0]])
    label = torch.tensor([2])
    assert not hits_at(logits, label, k=4, valid_classes=[0, 1]).any()
    probabilities = logits.sigmoid() * torch.tensor([1, 1, 0, 0])
    assert 2 in probabilities.topk(4).indices  # what the circulating code counts as a hit


def test_classes_without_rows_are_left_out():
    recalls = class_recalls(torch.tensor([True, False]), torch.tensor([0, 0]), 3)
    assert recalls[0] == 0.5
    assert recalls[1:].isnan().all()
    assert math.isnan(mean_class_recall(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)))


@pytest.mark.parametrize(
    ("labels", "options", "error", "words"),
    [
        ([3], {}, ShapeError, "from 0 to 2"),
        ([0], {"k": 0}, OptionError, "at least 1"),
        ([0], {"valid_classes": [3]}, OptionError, "not one of the 3"),
    ],
)
def test_what_does_not_fit_is_refused(labels, options, error, words):
    with pytest.raises(error, match=words):
        hits_at(torch.zeros(1, 3), torch.tensor(labels), **options)
