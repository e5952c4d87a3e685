"""The answers that were written down, and how: ``python -m golden.written`` in tests/ does it anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from golden.cases import CASES

VALUES = Path(__file__).parent / "values.npz"
MOST = 512
"""Of a larger array this many values are kept, evenly spread: what moves code changes all of it or none."""


def sampled(array: np.ndarray) -> np.ndarray:
    """What is kept of an array of numbers, in single precision."""
    flat = np.asarray(array, np.float64).ravel()
    return flat[np.linspace(0, flat.size - 1, min(flat.size, MOST)).round().astype(int)].astype(np.float32)


def write() -> None:
    torch.set_num_threads(1)
    kept = {}
    for case in CASES:
        for name, array in case().items():
            kept[f"{case.__name__}/{name}"] = array if array.dtype == np.uint8 else sampled(array)
    np.savez_compressed(VALUES, **kept)


if __name__ == "__main__":
    write()
