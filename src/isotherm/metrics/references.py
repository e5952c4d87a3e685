"""What a map must be compared with: maps that know nothing about the model.

A coarse map removes whole patches. Scattered pixels destroy a picture much faster, or slower, than patches do, so a
random order of pixels is an unfair opponent: it is beaten, or wins, by its texture alone. The random maps here are as
coarse as the map they stand beside. And most objects are in the middle: the distance from the centre is a map that
every method must be compared with too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.frame import Size

Cells = Size | tuple[int, int, int]
"""(h, w), or (frames or moments, h, w) of clips."""


def random_maps(
    count: int, size: Cells, *, grid: Cells, seed: int = 0, device: torch.device | str = "cpu"
) -> Float[Tensor, "count *time h w"]:
    """Smooth random fields: independent normal values on the map's own grid, enlarged bilinearly as maps are.

    Args:
        count: how many; field i depends on (seed, i) only.
        size: (h, w) of the model's input in pixels, of clips (frames, h, w).
        grid: (h, w) of the map before it was enlarged, of clips (moments, h, w); ``size`` for maps of single pixels.
    """
    if len(grid) != len(size) or not all(1 <= cells <= pixels for cells, pixels in zip(grid, size, strict=True)):
        raise OptionError(
            f"grid is {tuple(grid)}; the grid of a map over {tuple(size)} pixels has from 1 to that many cells"
        )
    fields = [
        torch.randn(1, 1, *grid, generator=torch.Generator().manual_seed(mix(seed, i)), dtype=torch.float32)
        for i in range(count)
    ]
    if not fields:
        return torch.zeros(0, *size, device=device)
    mode = "bilinear" if len(size) == 2 else "trilinear"
    return F.interpolate(torch.cat(fields).to(device), tuple(size), mode=mode, align_corners=False)[:, 0]


def centre_map(size: Size, *, device: torch.device | str = "cpu") -> Float[Tensor, "h w"]:
    """Relevance that falls from the picture's centre outwards, in units of its half sides: 0 there, -1 at a side's
    middle.
    """
    y = (torch.arange(size[0], dtype=torch.float32) + 0.5) / size[0] * 2 - 1
    x = (torch.arange(size[1], dtype=torch.float32) + 0.5) / size[1] * 2 - 1
    return -(y[:, None].square() + x.square()).sqrt().to(device)


def mix(*numbers: int) -> int:
    """One seed from several numbers, so that neighbouring ones give unrelated streams."""
    state = 0
    for number in numbers:
        state = (state * 6364136223846793005 + number * 1442695040888963407 + 1013904223) % (1 << 63)
    return state
