"""Convex upsampling: every fine cell is a weighted mean of the coarse cells around it, its weights a softmax.

Written as one step per neighbour, each over a slice that fits in the cache. Unfolding the neighbourhood and a softmax
over it give the same numbers, but write and read tensors that are kernel^2 times as large as the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError
from isotherm.ops.convex_steps import convex_steps

BLOCK_VALUES = 1 << 19
"""Values of the mask that are worked on at a time on a CPU: 2 MB in float32."""
SUM_RANGE = 2.0**-20, 2.0**20
"""Sums of weights that are exact without the largest logit having been subtracted: the weights that single precision
lost below the first are less than a rounding error of it, and what is multiplied with the second stays finite."""
LARGEST_VALUE = 2.0**100
"""Beyond it, values times weights of such a sum might not be finite."""
Padding = Literal["renorm", "zeros"]
"""What lies beyond the border: nothing (its weight goes to the neighbours that exist), or cells of value 0."""


def convex_upsample(
    values: Float[Tensor, "b c h w"],
    mask: Float[Tensor, "b m h w"],
    *,
    ratio: int,
    kernel: int = 3,
    mask_scale: float = 1.0,
    padding: Padding = "renorm",
) -> Float[Tensor, "b c H W"]:
    """Upsample ``ratio`` times by convex combinations of the kernel x kernel cells around each coarse cell.

    Args:
        values: (b, c, h, w) what is upsampled, such as logits.
        mask: (b, kernel^2 ratio^2, h, w) logits of the weights, one set for all channels of values. Channel
            ``(ky kernel + kx) ratio^2 + (ry ratio + rx)`` is the weight of neighbour (ky, kx) for fine cell (ry, rx).
        ratio: fine cells per coarse cell and axis, at least 1.
        kernel: odd.
        mask_scale: the mask is multiplied by it before the softmax.
        padding: ``"renorm"`` drops neighbours out of the map from the softmax. ``"zeros"`` gives them the value 0, as
            published weights were trained: on a map of logits of -5 that puts 65 % of the probability on the cells
            along the border, where 23 % belong.

    Returns:
        (b, c, h ratio, w ratio) in the dtype of values, computed in at least float32.

    Raises:
        OptionError: ratio, kernel or padding is not one of the above.
        ShapeError: the mask does not fit.

    Source: Teed & Deng, "RAFT" (ECCV 2020), section 3.3, the layout of the mask included; they pad with zeros.

    Example:
        >>> values = torch.tensor([[[[1.0, 3.0]]]])
        >>> convex_upsample(values, torch.zeros(1, 9, 1, 2), ratio=1).tolist()  # a mean of both, wherever the border is
        [[[[2.0, 2.0]]]]
    """
    check_convex(ratio, kernel, padding)
    if mask.shape[0] != values.shape[0] or mask.shape[2:] != values.shape[2:] or mask.shape[1] != (kernel * ratio) ** 2:
        raise ShapeError(
            f"the mask has shape {tuple(mask.shape)} for values {tuple(values.shape)}; "
            f"expected {(values.shape[0], (kernel * ratio) ** 2, *values.shape[2:])}: kernel^2 ratio^2 channels over the same cells"
        )
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return convex_steps(values, mask, ratio, kernel, mask_scale, padding == "renorm")
    fine: Tensor = _ConvexUpsample.apply(values, mask, ratio, kernel, mask_scale, padding)  # type: ignore[no-untyped-call]
    return fine


class _ConvexUpsample(torch.autograd.Function):
    """The same in place, a few pictures at a time, with the gradient written out; nothing of the mask's size is kept.

    With o the weighted mean, w_k the weights, t their sum and g the gradient of o over t: d/dmask_k = scale w_k g (v_k
    - o), d/dv_k = w_k g.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, mask: Tensor, ratio: int, kernel: int, scale: float, padding: str) -> Tensor:
        ctx.save_for_backward(values, mask)
        ctx.options = (ratio, kernel, scale, padding)
        b, c, h, w = values.shape
        dtype = _computing(values, mask)
        around = _around(values.to(dtype), kernel)
        fine = torch.empty(b, c, h, ratio, w, ratio, dtype=values.dtype, device=values.device)
        order = fine.permute(0, 1, 3, 5, 2, 4)  # as (b, c, ratio, ratio, h, w)
        step = _pictures_at_a_time(mask)
        near_of, into_of = (around[:, 0] if c == 1 else around).split(step), order.split(step)
        blocks = _weights(values, mask, ratio, kernel, scale, padding)
        for (_, weights, total), near, into in zip(blocks, near_of, into_of, strict=True):
            # one map needs the weights once: two steps instead of one for each neighbour
            mixed = weights.mul_(near).sum(1, keepdim=True) if c == 1 else _mixed(weights, near)
            # a copy scatters in two thirds of the time in which a division does
            into.copy_(mixed.div_(total).view(into.shape))
        return fine.view(b, c, h * ratio, w * ratio)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        values, mask = ctx.saved_tensors
        ratio, kernel, scale, padding = ctx.options
        if torch.is_grad_enabled():  # create_graph=True: the gradient is to be differentiated again
            wanted = [part for part, need in zip((values, mask), ctx.needs_input_grad, strict=False) if need]
            gradients = iter(
                torch.autograd.grad(
                    convex_steps(values, mask, ratio, kernel, scale, padding == "renorm"),
                    wanted,
                    upstream,
                    create_graph=True,
                )
            )
            return *(next(gradients) if need else None for need in ctx.needs_input_grad[:2]), None, None, None, None
        dtype = _computing(values, mask)
        around = _around(values.to(dtype), kernel)
        for_around = torch.empty_like(around)
        for_mask = torch.empty_like(mask, memory_format=torch.contiguous_format)
        by_neighbour = for_mask.view(-1, kernel**2, ratio**2, around.shape[-1])
        grown = F.pixel_unshuffle(upstream.to(dtype), ratio).unflatten(1, (-1, ratio**2)).flatten(-2)
        for part, weights, total in _weights(values, mask, ratio, kernel, scale, padding):
            g, near = grown[part] / total, around[part]
            against = (g * _mixed(weights, near).div_(total)).sum(1)
            for k in range(kernel**2):
                for_around[part][:, :, k, 0] = (g * weights[:, None, k]).sum(2)
                drawn = (g * near[:, :, k]).sum(1)
                torch.mul(drawn.sub_(against).mul_(weights[:, k]), scale, out=by_neighbour[part][:, k])
        for_values = F.fold(for_around.flatten(1, 3), values.shape[-2:], kernel, padding=kernel // 2)
        return for_values.to(values.dtype), for_mask, None, None, None, None


def _weights(
    values: Tensor, mask: Tensor, ratio: int, kernel: int, scale: float, padding: str
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Slices of the batch, their weights (part, kernel^2, ratio^2, h w), and what these sum to (part, 1, ratio^2, h w):
    means are divided by it, because dividing the weights is one pass more. The next slice overwrites both."""
    count, _, h, w = mask.shape
    dtype = _computing(values, mask)
    # what lies beyond the border has the weight 0; not a single number, which would have no say in what type is computed in
    bias = torch.zeros(1, 1, 1, 1, dtype=dtype, device=mask.device)
    if padding == "renorm":
        bias = _around(torch.zeros(1, 1, h, w, dtype=dtype, device=mask.device), kernel, beyond=float("-inf"))[:, 0]
    step = _pictures_at_a_time(mask)
    buffer = torch.empty(min(step, count), kernel**2, ratio**2, h * w, dtype=dtype, device=mask.device)
    sums = torch.empty(len(buffer), 1, ratio**2, h * w, dtype=dtype, device=mask.device)
    # on a GPU a look at the sums would wait for them, and tensors without numbers have none to look at
    looks = mask.device.type == "cpu" and type(buffer) is Tensor and buffer.numel() > 0 and values.numel() > 0
    looks = looks and values.abs().amax().item() < LARGEST_VALUE
    for start, logits in zip(range(0, max(count, 1), step), mask.split(step), strict=True):
        size = len(logits)
        weights, total = (buffer, sums) if size == len(buffer) else (buffer[:size], sums[:size])
        _scaled(logits, bias, scale, weights)
        if looks:
            torch.sum(weights.exp2_(), 1, keepdim=True, out=total)
            low, high = torch.aminmax(total)
            if low.item() >= SUM_RANGE[0] and high.item() <= SUM_RANGE[1]:
                yield slice(start, start + size), weights, total
                continue
            looks = False  # the blocks behind are hardly of other logits, and a look in vain is half a block's time
            _scaled(logits, bias, scale, weights)
        torch.sum(weights.sub_(weights.amax(1, keepdim=True)).exp2_(), 1, keepdim=True, out=total)
        yield slice(start, start + size), weights, total


def _pictures_at_a_time(mask: Tensor) -> int:
    """On a CPU as many as fit in the cache; on a GPU few large steps."""
    count, m, h, w = mask.shape
    return max(1, BLOCK_VALUES // max(1, m * h * w)) if mask.device.type == "cpu" else max(count, 1)


def _scaled(logits: Tensor, bias: Tensor, scale: float, out: Tensor) -> None:
    """Write the logits of a slice (part, m, h, w), in powers of 2, and what lies beyond the border into the buffer."""
    if logits.is_contiguous():
        logits = logits.view(out.shape)
    else:  # such as channels last: a matrix is transposed in blocks, which adding does not
        for into, one in zip(out, logits.flatten(2), strict=True):
            into.view(one.shape).copy_(one)
        logits = out
    # powers of 2 instead of e: a quarter of the time, where the library's exponential is not made for the processor
    torch.add(bias, logits, alpha=scale * math.log2(math.e), out=out)


def _around(values: Tensor, kernel: int, *, beyond: float = 0.0) -> Tensor:
    """(b, c, kernel^2, 1, h w): the neighbours of every cell, and a number for those beyond the border."""
    b, c, h, w = values.shape
    padded = F.pad(values, [kernel // 2] * 4, value=beyond)
    return padded.unfold(2, h, 1).unfold(3, w, 1).reshape(b, c, kernel**2, 1, h * w)


def _mixed(weights: Tensor, around: Tensor) -> Tensor:
    """(b, c, ratio^2, h w) weighted means of the neighbours."""
    mixed = weights[:, None, 0] * around[:, :, 0]
    for k in range(1, weights.shape[1]):
        mixed.addcmul_(weights[:, None, k], around[:, :, k])
    return mixed


def _computing(values: Tensor, mask: Tensor) -> torch.dtype:
    return torch.promote_types(torch.promote_types(values.dtype, mask.dtype), torch.float32)


def check_convex(ratio: int, kernel: int, padding: str) -> None:
    """Raise OptionError unless these options of convex upsampling are possible."""
    if ratio < 1:
        raise OptionError(f"ratio is {ratio}; expected a whole number of at least 1, fine cells per coarse cell")
    if kernel < 1 or kernel % 2 == 0:
        raise OptionError(f"kernel is {kernel}; expected an odd number, such as 3, so that it has a centre")
    if padding not in get_args(Padding):
        raise OptionError(
            f"padding is {padding!r}; expected 'renorm' (border cells have fewer neighbours) or 'zeros' (as published weights were trained)"
        )
