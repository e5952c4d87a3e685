"""Types of numbers by name."""

from __future__ import annotations

import torch

from isotherm.errors import OptionError


def dtype_of(name: str) -> torch.dtype:
    """float32, bfloat16 or float16; anything else is an OptionError."""
    if name not in ("float32", "bfloat16", "float16"):
        raise OptionError(f"dtype is {name!r}; expected float32, bfloat16 or float16")
    dtype: torch.dtype = getattr(torch, name)
    return dtype
