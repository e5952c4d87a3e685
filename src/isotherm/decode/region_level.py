"""The level at which a credible region holds the truth as often as it should, fitted on maps held out from training."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.decode.reading import read_maps
from isotherm.decode.uncertainty import cell_probability
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap, Kind
from isotherm.points import Points

TOLERANCE = 2e-6
"""By how much a level must be above a cell's place in the order, so that rounding does not leave the cell out."""


def fit_region_level(
    maps: Heatmap | Float[Tensor, "*b n h w"],
    truth: Points,
    frame: Frame | None = None,
    *,
    level: float,
    kind: Kind | None = None,
) -> float:
    """The level at which regions of :func:`isotherm.decode.credible_region` hold the truth with a given probability.

    A map that was trained on Gaussians is wider than its errors, so its region of 50 % may hold nine places of ten. A
    temperature cannot mend that at every level, this can, whatever the maps are wrong about: the probability that a
    map holds for likelier than the true place is ordered over maps held out, and the value is taken that so large a
    share of them, and of one more map of the same kind, lies within. It holds in the mean over maps, not for each.

    Args:
        maps: held out from training, a Heatmap or values (*batch, n, h, w).
        truth: Points (*batch, n) in source pixels (cells, without a frame), one per map; those whose place is not
            finite take no part.
        frame: of plain values.
        level: the share of places that regions shall hold, between 0 and 1.
        kind: of plain values, 'logits' unless given.

    Returns:
        The level for ``credible_region``, between 0 and 1. Where more places than asked for lie in their map's
        likeliest cell, the regions are that cell, and hold more.

    Raises:
        OptionError: a level outside of (0, 1), or too few maps to promise it.
        ShapeError: truth does not fit the maps.

    Source: Angelopoulos and Bates, "A gentle introduction to conformal prediction" (2021), sections 1 and 2.1.

    Example:
        >>> maps = torch.tensor([[[0.5, 0.3, 0.2]]]).expand(9, 1, 1, 3)
        >>> truth = Points(torch.tensor([[[0.5, 0.5]]] * 6 + [[[1.5, 0.5]]] * 3))  # the likeliest cell six times of nine
        >>> round(fit_region_level(maps, truth, level=0.8, kind="probability"), 3)  # 0.5 is what lies before the second
        0.5
    """
    if not 0 < level < 1:
        raise OptionError(f"level is {level}; expected a share between 0 and 1, such as 0.9")
    read = read_maps(maps, frame, kinds=("logits", "probability"), kind=kind)
    if tuple(truth.xy.shape[:-1]) != tuple(read.values.shape[:-2]):
        raise ShapeError(
            f"maps have shape {tuple(read.values.shape)}, the true points {tuple(truth.xy.shape)}; expected one point per map"
        )
    h, w = read.values.shape[-2:]
    cells = truth.to_cells(read.frame).xy
    known = torch.isfinite(cells).all(-1)
    x, y = (cells[known].floor().long()[:, i].clamp(0, most - 1) for i, most in ((0, w), (1, h)))
    probability = cell_probability(read.values.detach(), kind=read.kind)[known].flatten(-2)
    at = probability.gather(1, (y * w + x)[:, None])
    before = torch.where(probability > at, probability, 0.0).sum(1).sort().values
    rank = math.ceil((len(before) + 1) * level - 1e-9)
    if rank > len(before):
        least = math.ceil(level / (1 - level) - 1e-9)
        raise OptionError(
            f"there are {len(before)} maps whose place is known; a level of {level} needs at least {least} of them"
        )
    return min(max(float(before[rank - 1]), 0.0) + TOLERANCE, 1 - 1e-7)
