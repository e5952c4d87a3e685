"""Relevance of the pixels that a vision tower is fed, in the forms in which processors give pictures: lists of patches,
and squares with the colours first or last.
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def beyond_mean_patch(pixels: Float[Tensor, "*s"], gradient: Float[Tensor, "*s"], patch: int) -> Float[Tensor, "*s"]:
    """Gradient x (pixel - that of the mean patch).

    The mean is that of the patches that have a gradient: tiles that only fill up a batch have none, and their black
    would stand among what the picture shows.

    Args:
        pixels, gradient: (patches, channels x pixels), as Qwen's processors list them, or (..., 3, h, w), or
            (..., h, w, 3).
        patch: pixels per side. What is left over at the right and below, where a side is no multiple of a patch, no
            model sees; it gets 0.
    """
    if pixels.ndim == 2:
        used = gradient.ne(0).any(-1, keepdim=True)
        mean = (pixels * used).sum(0) / used.sum().clamp(min=1)
        return gradient * (pixels - mean)
    if pixels.shape[-3] != 3 == pixels.shape[-1]:
        first = beyond_mean_patch(pixels.movedim(-1, -3), gradient.movedim(-1, -3), patch)
        return first.movedim(-3, -1)
    *lead, channels, height, width = pixels.shape
    rows, columns = height // patch, width // patch
    cut = (..., slice(rows * patch), slice(columns * patch))
    cells = pixels[cut].reshape(-1, channels, rows, patch, columns, patch)
    pulls = gradient[cut].reshape(cells.shape)
    used = pulls.ne(0).any(5, keepdim=True).any(3, keepdim=True).any(1, keepdim=True)
    mean = (cells * used).sum((0, 2, 4), keepdim=True) / used.sum().clamp(min=1)
    beyond = (pulls * (cells - mean)).reshape(*lead, channels, rows * patch, columns * patch)
    return F.pad(beyond, (0, width - columns * patch, 0, height - rows * patch))
