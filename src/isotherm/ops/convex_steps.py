"""Convex upsampling one neighbour at a time, in what compilers, exporters and TorchScript all understand.

TorchScript reads no shapes in annotations, no names from outside of a function and no options but numbers and truth
values; :mod:`isotherm.ops.convex_upsample` has what is meant and checks what is given.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def convex_steps(values: Tensor, mask: Tensor, ratio: int, kernel: int, mask_scale: float, renorm: bool) -> Tensor:
    """As :func:`isotherm.ops.convex_upsample.convex_upsample`, differentiable any number of times.

    Args:
        values, mask, ratio, kernel, mask_scale: as there, unchecked.
        renorm: the padding ``"renorm"``; False: ``"zeros"``.

    Returns:
        (b, c, h ratio, w ratio) in the dtype of values.
    """
    dtype = torch.promote_types(torch.promote_types(values.dtype, mask.dtype), torch.float32)
    h, w = values.shape[2], values.shape[3]
    around = _neighbours(values.to(dtype), kernel, 0.0)
    # powers of 2 instead of e: a quarter less time when compiled, where the exponentials take most of it (measured)
    scale = mask_scale * 1.4426950408889634  # log2(e)
    by_neighbour = mask.unflatten(1, (kernel * kernel, ratio * ratio)).unbind(1)
    logits = [m.to(dtype) * scale for m in by_neighbour]
    if renorm or mask.is_contiguous():
        # zeros as well: one loop over all logits is what compilers then make of it, where the places come last
        nothing = torch.zeros(1, 1, h, w, dtype=dtype, device=values.device)
        beyond = _neighbours(nothing, kernel, float("-inf") if renorm else 0.0)
        logits = [m + beyond[k] for k, m in enumerate(logits)]
    top = _largest(logits)
    total = torch.zeros((), dtype=dtype, device=values.device)
    mixed = total
    for k, m in enumerate(logits):
        weight = (m - top).exp2()
        total = total + weight
        mixed = mixed + weight[:, None] * around[k][:, :, None]
    return F.pixel_shuffle((mixed / total[:, None]).flatten(1, 2), ratio).to(values.dtype)


def _neighbours(values: Tensor, kernel: int, beyond: float) -> list[Tensor]:
    """The neighbours of all cells, kernel^2 maps (b, c, h, w), and a number for those beyond the border.

    Stacked, so that compilers write these small maps down once: else each fine cell asks anew where the border is.
    """
    h, w, edge = values.shape[2], values.shape[3], kernel // 2
    padded = F.pad(values, [edge, edge, edge, edge], value=beyond)
    steps = [padded[:, :, k // kernel : k // kernel + h, k % kernel : k % kernel + w] for k in range(kernel * kernel)]
    return list(torch.stack(steps).unbind(0))


def _largest(logits: list[Tensor]) -> Tensor:
    """The largest of the logits at each place, without a gradient: softmax is the same whatever is subtracted.

    By rounds of pairs: one after the other, each comparison waits for the one before, a third of the compiled time.
    """
    tops = [m.detach() for m in logits]
    while len(tops) > 1:
        pairs = [torch.maximum(tops[i], tops[i + 1]) for i in range(0, len(tops) - 1, 2)]
        if len(tops) % 2 == 1:
            pairs.append(tops[-1])
        tops = pairs
    return tops[0]
