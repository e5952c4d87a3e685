"""Average precision by hand and beside a slow loop."""

from __future__ import annotations

import math

import pytest
import torch

from isotherm.train.average_precision import average_precision


@pytest.mark.parametrize(
    ("scores", "present", "expected"),
    [
        ([4, 3, 2, 1], [1, 1, 0, 0], 1.0),
        ([4, 3, 2, 1], [0, 0, 1, 1], (1 / 3 + 2 / 4) / 2),
        ([4, 3, 2, 1], [1, 0, 1, 0], (1 + 2 / 3) / 2),
        ([1, 1, 1, 1], [1, 0, 0, 0], 0.25),  # ties count together: no order among equals is luck
        ([2, 1, 1, 0], [0, 1, 0, 1], (1 / 3 + 2 / 4) / 2),
    ],
)
def test_by_hand(scores, present, expected):
    got = average_precision(torch.tensor(scores).float()[:, None], torch.tensor(present).bool()[:, None])
    assert got.item() == pytest.approx(expected, abs=1e-12)


def test_beside_a_loop():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(60, 4, generator=generator)
    present = torch.rand(60, 4, generator=generator) < 0.3
    for k, got in enumerate(average_precision(scores, present).tolist()):
        ranked = sorted(zip(scores[:, k].tolist(), present[:, k].tolist(), strict=True), reverse=True)
        hits, precisions = 0, []
        for rank, (_, there) in enumerate(ranked, 1):
            hits += there
            if there:
                precisions.append(hits / rank)
        assert got == pytest.approx(sum(precisions) / len(precisions), abs=1e-12)


def test_a_class_that_is_nowhere_has_no_value():
    got = average_precision(torch.randn(5, 2), torch.tensor([[True, False]]).expand(5, 2))
    assert got[0] == 1
    assert math.isnan(got[1])
