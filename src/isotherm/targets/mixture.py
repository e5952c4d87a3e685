"""Many points in one map: a true weighted mixture, or the strongest of their peaks."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame, Size
from isotherm.heatmap import Heatmap, Kind
from isotherm.ops.gaussian import Sigma, outer, peak_vectors, probability_vectors, sigma_per_axis
from isotherm.ops.place import OffFrame, Placed, place, raster
from isotherm.points import Points, State
from isotherm.training_map import TrainingMap


def mixture(
    points: Points | Float[Tensor, "*b m 2"],
    frame: Frame | Size,
    *,
    sigma_cells: Sigma,
    weights: Float[Tensor, "*b m"] | None = None,
    how: Literal["mixture", "max"] = "mixture",
    state: Int[Tensor, "*b m"] | None = None,
    off_frame: OffFrame = "tail",
) -> TrainingMap:
    """One map of many points.

    Args:
        points, frame, sigma_cells, state, off_frame: as of :func:`isotherm.targets.gaussian`.
        weights: (*batch, m), not negative; all 1 unless given.
        how: 'mixture', sum of w g / sum of w of Gaussians that each sum to 1, a probability map; or 'max', the largest
            of the points' peaks scaled by w / max w, a peak map. Points that are not shown have no weight.

    Returns:
        TrainingMap of (*batch, h, w) maps and (*batch) states: LABELLED where any point has weight; otherwise the map
        is zeros, and the state UNLABELLED if any point is, else OUT_OF_FRAME if any is, else ABSENT.

    Raises:
        OptionError: another ``how``, a weight that is negative or not finite, 'background' with a mixture.
        ShapeError: parts that do not fit one another.

    Source: the mixture density of Bishop, "Pattern recognition and machine learning" (2006), eq. 9.7. A softmax over
    the mean of the maps, which is in use, is no mixture: it turns Gaussians into a nearly flat map.

    Example:
        >>> points = torch.tensor([[0.5, 0.5], [2.5, 0.5]])
        >>> target = mixture(points, (1, 3), sigma_cells=0.1, weights=torch.tensor([3.0, 1.0]))
        >>> target.heatmap.values.round(decimals=2).tolist()
        [[0.75, 0.0, 0.25]]
    """
    if how not in ("mixture", "max"):
        raise OptionError(f"how is {how!r}; expected 'mixture' or 'max'")
    if how == "mixture" and off_frame == "background":
        raise OptionError(
            "a mixture sums to 1, so off_frame='background' has no meaning in it; use 'drop', 'tail' or 'clip'"
        )
    at = place(points, frame, state=state, off_frame=off_frame)
    grid = raster(frame)
    weights = torch.where(
        at.shown, torch.ones_like(at.cells[..., 0]) if weights is None else _weights(weights, at), 0.0
    )
    sigma = sigma_per_axis(sigma_cells, at.cells)
    fused = _sum if how == "mixture" else _largest
    kind: Kind = "probability" if how == "mixture" else "peak"
    return TrainingMap(
        Heatmap(fused(at.cells, sigma, weights, grid.size), grid, kind), fused_state(at.state, weights > 0)
    )


def fused_state(state: Int[Tensor, "*b m"], counts: Bool[Tensor, "*b m"]) -> Int[Tensor, "*b"]:
    """What is known of a map that many points were fused in: see :func:`mixture`."""

    def any_is(which: State) -> Tensor:
        return (state == int(which)).any(-1)

    # no points at all, m = 0, is ABSENT: the list is known and empty
    fused = torch.where(any_is(State.OUT_OF_FRAME), int(State.OUT_OF_FRAME), int(State.ABSENT))
    # a known point without weight says nothing, as one that is not known
    silent = any_is(State.UNLABELLED) | any_is(State.LABELLED) | any_is(State.OCCLUDED)
    fused = torch.where(silent, int(State.UNLABELLED), fused)
    return torch.where(counts.any(-1), int(State.LABELLED), fused)


def _weights(weights: Tensor, at: Placed) -> Tensor:
    if weights.shape != at.shown.shape:
        raise ShapeError(
            f"weights have shape {tuple(weights.shape)}; expected {tuple(at.shown.shape)}, one for every point"
        )
    weights = weights.to(at.cells)
    # the weight of a point that is not shown may be anything
    if not torch.compiler.is_compiling():
        bad = at.shown & ~(torch.isfinite(weights) & (weights >= 0))
        if bool(bad.any()):
            raise OptionError(f"a weight is {float(weights[bad][0]):g}; expected finite numbers of at least 0")
    return weights


def _sum(cells: Tensor, sigma: Tensor, weights: Tensor, size: Size) -> Tensor:
    gx, gy = probability_vectors(cells, sigma, size)
    total = weights.sum(-1, keepdim=True)
    share = weights / torch.where(total > 0, total, 1.0)
    # one matrix product: the m maps never exist
    return (gy * share[..., None]).transpose(-1, -2) @ gx


def _largest(cells: Tensor, sigma: Tensor, weights: Tensor, size: Size) -> Tensor:
    gx, gy = peak_vectors(cells, sigma, size)
    if weights.shape[-1] == 0:
        return cells.new_zeros(*cells.shape[:-2], *size)
    top = weights.amax(-1, keepdim=True)
    gx = gx * (weights / torch.where(top > 0, top, 1.0))[..., None]
    best = outer(gx[..., 0, :], gy[..., 0, :])
    for i in range(1, weights.shape[-1]):  # a running maximum holds two maps, not m
        best = torch.maximum(best, outer(gx[..., i, :], gy[..., i, :]))
    return best
