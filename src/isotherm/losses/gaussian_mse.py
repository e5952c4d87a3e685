"""Mean squared error against the Gaussians of points, whose maps are never made."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.frame import Frame, Size
from isotherm.jax.losses import gaussian_mse as jax_gaussian_mse
from isotherm.losses.blocks import by_blocks, cleared, may_keep
from isotherm.losses.groups import Groups, matched
from isotherm.losses.kernels import kernels_for
from isotherm.losses.read import read_labels
from isotherm.losses.reduce import Reduction, expect_reduction, reduced
from isotherm.ops.arrays import also_arrays
from isotherm.ops.gaussian import Sigma, peak_vectors
from isotherm.ops.place import OffFrame
from isotherm.points import Points


@also_arrays(jax_gaussian_mse)
def gaussian_mse(
    pred: Float[Tensor, "*b n h w"],
    points: Points | Float[Tensor, "*b n 2"],
    frame: Frame | Size | None = None,
    *,
    sigma_cells: Sigma,
    state: Int[Tensor, "*b n"] | None = None,
    weight: Float[Tensor, "*b n"] | None = None,
    off_frame: OffFrame = "tail",
    groups: Groups = (),
    reduction: Reduction = "mean",
) -> Float[Tensor, "*r"]:
    """Mean squared error of peak maps against the Gaussians (peak 1) of points; decode such maps by least squares.

    The target is never made: the residual is pred - gy gx^T, and the residual is the gradient but for a factor. Beyond
    the prediction and its gradient it takes memory for h + w numbers per map.

    Args:
        pred: (*batch, n, h, w) peak maps in any precision; sums are in float32 or more. A tensor, or a NumPy or JAX
            array; then the other arguments are arrays of the same library. ``groups`` is not for JAX.
        points: (*batch, n, 2) (x, y) in source pixels, edge-origin, or Points with states of their own.
        frame: of the maps, single or batched as their first dimensions. None or a size (h, w): the points are in cells.
        sigma_cells: standard deviation in cells: a number, (*batch, n), or (*batch, n, 2) along x and y.
        state: (*batch, n) of :class:`isotherm.points.State`; all LABELLED unless given. LABELLED, OCCLUDED and
            OUT_OF_FRAME points shall show their Gaussian, or what of it reaches in; ABSENT maps shall be 0 everywhere;
            UNLABELLED ones take no part, whatever is in them and in their points.
        weight: (*batch, n) factor of every map.
        off_frame: what a point outside of the raster asks for, see :data:`isotherm.ops.place.OffFrame`.
        groups: channels whose points may be exchanged, such as the two ends of a line, ((0, 1), (2, 3)): the assignment
            with the least loss counts, see :func:`isotherm.losses.assign`.
        reduction: 'mean' over the cells of the maps that take part; 'sum' over cells and maps; 'none': (*batch, n), a
            mean over the cells of each.

    Returns:
        The loss, differentiable in pred, points and sigma_cells, twice too: a Tensor. Of JAX
        arrays a JAX array; of NumPy arrays a NumPy number, or an array where ``reduction`` is 'none'.

    Raises:
        ShapeError: parts that do not fit one another.
        OptionError: sigma, policy, groups or reduction.

    Source: Tompson et al. (NIPS 2014), section 3, eq. 4; in the residual form. The expanded square ||P||^2 - 2 gy^T P
    gx +
    ||g||^2 needs no residual, but cancels: at residuals of 1e-4 float32 is off by 12 % of it (64 x 64 cells, sigma 2).

    Example:
        >>> pred = torch.zeros(1, 1, 3)
        >>> gaussian_mse(pred, torch.tensor([[1.5, 0.5]]), sigma_cells=0.1)
        tensor(0.3333)
    """
    expect_reduction(reduction)
    labels = read_labels(pred, points, frame, sigma_cells=sigma_cells, state=state, off_frame=off_frame)
    if groups:
        labels, weight = matched(pred, labels, weight, groups, loss="mse")
    h, w = pred.shape[-2:]
    gx, gy = peak_vectors(labels.cells, labels.sigma, (h, w))
    # hiding a vector hides the map, at a hundredth of the memory traffic
    each = squared_error(pred, gx, gy * labels.shown[..., None], labels.active)
    cells = 1 if reduction == "sum" else h * w
    return reduced(each / cells, labels.active, weight=weight, reduction=reduction)


def squared_error(
    pred: Float[Tensor, "*b n h w"],
    gx: Float[Tensor, "*b n w"],
    gy: Float[Tensor, "*b n h"],
    active: Bool[Tensor, "*b n"],
) -> Float[Tensor, "*b n"]:
    """Sum over cells of (pred - gy gx^T)^2, one per map; 0 with gradients of 0 where a map is not active."""
    keep = torch.is_grad_enabled() and pred.requires_grad
    each: Tensor = _SquaredError.apply(pred, gx, gy, active, keep)  # type: ignore[no-untyped-call]
    return each


class _SquaredError(torch.autograd.Function):
    """Residual form. The residual becomes the gradient in place, so one array of its size is all that is ever made."""

    @staticmethod
    def forward(ctx: Any, pred: Tensor, gx: Tensor, gy: Tensor, active: Tensor, keep: bool) -> Tensor:
        ctx.save_for_backward(pred, gx, gy, active)
        ctx.residual = None
        kernels = kernels_for(pred)
        if kernels is not None:
            return kernels.squared_error(pred, gx, gy, active)
        if keep and may_keep(pred, gx):
            ctx.residual = _residual(pred, gx, gy)
            each = _squares(ctx.residual)
        else:
            each = by_blocks(lambda *parts: _squares(_residual(*parts)), pred, gx, gy)
        return torch.where(active, each, 0.0)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        pred, gx, gy, active = ctx.saved_tensors
        factor = torch.where(active, 2 * upstream, 0.0)
        # given away: a second backward pass through the same graph makes it anew
        residual, ctx.residual = ctx.residual, None
        for_pred = for_gx = for_gy = None
        # with create_graph=True the gradient is differentiated again, so it must be made of plain steps
        if torch.is_grad_enabled() or ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            grown = torch.where(active[..., None, None], _residual(pred, gx, gy), 0.0) * factor[..., None, None]
            for_pred = grown.to(pred.dtype)
            with torch.autocast(pred.device.type, enabled=False):
                for_gx = -(gy[..., None, :] @ grown)[..., 0, :]
                for_gy = -(grown @ gx[..., :, None])[..., :, 0]
        elif residual is not None:
            for_pred = cleared(residual.mul_(factor[..., None, None]), active)
        else:
            kernels = kernels_for(pred)
            if kernels is not None:
                for_pred = kernels.squared_error_gradient(pred, gx, gy, active, factor)
            else:
                for_pred = cleared(by_blocks(_gradient, pred, gx, gy, factor), active)
        return for_pred, for_gx, for_gy, None, None


def _residual(pred: Tensor, gx: Tensor, gy: Tensor) -> Tensor:
    return torch.addcmul(pred.to(gx.dtype), gy[..., :, None], gx[..., None, :], value=-1)


def _squares(residual: Tensor) -> Tensor:
    return torch.linalg.vector_norm(residual, dim=(-2, -1)).square()


def _gradient(pred: Tensor, gx: Tensor, gy: Tensor, factor: Tensor) -> Tensor:
    # the same steps as with a residual that was kept, so that a second backward pass gives the same bits
    return _residual(pred, gx, gy).mul_(factor[..., None, None]).to(pred.dtype)
