"""Propagation rules for gradients: what only scales is taken for a constant, so that gradient x input adds up to the score again.

A norm divides a token by its own length. Its true gradient takes away the very direction in which the token speaks (Euler's theorem: the
sum over channels vanishes), and what is left is noise that grows with every layer. Taking the divisor for a constant leaves a map that is
linear in the token; relevance then passes through the layer undiminished.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


@contextmanager
def frozen_norms() -> Iterator[None]:
    """Inside of the block layer norms and root-mean-square norms have the same values, and gradients as if their divisors were constants.

    It is done with a torch-function mode: norms written out in a model are recognised by their reciprocal square root.

    Source: Ali et al., "XAI for transformers: better explanations through conservative propagation" (ICML 2022), section 3.2, the LN rule.
    """
    with _Frozen():
        yield


class _Frozen(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[override]
        kwargs = kwargs or {}
        if func is F.layer_norm:
            return _layer_norm(*args, **kwargs)
        if func is F.rms_norm:
            return _rms_norm(*args, **kwargs)
        output = func(*args, **kwargs)
        return output.detach() if func in (torch.rsqrt, Tensor.rsqrt) else output


def _layer_norm(x: Tensor, shape, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    dims = tuple(range(-len(shape), 0))
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    centred = wide - wide.mean(dims, keepdim=True)
    out = (centred * (centred.square().mean(dims, keepdim=True) + eps).rsqrt().detach()).to(x.dtype).contiguous()  # as the fused kernel's output is
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def _rms_norm(x: Tensor, shape, weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    dims = tuple(range(-len(shape), 0))
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    eps = torch.finfo(wide.dtype).eps if eps is None else eps
    out = (wide * (wide.square().mean(dims, keepdim=True) + eps).rsqrt().detach()).to(x.dtype).contiguous()
    return out if weight is None else out * weight
