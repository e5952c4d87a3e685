"""Weights that hold values alone, in three types, and whether what was read is the same."""

from __future__ import annotations

import torch

STATE = {
    "a.weight": torch.arange(6.0).reshape(2, 3),
    "a.bias": torch.ones(2, dtype=torch.bfloat16),
    "steps": torch.tensor(7),
}


def same(found, expected):
    """Whether names, values and types agree."""
    return found.keys() == expected.keys() and all(
        torch.equal(found[k], v) and found[k].dtype == v.dtype for k, v in expected.items()
    )
