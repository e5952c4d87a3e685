"""The target-free losses in Triton, for CUDA: each a single pass over the maps, and one more for the gradient.

Every program reads a part of one map and the two short vectors of its Gaussian, which stay in the cache. Maps are cut
into parts so that a few large ones fill a GPU as well as many small ones do; the parts' sums are joined in plain
PyTorch. Sums are in float32. Maps that take no part are neither read nor counted, and their gradient is exactly 0.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

PART = tl.constexpr(4096)  # cells of a map that one program reads
BLOCK = tl.constexpr(1024)  # cells that it reads at a time


def squared_error(pred: Tensor, gx: Tensor, gy: Tensor, active: Tensor) -> Tensor:
    """Sum over cells of (pred - gy gx^T)^2: (*batch, n, h, w) maps -> (*batch, n), 0 where not active."""
    maps, parts = _laid_out(pred)
    sums = torch.empty(parts, dtype=torch.float32, device=pred.device)
    _run(_squared_error, parts, maps, gx.contiguous(), gy.contiguous(), active.int(), sums)
    return sums.sum(-1).view(active.shape)


def squared_error_gradient(pred: Tensor, gx: Tensor, gy: Tensor, active: Tensor, factor: Tensor) -> Tensor:
    """factor (pred - gy gx^T), factor being (*batch, n); shaped as pred, in its precision."""
    maps, parts = _laid_out(pred)
    gradient = torch.empty_like(maps)
    _run(
        _squared_error_gradient,
        parts,
        maps,
        gx.contiguous(),
        gy.contiguous(),
        active.int(),
        factor.contiguous(),
        gradient,
    )
    return gradient.view(pred.shape)


def log_loss(logits: Tensor, px: Tensor, py: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
    """(py^T P px, logsumexp(P)), each (*batch, n), 0 where not active."""
    maps, parts = _laid_out(logits)
    there = torch.empty(parts, dtype=torch.float32, device=logits.device)
    total = torch.empty_like(there)
    _run(_log_loss, parts, maps, px.contiguous(), py.contiguous(), active.int(), there, total)
    return there.sum(-1).view(active.shape), torch.where(active, total.logsumexp(-1).view(active.shape), 0.0)


def log_loss_gradient(logits: Tensor, px: Tensor, py: Tensor, active: Tensor, factor: Tensor, total: Tensor) -> Tensor:
    """factor (softmax(P) - py px^T), total being logsumexp(P); shaped as the logits, in their precision."""
    maps, parts = _laid_out(logits)
    gradient = torch.empty_like(maps)
    vectors = (px.contiguous(), py.contiguous(), active.int(), factor.contiguous(), total.contiguous())
    _run(_log_loss_gradient, parts, maps, *vectors, gradient)
    return gradient.view(logits.shape)


def _laid_out(maps: Tensor) -> tuple[Tensor, tuple[int, int]]:
    h, w = maps.shape[-2:]
    flat = maps.contiguous().view(-1, h, w)
    return flat, (flat.shape[0], triton.cdiv(h * w, PART.value))


def _run(kernel: Any, parts: tuple[int, int], maps: Tensor, *arguments: Tensor) -> None:
    h, w = maps.shape[-2:]
    if parts[0] > 0:
        kernel[parts](maps, *arguments, h, w)


@triton.jit
def _squared_error(maps, gx, gy, active, sums, h, w):  # type: ignore[no-untyped-def]
    one, part = tl.program_id(0), tl.program_id(1)
    end = h * w * tl.load(active + one)  # a map that takes no part has no cells to read
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(part * PART, part * PART + PART, BLOCK):
        cell = start + tl.arange(0, BLOCK)
        inside = cell < end
        value = tl.load(maps + one.to(tl.int64) * h * w + cell, mask=inside, other=0.0).to(tl.float32)
        x = tl.load(gx + one * w + cell % w, mask=inside, other=0.0)
        y = tl.load(gy + one * h + cell // w, mask=inside, other=0.0)
        residual = value - y * x
        total += residual * residual
    tl.store(sums + one * tl.num_programs(1) + part, tl.sum(total, 0))


@triton.jit
def _squared_error_gradient(maps, gx, gy, active, factor, gradient, h, w):  # type: ignore[no-untyped-def]
    one, part = tl.program_id(0), tl.program_id(1)
    end = h * w * tl.load(active + one)  # a map that takes no part has no cells to read
    scale = tl.load(factor + one)
    for start in range(part * PART, part * PART + PART, BLOCK):
        cell = start + tl.arange(0, BLOCK)
        inside = cell < h * w
        read = cell < end
        at = one.to(tl.int64) * h * w + cell
        value = tl.load(maps + at, mask=read, other=0.0).to(tl.float32)
        x = tl.load(gx + one * w + cell % w, mask=read, other=0.0)
        y = tl.load(gy + one * h + cell // w, mask=read, other=0.0)
        result = tl.where(read, scale * (value - y * x), 0.0)
        tl.store(gradient + at, result.to(gradient.dtype.element_ty), mask=inside)


@triton.jit
def _log_loss(maps, px, py, active, there, total, h, w):  # type: ignore[no-untyped-def]
    one, part = tl.program_id(0), tl.program_id(1)
    end = h * w * tl.load(active + one)  # a map that takes no part has no cells to read
    dot = tl.zeros((BLOCK,), tl.float32)
    top = tl.full((BLOCK,), float("-inf"), tl.float32)
    summed = tl.zeros((BLOCK,), tl.float32)
    for start in range(part * PART, part * PART + PART, BLOCK):
        cell = start + tl.arange(0, BLOCK)
        inside = cell < end
        value = tl.load(maps + one.to(tl.int64) * h * w + cell, mask=inside, other=float("-inf")).to(tl.float32)
        x = tl.load(px + one * w + cell % w, mask=inside, other=0.0)
        y = tl.load(py + one * h + cell // w, mask=inside, other=0.0)
        dot += tl.where(inside, y * x * value, 0.0)
        # a sum of exponentials below the largest so far, one per lane; -inf minus -inf would be no number
        higher = tl.maximum(top, value)
        base = tl.where(higher == float("-inf"), 0.0, higher)
        summed = summed * tl.exp(top - base) + tl.exp(value - base)
        top = higher
    highest = tl.max(top, 0)
    base = tl.where(highest == float("-inf"), 0.0, highest)
    at = one * tl.num_programs(1) + part
    tl.store(there + at, tl.sum(dot, 0))
    tl.store(total + at, base + tl.log(tl.sum(summed * tl.exp(top - base), 0)))


@triton.jit
def _log_loss_gradient(maps, px, py, active, factor, total, gradient, h, w):  # type: ignore[no-untyped-def]
    one, part = tl.program_id(0), tl.program_id(1)
    end = h * w * tl.load(active + one)  # a map that takes no part has no cells to read
    scale = tl.load(factor + one)
    log_sum = tl.load(total + one)
    for start in range(part * PART, part * PART + PART, BLOCK):
        cell = start + tl.arange(0, BLOCK)
        inside = cell < h * w
        read = cell < end
        at = one.to(tl.int64) * h * w + cell
        value = tl.load(maps + at, mask=read, other=0.0).to(tl.float32)
        x = tl.load(px + one * w + cell % w, mask=read, other=0.0)
        y = tl.load(py + one * h + cell // w, mask=read, other=0.0)
        result = tl.where(read, scale * (tl.exp(value - log_sum) - y * x), 0.0)
        tl.store(gradient + at, result.to(gradient.dtype.element_ty), mask=inside)
