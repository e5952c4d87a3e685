"""Batches that an accelerator's memory is too small for."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

Part = TypeVar("Part")


def parts_within_memory(rows: int, run: Callable[[slice], Part]) -> list[Part]:
    """What a function gives for some rows, all at once or, where memory runs out, for halves of them and halves of
    those.

    Args:
        rows: how many there are.
        run: gives the results of some of them, row by row.

    Raises:
        torch.OutOfMemoryError: one row is too much.
    """
    at_once, parts, start = max(rows, 1), list[Part](), 0
    while start < rows or not parts:
        part = slice(start, min(start + at_once, rows))
        count = part.stop - part.start
        try:
            parts.append(run(part))
            start = part.stop
            continue
        except torch.OutOfMemoryError:
            if count < 2:
                raise
        # behind the error, whose frames hold what was computed so far
        torch.cuda.empty_cache()
        at_once = count // 2
        warnings.warn(
            f"the accelerator's memory is too small for {count} pictures at once: gone on with {at_once}", stacklevel=3
        )
    return parts


def within_memory(rows: int, run: Callable[[slice], Tensor]) -> Tensor:
    """The same of a tensor, joined along its rows."""
    parts = parts_within_memory(rows, run)
    return parts[0] if len(parts) == 1 else torch.cat(parts)
