"""A model's modules: walked without names, which every explanation does several times, and their batch norms with right gradients.

torch 2.15 reads the gradient of an eval-mode batch norm with the wrong strides when the batch is one picture and the
gradient comes as (1, c, h, w) with a batch stride that no layout has, which is what ``flatten(2).transpose(1, 2)``
behind the layer leaves: models that turn a feature map into tokens (RT-DETR, D-FINE, hybrids). Every cell then gets
gradient that is not its own. A copy in plain strides is read rightly.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


def modules_of(model: nn.Module) -> list[nn.Module]:
    """Every module once, in no order that may be relied on; ten times faster than ``model.modules()``, which builds a path of words for each."""
    modules: dict[nn.Module, None] = {model: None}
    left = [model]
    while left:
        for child in left.pop()._modules.values():
            if child is not None and child not in modules:
                modules[child] = None
                left.append(child)
    return list(modules)


def parameters_of(model: nn.Module) -> Iterator[Tensor]:
    """Every parameter, a shared one as often as it is shared."""
    return (p for m in modules_of(model) for p in m._parameters.values() if p is not None)


def buffers_of(model: nn.Module) -> Iterator[Tensor]:
    """Every buffer, a shared one as often as it is shared."""
    return (b for m in modules_of(model) for b in m._buffers.values() if b is not None)


def plain_strides(gradient: Tensor) -> Tensor:
    """The same gradient; a copy in ordinary strides where the batch stride of a single picture is an odd one."""
    if gradient.ndim == 4 and gradient.shape[0] == 1 and gradient.stride(0) != gradient[0].numel():
        copy = gradient.new_empty(gradient.shape)  # clone() would keep the strides
        return copy.copy_(gradient)
    return gradient


@contextmanager
def exact_batch_norm(model: nn.Module) -> Iterator[None]:
    """Inside the block every batch norm that runs with a graph hands its gradients on in plain strides."""

    def hook(_module: nn.Module, _args: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.requires_grad:
            output.register_hook(plain_strides)

    handles = [
        m.register_forward_hook(hook) for m in modules_of(model) if isinstance(m, nn.modules.batchnorm._BatchNorm)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
