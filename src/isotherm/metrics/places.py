"""How far a place that a map means lies from the true one, and what the map thought of that one.

An instruction may have several right places ("put it beside the red block"): the nearest one counts, and missing ones
are NaN.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError


def nearest_errors(candidates: Float[Tensor, "m k d"], truth: Float[Tensor, "m p d"]) -> Float[Tensor, "m k"]:
    """The distance of every candidate to the nearest true one.

    Args:
        candidates: (m, k, d) in pixels (d = 2) or in units of the world (d = 3).
        truth: (m, p, d) in the same, NaN where there are fewer.

    Returns:
        (m, k); NaN where there is no candidate, or no true place.

    Example:
        >>> nearest_errors(torch.tensor([[[0.0, 0.0]]]), torch.tensor([[[3.0, 4.0], [9.0, 9.0]]])).tolist()
        [[5.0]]
    """
    _check(candidates, truth)
    return _least((candidates[:, :, None] - truth[:, None]).norm(dim=-1))


def hit_at(candidates: Float[Tensor, "m k d"], truth: Float[Tensor, "m p d"], *, within: float) -> Bool[Tensor, "m k"]:
    """Whether one of the first 1, 2, ... k candidates lies near a true place: hit@1, hit@2, ...

    Args:
        candidates: (m, k, d), the likeliest first, NaN where there are fewer.
        truth: (m, p, d) in the same units, NaN where there are fewer.
        within: the largest distance along each axis: "within 2 of 64 cells".

    Raises:
        OptionError: within is not above 0.

    Example:
        >>> candidates = torch.tensor([[[0.0, 0.0], [5.0, 5.0]]])
        >>> hit_at(candidates, torch.tensor([[[6.0, 4.0]]]), within=2.0).tolist()
        [[False, True]]
    """
    _check(candidates, truth)
    if not within > 0:
        raise OptionError(f"within is {within}; expected a distance above 0")
    apart = _least((candidates[:, :, None] - truth[:, None]).abs().amax(-1))
    return (apart <= within).cummax(1).values  # NaN is a miss


def map_nll(probability: Float[Tensor, "m h w"], cells: Float[Tensor, "m p 2"]) -> Float[Tensor, " m"]:
    """The negative logarithm of the probability that maps give the cells of the true places, in nats.

    Args:
        probability: (m, h, w), each of sum 1.
        cells: (m, p, 2) (x, y) of the true places in cells, edge-origin, NaN where there are fewer; places off the map
            count as its nearest cell.

    Returns:
        (m,), of several places that of their sum; ln(h w) for a map that knows nothing, NaN without a place.

    Example:
        >>> map_nll(torch.tensor([[[0.25, 0.75]]]), torch.tensor([[[0.5, 0.5]]])).exp()
        tensor([4.])
    """
    index, known = _cells(probability, cells)
    at = probability.flatten(1).gather(1, index)
    # two places in one cell are that cell once
    once = (index[:, :, None] == index[:, None]) & known[:, None]
    again = torch.tril(once, -1).any(-1)
    total = torch.where(known & ~again, at, 0.0).sum(1)
    return torch.where(known.any(1), -total.log(), torch.nan)


def credible_level(probability: Float[Tensor, "m h w"], cells: Float[Tensor, "m p 2"]) -> Float[Tensor, " m"]:
    """The probability of the cells that a map holds for likelier than that of the true place.

    The region of a level holds the place where this lies below the level (:func:`isotherm.decode.credible_region`), so
    over many maps its distribution is the curve of coverage: even from 0 to 1 where maps are as sure as they may be.

    Args:
        probability, cells: as of :func:`map_nll`; of several places the likeliest counts.

    Returns:
        (m,) from 0, the likeliest cell of all, to 1; NaN without a place.

    Example:
        >>> credible_level(torch.tensor([[[0.5, 0.3, 0.2]]]), torch.tensor([[[1.5, 0.5]]])).tolist()
        [0.5]
    """
    index, known = _cells(probability, cells)
    flat = probability.flatten(1)
    at = torch.where(known, flat.gather(1, index), -1.0).amax(1, keepdim=True)
    return torch.where(known.any(1), torch.where(flat > at, flat, 0.0).sum(1), torch.nan)


def _check(candidates: Tensor, truth: Tensor) -> None:
    if len(candidates) != len(truth) or candidates.shape[-1] != truth.shape[-1]:
        raise ShapeError(
            f"candidates has shape {tuple(candidates.shape)} and truth {tuple(truth.shape)}; expected (m, k, d) and (m, p, d)"
        )


def _least(apart: Tensor) -> Tensor:
    """(m, k, p) -> (m, k), NaN where all are."""
    least = apart.nan_to_num(nan=torch.inf).amin(-1)
    return torch.where(torch.isfinite(least), least, torch.nan)


def _cells(probability: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    if len(probability) != len(cells):
        raise ShapeError(f"there are {len(probability)} maps and places of {len(cells)}; expected as many")
    h, w = probability.shape[-2:]
    known = torch.isfinite(cells).all(-1)
    x, y = (cells[..., i].nan_to_num().floor().long().clamp(0, most - 1) for i, most in ((0, w), (1, h)))
    return y * w + x, known
