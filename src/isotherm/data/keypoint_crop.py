"""Random parts of pictures that fill the model's input, stretched."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.frame import Size

TRIES = 10
"""Parts that are drawn before the whole picture is taken instead."""
FURTHER = 2 + 2 * TRIES + 2
"""Random numbers of a picture whose parts are cut out: of a turn and a vertical mirror, then those of its part."""


def crop_boxes(
    drawn: Float[Tensor, "b k"],
    cached: Size,
    area: tuple[float, float],
    ratio: tuple[float, float],
    tall: float | Float[Tensor, " b"] = 1.0,
) -> Float[Tensor, "b 4"]:
    """(centre x, centre y, width, height) of a part of each picture, in its cells; every part lies inside.

    Args:
        drawn: (b, 2 TRIES + 2) numbers from 0 to 1: an area and a ratio for every try, and where the part lies.
        cached: (h, w) of the pictures.
        area: (least, most) share of the picture's area.
        ratio: (least, most) width over height in the source picture, drawn evenly in its logarithm.
        tall: how many times as tall as wide a cell of each picture is in its source; 1 unless it was stretched.

    Returns:
        (b, 4); the first try that fits, or where none does the largest part about the middle with the nearest ratio,
        which is the whole picture where its own ratio is one of these.

    Source: the part of Szegedy et al., "Going deeper with convolutions" (CVPR 2015), section 6, with the tries and
    the last resort of torchvision's ``RandomResizedCrop``.

    Example:
        >>> crop_boxes(torch.zeros(1, 22, dtype=torch.float64), (8, 8), (0.25, 1.0), (1.0, 1.0)).tolist()
        [[2.0, 2.0, 4.0, 4.0]]
    """
    h, w = cached
    shares = area[0] + drawn[:, :TRIES] * (area[1] - area[0])
    tall = torch.as_tensor(tall, dtype=drawn.dtype).expand(len(drawn))
    ratios = torch.exp(math.log(ratio[0]) + drawn[:, TRIES : 2 * TRIES] * math.log(ratio[1] / ratio[0])) * tall[:, None]
    widths, heights = (shares * ratios * h * w).sqrt(), (shares / ratios * h * w).sqrt()
    fits = (widths <= w + 1e-9) & (heights <= h + 1e-9)
    first = fits.int().argmax(1, keepdim=True)
    none = ~fits.any(1)
    nearest = (w / h / tall).clamp(*ratio) * tall  # in cells, of the whole picture
    width = torch.where(none, (h * nearest).clamp(max=w), widths.gather(1, first)[:, 0])
    height = torch.where(none, (w / nearest).clamp(max=h), heights.gather(1, first)[:, 0])
    left, top = (torch.where(none, 0.5, drawn[:, i]) * rest for i, rest in ((-2, w - width), (-1, h - height)))
    return torch.stack([left + width / 2, top + height / 2, width, height], -1)
