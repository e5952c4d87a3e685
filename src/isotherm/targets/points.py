"""Gaussian maps of points: one map per point, at one width or at several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.frame import Frame, Size
from isotherm.heatmap import Heatmap
from isotherm.jax.gaussian import gaussian as jax_gaussian
from isotherm.ops.arrays import also_arrays
from isotherm.ops.gaussian import Sigma, axis_exponent, outer, peak_vectors, probability_vectors, sigma_per_axis
from isotherm.ops.place import OffFrame, Placed, place, raster
from isotherm.points import Points
from isotherm.training_map import TrainingMap

GaussianKind = Literal["peak", "probability"]


@also_arrays(jax_gaussian)
def gaussian(
    points: Points | Float[Tensor, "*b n 2"],
    frame: Frame | Size,
    *,
    sigma_cells: Sigma,
    kind: GaussianKind = "peak",
    state: Int[Tensor, "*b n"] | None = None,
    off_frame: OffFrame = "tail",
    cut_sigmas: float | None = None,
) -> TrainingMap:
    """One Gaussian map per point, centred where the point is, not at the nearest cell.

    Args:
        points: (*batch, n, 2) (x, y) in source pixels, edge-origin, or Points with states of their own.
        frame: of the maps, single or batched as the first dimensions of the points; or a size (h, w), and the points
            are in its cells.
        sigma_cells: standard deviation in cells: a number, (*batch, n) one per point, or (*batch, n, 2) along x and y.
        kind: 'peak', 1 at the point (for MSE; decode by least squares), or 'probability', every map sums to 1 (for
            cross-entropy; decode by the moment inverse).
        state: (*batch, n) of :class:`isotherm.points.State`. UNLABELLED and ABSENT points give a map of zeros.
        off_frame: what a point outside gives, see :data:`isotherm.ops.place.OffFrame`. 'background' goes with peaks
            only: a map that sums to 1 cannot say that there is nothing.
        cut_sigmas: cells farther than this many sigmas from the point are 0; the nearest cell never is, so that a point
            outside keeps a target. None: no cut.

    Returns:
        Of tensors and Points a TrainingMap of (*batch, n, h, w) maps and (*batch, n) states, differentiable in the
        points and in sigma_cells. Of NumPy or JAX points the maps alone, (*batch, n, h, w), an array of the same
        library and precision (float32 at least); ``cut_sigmas`` is not for JAX.

    Raises:
        OptionError: another kind or policy, a sigma or cut that is not a positive number, 'background' with
            probabilities.
        ShapeError: parts that do not fit one another.

    Source: Tompson et al., "Joint training of a convolutional network and a graphical model" (NIPS 2014), section 3; at
    the place itself, as in Zhang et al., "Distribution-aware coordinate representation" (CVPR 2020), section 3.2.

    Example:
        >>> target = gaussian(torch.tensor([[1.5, 0.5]]), (1, 3), sigma_cells=1.0)
        >>> (100 * target.heatmap.values).round().tolist()
        [[[61.0, 100.0, 61.0]]]
    """
    _check_kind(kind, off_frame)
    at = place(points, frame, state=state, off_frame=off_frame)
    grid = raster(frame)
    values = gaussian_maps(at, sigma_per_axis(sigma_cells, at.cells), grid.size, kind=kind, cut_sigmas=cut_sigmas)
    return TrainingMap(Heatmap(values, grid, kind), at.state)


def multi_scale(
    points: Points | Float[Tensor, "*b n 2"],
    frame: Frame | Size,
    *,
    sigmas: Sequence[float],
    reduce: Literal["mean", "max"] | None = None,
    kind: GaussianKind = "peak",
    state: Int[Tensor, "*b n"] | None = None,
    off_frame: OffFrame = "tail",
) -> TrainingMap:
    """Gaussian maps of points at several widths, side by side or made one.

    Args:
        points, frame, kind, state, off_frame: as of :func:`gaussian`.
        sigmas: standard deviations in cells.
        reduce: None: all widths; 'mean' or 'max' over them. The mean of peaks has peak 1 and that of probabilities sums
            to 1; the maximum does so for peaks alone.

    Returns:
        TrainingMap of (*batch, n, s, h, w) maps and (*batch, n, s) states, or, reduced, (*batch, n, h, w) and (*batch,
        n).

    Raises:
        OptionError: no sigmas, another reduction, the maximum of probabilities. And as :func:`gaussian`.

    Example:
        >>> multi_scale(torch.tensor([[2.0, 2.0]]), (4, 4), sigmas=[1.0, 2.0]).heatmap.values.shape
        torch.Size([1, 2, 4, 4])
    """
    _check_kind(kind, off_frame)
    if len(sigmas) == 0:
        raise OptionError("sigmas is empty; give at least one standard deviation in cells")
    if reduce not in (None, "mean", "max"):
        raise OptionError(f"reduce is {reduce!r}; expected None, 'mean' or 'max'")
    if reduce == "max" and kind == "probability":
        raise OptionError("the maximum of probability maps does not sum to 1; use reduce='mean', or kind='peak'")
    at = place(points, frame, state=state, off_frame=off_frame)
    grid = raster(frame)
    scales = [gaussian_maps(at, sigma_per_axis(sigma, at.cells), grid.size, kind=kind) for sigma in sigmas]
    if reduce is None:
        values, states = torch.stack(scales, -3), at.state[..., None].expand(*at.state.shape, len(scales))
    else:
        stacked, states = torch.stack(scales), at.state
        values = stacked.mean(0) if reduce == "mean" else stacked.amax(0)
    return TrainingMap(Heatmap(values, grid, kind), states)


def gaussian_maps(
    at: Placed, sigma: Float[Tensor, "*b n 2"], size: Size, *, kind: GaussianKind, cut_sigmas: float | None = None
) -> Float[Tensor, "*b n h w"]:
    """The maps of points in cells; zeros where a point is not shown."""
    if cut_sigmas is not None:
        return _cut(at, sigma, size, kind, cut_sigmas)
    gx, gy = (peak_vectors if kind == "peak" else probability_vectors)(at.cells, sigma, size)
    return outer(gx * at.shown[..., None], gy)  # hiding a vector hides the map, at a hundredth of the memory traffic


def _cut(at: Placed, sigma: Tensor, size: Size, kind: GaussianKind, cut_sigmas: float) -> Tensor:
    if not 0 < cut_sigmas < float("inf"):
        raise OptionError(f"cut_sigmas is {cut_sigmas}; expected a finite number above 0, or None for no cut")
    h, w = size
    ex, ey = axis_exponent(at.cells[..., 0], sigma[..., 0], w), axis_exponent(at.cells[..., 1], sigma[..., 1], h)
    exponent = ey[..., :, None] + ex[..., None, :]
    nearest = (ex.amax(-1) + ey.amax(-1))[..., None, None]
    kept = exponent >= torch.minimum(nearest, torch.as_tensor(-0.5 * cut_sigmas**2).to(nearest))
    if kind == "peak":
        values = exponent.exp()
    else:
        values = torch.where(kept, exponent, -torch.inf).flatten(-2).softmax(-1).view(exponent.shape)
    return torch.where(kept & at.shown[..., None, None], values, 0.0)


def _check_kind(kind: str, off_frame: str) -> None:
    if kind not in ("peak", "probability"):
        raise OptionError(f"kind is {kind!r}; expected 'peak' or 'probability'")
    if kind == "probability" and off_frame == "background":
        raise OptionError(
            "a probability map sums to 1, so it cannot say that there is nothing (off_frame='background'); "
            "use kind='peak', or off_frame 'tail', 'clip' or 'drop'"
        )
