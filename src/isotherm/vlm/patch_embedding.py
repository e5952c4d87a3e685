"""The gradient of a patch embedding at its pixels. A convolution whose patches do not overlap is a product of matrices;
torch's own gradient of it, in three dimensions, is not.
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
def embedding_by_products() -> Iterator[None]:
    """Inside of the block, convolutions whose patches lie side by side pass gradients on as one product of matrices.
    Values are the same.
    """
    with _Patched():
        yield


class _Patched(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[override]
        kwargs = kwargs or {}
        if func in (torch.conv2d, torch.conv3d) and _side_by_side(*args, **kwargs):
            x, weight, bias = [*args[:3], None][:3]
            return _Embedding.apply(x, weight, bias)
        return func(*args, **kwargs)


def _side_by_side(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    **_: Any,
) -> bool:
    kernel = tuple(weight.shape[2:])
    unpadded = isinstance(padding, tuple) and not any(padding)
    return (
        unpadded
        and stride == kernel
        and all(d == 1 for d in dilation)
        and groups == 1
        and x.ndim == weight.ndim
        and not weight.requires_grad
    )


class _Embedding(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.shape = x.shape
        kernel = tuple(weight.shape[2:])
        return (torch.conv2d if len(kernel) == 2 else torch.conv3d)(x, weight, bias, kernel)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (weight,), (gradient,) = ctx.saved_tensors, gradients
        outputs, channels, *kernel = weight.shape
        batch, _, *grid = gradient.shape
        cells = (gradient.movedim(1, -1).reshape(-1, outputs) @ weight.reshape(outputs, -1)).view(
            batch, *grid, channels, *kernel
        )
        n = len(kernel)
        order = [0, 1 + n, *(i for pair in zip(range(1, 1 + n), range(2 + n, 2 + 2 * n), strict=True) for i in pair)]
        whole = cells.permute(order).reshape(batch, channels, *(g * k for g, k in zip(grid, kernel, strict=True)))
        # pixels behind the last whole patch are seen by no patch
        left = [s - w for s, w in zip(ctx.shape[2:], whole.shape[2:], strict=True)]
        return F.pad(whole, [side for amount in reversed(left) for side in (0, amount)]), None, None
