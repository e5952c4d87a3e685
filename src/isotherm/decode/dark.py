"""DARK: a Newton step on the logarithm of the blurred map, from its largest cell. For parity with published results."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.decode.argmax import largest, value_at
from isotherm.decode.reading import read_maps
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap, Kind
from isotherm.ops.flatness import height
from isotherm.ops.names import known_word
from isotherm.points import Points


def dark(
    maps: Heatmap | Float[Tensor, "*b n h w"],
    frame: Frame | None = None,
    *,
    blur: int = 11,
    stencil: Literal["dark", "udp"] = "dark",
    blur_sigma: float | None = None,
    kind: Kind | None = None,
) -> Points:
    """Decode maps as mmpose and ViTPose do: mu = m - (Hessian of L)^-1 (gradient of L), L = ln of the blurred map.

    Exact for a clean Gaussian whose stencil lies inside of the raster and within a cell of its peak; wrong at the
    border, where the 'dark' stencil gives up (the largest cell is the answer) and the 'udp' stencil repeats the
    border's cells. Prefer :func:`least_squares`.

    Args:
        maps: peak or probability maps, a Heatmap or values (*batch, n, h, w).
        frame: of plain values; left out, points come out in cells.
        blur: width of the Gaussian blur's kernel in cells, odd; 1 for none. Outside of the raster counts as 0.
        stencil: 'dark' takes second differences over two cells and stops at the border; 'udp' takes them over one cell,
            a one-sided mixed difference, and limits values to 0.001 to 50 before the logarithm.
        blur_sigma: of the blur in cells; OpenCV's rule for the kernel's width, 0.3 ((blur - 1) / 2 - 1) + 0.8, unless
            given.
        kind: of plain values, 'peak' unless given.

    Returns:
        Points in source pixels. ``covariance``: -(Hessian of L)^-1, the width of the (blurred) peak, not of the error;
        NaN where the stencil does not fit or the map is no peak there. ``score``: as of
        :func:`isotherm.decode.argmax`.

    Raises:
        KindError: logits or relevance, which have no logarithm.
        OptionError: an even or negative kernel, a sigma not above 0.

    Source: Zhang et al., "Distribution-Aware Coordinate Representation", CVPR 2020, eq. 9; Huang et al., "The Devil is
    in the Details", CVPR 2020. UDP's coordinates are align-corners; the Frame decides here.
    """
    read = read_maps(maps, frame, kinds=("peak", "probability"), kind=kind)
    if blur < 1 or blur % 2 == 0:
        raise OptionError(f"blur is {blur}; expected an odd number of cells, such as 11, or 1 for none")
    if blur_sigma is not None and not (math.isfinite(blur_sigma) and blur_sigma > 0):
        raise OptionError(f"blur_sigma is {blur_sigma}; expected a number of cells above 0, or None")
    known_word(stencil, ("dark", "udp"), "stencil")
    values, (h, w) = read.values, read.frame.size
    top, cell = largest(values)
    x, y = cell.long().unbind(-1)
    if blur > 1:
        sigma = 0.3 * ((blur - 1) / 2 - 1) + 0.8 if blur_sigma is None else blur_sigma
        blurred = _band(h, blur, sigma, values) @ values @ _band(w, blur, sigma, values)
        values = blurred * (top / blurred.amax((-2, -1)))[..., None, None]
    low, high = (1e-10, math.inf) if stencil == "dark" else (1e-3, 50.0)

    def log_at(dx: int, dy: int) -> Tensor:
        return value_at(values, x + dx, y + dy).clamp(low, high).log()

    gradient = 0.5 * torch.stack([log_at(1, 0) - log_at(-1, 0), log_at(0, 1) - log_at(0, -1)], -1)
    centre = log_at(0, 0)
    if stencil == "dark":
        xx = 0.25 * (log_at(2, 0) - 2 * centre + log_at(-2, 0))
        yy = 0.25 * (log_at(0, 2) - 2 * centre + log_at(0, -2))
        xy = 0.25 * (log_at(1, 1) - log_at(-1, 1) - log_at(1, -1) + log_at(-1, -1))
        fits = (x > 1) & (x < w - 2) & (y > 1) & (y < h - 2)
    else:
        right, left, below, above = log_at(1, 0), log_at(-1, 0), log_at(0, 1), log_at(0, -1)
        xx, yy = right - 2 * centre + left, below - 2 * centre + above
        xy = 0.5 * (log_at(1, 1) - right - below + 2 * centre - left - above + log_at(-1, -1))
        fits = torch.ones_like(x, dtype=torch.bool)
    determinant = xx * yy - xy.square()
    solvable = fits & (determinant != 0)
    adjugate = torch.stack([torch.stack([yy, -xy], -1), torch.stack([-xy, xx], -1)], -2)
    inverse = adjugate / torch.where(solvable, determinant, 1.0)[..., None, None]
    step = torch.where(solvable[..., None], -(inverse @ gradient[..., None])[..., 0], 0.0)
    is_peak = solvable & (determinant > 0) & (xx < 0)
    covariance = torch.where(is_peak[..., None, None], -inverse, torch.nan)
    score = height(read.values, top)
    return read.decoded(cell + 0.5 + step, covariance, score, valid=torch.isfinite(top) & (top > 0))


def _band(length: int, kernel: int, sigma: float, like: Tensor) -> Tensor:
    """A Gaussian blur along one axis as a symmetric banded matrix: cells outside count as 0."""
    cells = torch.arange(length, dtype=like.dtype, device=like.device)
    offset = cells[:, None] - cells
    taps = torch.arange(kernel, dtype=like.dtype, device=like.device) - kernel // 2
    total = torch.exp(-0.5 * (taps / sigma).square()).sum()
    return torch.where(offset.abs() <= kernel // 2, torch.exp(-0.5 * (offset / sigma).square()) / total, 0.0)
