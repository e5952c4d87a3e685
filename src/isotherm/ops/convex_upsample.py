"""Convex upsampling: every fine cell is a weighted mean of the coarse cells around it, its weights a softmax.

Written as one step per neighbour, each over a slice that fits in the cache. Unfolding the neighbourhood and a softmax
over it give the same numbers, but write and read tensors that are kernel^2 times as large as the result.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError

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
        ratio: fine cells per coarse cell and axis, at least 1. kernel: odd.
        mask_scale: the mask is multiplied by it before the softmax.
        padding: ``"renorm"`` drops neighbours out of the map from the softmax. ``"zeros"`` gives them the value 0, as
            published weights were trained: on a map of logits of -5 that puts 65 % of the probability on the cells along
            the border, where 23 % belong.

    Returns:
        (b, c, h ratio, w ratio) in the dtype of values, computed in at least float32.

    Raises:
        OptionError: ratio, kernel or padding is not one of the above. ShapeError: the mask does not fit.

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
    dtype = torch.promote_types(torch.promote_types(values.dtype, mask.dtype), torch.float32)
    h, w = values.shape[-2:]
    around = [kernel // 2] * 4
    padded = F.pad(values.to(dtype), around)
    steps = [(slice(ky, ky + h), slice(kx, kx + w)) for ky in range(kernel) for kx in range(kernel)]
    # (b, ratio^2, h, w) each
    logits = [m.to(dtype) * mask_scale for m in mask.unflatten(1, (kernel**2, ratio**2)).unbind(1)]
    if padding == "renorm":
        bias = F.pad(torch.zeros(1, h, w, dtype=dtype, device=values.device), around, value=float("-inf"))
        logits = [m + bias[:, ys, xs] for m, (ys, xs) in zip(logits, steps, strict=True)]
    # softmax is the same whatever is subtracted, so the largest logit needs no gradient
    top = logits[0].detach()
    for m in logits[1:]:
        top = torch.maximum(top, m.detach())
    total = torch.zeros((), dtype=dtype, device=values.device)
    mixed = total
    for m, (ys, xs) in zip(logits, steps, strict=True):
        weight = (m - top).exp()
        total = total + weight
        mixed = mixed + weight[:, None] * padded[:, :, None, ys, xs]
    return F.pixel_shuffle((mixed / total[:, None]).flatten(1, 2), ratio).to(values.dtype)


def check_convex(ratio: int, kernel: int, padding: str) -> None:
    """Raise OptionError unless these options of convex upsampling are possible."""
    if ratio < 1:
        raise OptionError(f"ratio is {ratio}; expected a whole number of at least 1, fine cells per coarse cell")
    if kernel < 1 or kernel % 2 == 0:
        raise OptionError(f"kernel is {kernel}; expected an odd number, such as 3, so that it has a centre")
    if padding not in get_args(Padding):
        raise OptionError(f"padding is {padding!r}; expected 'renorm' (border cells have fewer neighbours) or 'zeros' (as published weights were trained)")
