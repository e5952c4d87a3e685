"""Which kernels compute the target-free losses: those in Triton on CUDA, chosen automatically, and plain steps
elsewhere.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from types import ModuleType

import torch
from torch import Tensor


def kernels_for(maps: Tensor) -> ModuleType | None:
    """:mod:`isotherm.losses.triton_gaussian` for maps on CUDA where Triton is installed, otherwise None.

    In a compiled graph it is None too: there the plain steps are fused, and with what comes before and after them.
    Double precision takes the plain steps, which gradients are checked on.
    """
    if torch.compiler.is_compiling() or maps.dtype == torch.float64 or not (maps.is_cuda or _interpreted()):
        return None
    return _module()


def _interpreted() -> bool:
    """True in tests alone, in which Triton's interpreter runs the kernels on the CPU."""
    return os.environ.get("TRITON_INTERPRET") == "1" and os.environ.get("ISOTHERM_KERNELS") == "triton"


@functools.cache
def _module() -> ModuleType | None:
    if importlib.util.find_spec("triton") is None:
        return None
    return importlib.import_module("isotherm.losses.triton_gaussian")
