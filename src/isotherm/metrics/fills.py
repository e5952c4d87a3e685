"""What stands in for a removed pixel.

No choice is neutral: a blank is an edge that the model has not seen in training, a blur keeps colours and shapes.
Figures are comparable only between maps that were judged with the same fill, so it is always named by the caller.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError


def mean_fill(pictures: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Each picture's mean colour everywhere."""
    return pictures.mean((2, 3), keepdim=True).expand_as(pictures)


def blur_fill(pictures: Float[Tensor, "b c h w"], *, sigma: float = 10.0) -> Float[Tensor, "b c h w"]:
    """The picture itself behind a Gaussian blur.

    Args:
        sigma: standard deviation in pixels. RISE blurs with 5 at 224 pixels, which leaves much of a large object;
            10 is ours. The kernel ends at 3 sigma; beyond the border the outermost pixel continues.
    """
    if not sigma > 0:
        raise OptionError(f"sigma is {sigma}; a blur needs a standard deviation above 0 pixels")
    reach = math.ceil(3 * sigma)
    x = torch.arange(-reach, reach + 1, dtype=torch.float64)
    kernel = torch.exp(-(x**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).to(pictures)
    planes = pictures.flatten(0, 1)[:, None]
    planes = F.conv2d(F.pad(planes, (reach, reach, 0, 0), mode="replicate"), kernel[None, None, None, :])
    planes = F.conv2d(F.pad(planes, (0, 0, reach, reach), mode="replicate"), kernel[None, None, :, None])
    return planes.reshape(pictures.shape)


def as_fill(fill: Tensor, pictures: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """A fill as given, (c,) a value per channel or (b, c, h, w), over the pictures."""
    if fill.ndim == 1 and fill.shape[0] == pictures.shape[1]:
        return fill.to(pictures)[None, :, None, None].expand_as(pictures)
    if fill.shape == pictures.shape:
        return fill.to(pictures)
    raise ShapeError(
        f"fill has shape {tuple(fill.shape)}; expected ({pictures.shape[1]},), a value per channel, or {tuple(pictures.shape)} like the pictures"
    )


def ground_fill(
    pictures: Float[Tensor, "b c h w"], *, region: Bool[Tensor, "b h w"] | None = None
) -> Float[Tensor, "b c h w"]:
    """The medians of each picture's four quarters, blended into each other.

    Where things lie on a ground, that is the ground's colour, as no mean and no blur is; of a photograph it is a few
    soft colours of its own.

    Args:
        region: pixels that count, e.g. without the letterbox; None: all.
    """
    known = pictures if region is None else pictures.masked_fill(~region[:, None], torch.nan)
    whole = known.flatten(2).nanmedian(2).values
    halves = [_halves(int(length)) for length in pictures.shape[2:]]
    rows = [torch.stack([known[:, :, y, x].flatten(2).nanmedian(2).values for x in halves[1]], -1) for y in halves[0]]
    corners = torch.stack(rows, -2)
    corners = torch.where(corners.isnan(), whole[..., None, None], corners)
    size = (int(pictures.shape[2]), int(pictures.shape[3]))
    return F.interpolate(corners, size=size, mode="bilinear", align_corners=False)


def _halves(length: int) -> tuple[slice, slice]:
    """Both halves of a side; of a single pixel twice the same."""
    middle = max(1, length // 2)
    return slice(0, middle), slice(min(middle, length - 1), length)
