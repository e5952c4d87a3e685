"""The order in which a map takes a picture apart."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.frame import Size


class Ranking(NamedTuple):
    """Every pixel's place in the order.

    Args:
        rank: (h, w) int64, 0 goes first; pixels of one unit share a rank, pixels outside the region have ``units`` or
            more.
        units: how many units (pixels or cells) there are to remove.
    """

    rank: Int[Tensor, "h w"]
    units: int


def rank_cells(
    values: Float[Tensor, "h w"], *, cells: Size | None = None, region: Bool[Tensor, "h w"] | None = None, seed: int = 0
) -> Ranking:
    """Rank pixels, or the cells of a coarser grid, from the most relevant to the least.

    Ties are broken at random, with ``seed``. Raster order would be a hidden opinion: a map that is 0 on half of the
    picture would go through that half from the top, which is neither what it says nor reproducible under a flip.

    Args:
        values: relevance, finite. Only the order matters, so a monotone transform changes nothing.
        cells: (h, w) of a grid whose cells are removed as a whole, ranked by their mean; None: single pixels.
        region: the pixels that may be removed at all, e.g. the picture without its letterbox; None: all.
    """
    h, w = values.shape
    inside = torch.ones_like(values, dtype=torch.bool) if region is None else region.to(values.device)
    if cells is None:
        flat, valid, unit = values.flatten(), inside.flatten(), None
    else:
        if not (1 <= cells[0] <= h and 1 <= cells[1] <= w):
            raise OptionError(
                f"cells is {tuple(cells)}; a grid over {(h, w)} pixels has from 1 to that many rows and columns"
            )
        rows = torch.arange(h, device=values.device) * cells[0] // h
        columns = torch.arange(w, device=values.device) * cells[1] // w
        unit = rows[:, None] * cells[1] + columns
        total = values.new_zeros(cells[0] * cells[1], dtype=torch.float32).to(
            torch.promote_types(values.dtype, torch.float32)
        )
        count = torch.zeros_like(total)
        total.index_add_(0, unit[inside], values[inside].to(total))
        count.index_add_(0, unit[inside], torch.ones_like(values[inside], dtype=total.dtype))
        flat, valid = total / count.clamp(min=1), count > 0
    shuffle = torch.randperm(len(flat), generator=torch.Generator().manual_seed(seed)).to(values.device)
    order = shuffle[torch.argsort(flat[shuffle], descending=True, stable=True)]
    order = order[torch.argsort((~valid[order]).to(torch.uint8), stable=True)]  # what may not be removed comes last
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    units = int(valid.sum())
    if units == 0:
        raise OptionError("the region is empty, so there is no pixel to remove; it must hold some of the picture")
    full = rank.reshape(h, w) if unit is None else rank[unit]
    return Ranking(full.masked_fill(~inside, len(flat)), units)


def cuts(units: int, steps: int) -> list[int]:
    """How many units are gone after each step, from 0 to all of them, rounded to whole ones."""
    if not 1 <= steps <= units:
        raise OptionError(f"steps is {steps}; {units} units can be removed in 1 to {units} steps")
    return [(2 * i * units + steps) // (2 * steps) for i in range(steps + 1)]
