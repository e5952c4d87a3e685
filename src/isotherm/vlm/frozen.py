"""Propagation rules for gradients: what only scales is taken for a constant, so that gradient x input adds up to the
score again.

A norm divides a token by its own length. Its true gradient takes away the very direction in which the token speaks
(Euler's theorem: the sum over channels vanishes), and what is left is noise that grows with every layer. Taking the
divisor for a constant leaves a map that is linear in the token; relevance then passes through the layer undiminished.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


@contextmanager
def frozen_norms() -> Iterator[None]:
    """Inside of the block layer norms and root-mean-square norms have the same values, and gradients as if their
    divisors were constants.

    It is done with a torch-function mode: norms written out in a model are recognised by their reciprocal square root.
    Weights of fused norms get no gradient.

    Source: Ali et al., "XAI for transformers: better explanations through conservative propagation" (ICML 2022),
        section 3.2, the LN rule.
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


def _layer_norm(
    x: Tensor, shape, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    out: Tensor = _LayerNorm.apply(x, tuple(shape), weight, bias, eps)
    return out


def _rms_norm(x: Tensor, shape, weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    out: Tensor = _RmsNorm.apply(x, tuple(shape), weight, eps)
    return out


class _LayerNorm(torch.autograd.Function):
    """The fused kernel's values, bit for bit; only the divisors are kept."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, shape: tuple[int, ...], weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> Tensor:
        out, _, divided = torch.native_layer_norm(x, list(shape), weight, bias, eps)
        ctx.save_for_backward(divided, weight)
        ctx.dims = tuple(range(-len(shape), 0))
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:  # type: ignore[override]
        divided, weight = ctx.saved_tensors
        wide = gradients[0] if weight is None else gradients[0] * weight
        centred = wide - wide.mean(ctx.dims, keepdim=True)
        return (centred * divided).to(wide.dtype), None, None, None, None


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, shape: tuple[int, ...], weight: Tensor | None, eps: float | None) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        least = torch.finfo(x.dtype).eps if eps is None else eps
        ctx.save_for_backward((wide.square().mean(tuple(range(-len(shape), 0)), keepdim=True) + least).rsqrt(), weight)
        return F.rms_norm(x, list(shape), weight, eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        divided, weight = ctx.saved_tensors
        wide = gradients[0] if weight is None else gradients[0] * weight
        return (wide * divided).to(gradients[0].dtype), None, None, None
