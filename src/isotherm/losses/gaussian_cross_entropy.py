"""Cross-entropy against the normalised Gaussians of points, whose maps are never made."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.frame import Frame, Size
from isotherm.jax.losses import gaussian_cross_entropy as jax_gaussian_cross_entropy
from isotherm.losses.blocks import by_blocks, cleared, may_keep
from isotherm.losses.groups import Groups, matched
from isotherm.losses.kernels import kernels_for
from isotherm.losses.read import read_labels
from isotherm.losses.reduce import Reduction, expect_reduction, reduced
from isotherm.ops.arrays import also_arrays
from isotherm.ops.gaussian import Sigma, probability_vectors
from isotherm.ops.place import OffFrame
from isotherm.points import Points


@also_arrays(jax_gaussian_cross_entropy)
def gaussian_cross_entropy(
    logits: Float[Tensor, "*b n h w"],
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
    """Cross-entropy of logits against the Gaussians of points, each map its own softmax; decode by the moment inverse.

    The target is never made: it is py px^T, so the loss is logsumexp(P) - py^T P px, and its gradient softmax(P) - py
    px^T. Nothing cancels. The target is normalised over the cells, so a point outside still draws on the cells next to
    it, where a cut Gaussian would be all zeros and the loss silently 0.

    Args:
        logits: (*batch, n, h, w) in any precision; sums are in float32 or more. A tensor, or a NumPy or JAX array; then
            the other arguments are arrays of the same library. ``groups`` is not for JAX.
        points, frame, sigma_cells, weight, groups: as of :func:`isotherm.losses.gaussian_mse`.
        state: (*batch, n) of :class:`isotherm.points.State`. UNLABELLED and ABSENT maps take no part: a distribution
            must lie somewhere. To learn absence, supervise a score beside the map, or use peak maps.
        off_frame: 'tail', 'clip' or 'drop', see :data:`isotherm.ops.place.OffFrame`.
        reduction: 'mean' over the maps that take part, 'sum', or 'none': (*batch, n).

    Returns:
        The loss, in nats, differentiable in logits, points and sigma_cells, twice too: a Tensor. Of JAX
        arrays a JAX array; of NumPy arrays a NumPy number, or an array where ``reduction`` is 'none'. Its floor is the
        entropy of the target, ln(2 pi e sigma^2) for a Gaussian well inside, and not 0; a collapsed, uniform map has
        ln(h w).

    Raises:
        ShapeError: parts that do not fit one another.
        OptionError: sigma, policy, groups or reduction.

    Source: cross-entropy, Bishop, "Pattern recognition and machine learning" (2006), eq. 4.108, with a separable
    target.

    Example:
        >>> logits = torch.zeros(1, 4, 4)
        >>> gaussian_cross_entropy(logits, torch.tensor([[2.0, 2.0]]), sigma_cells=1.0)   # ln 16
        tensor(2.7726)
    """
    expect_reduction(reduction)
    if off_frame == "background":
        raise OptionError(
            "a distribution cannot say that there is nothing (off_frame='background'); use 'tail', 'clip' or 'drop', or gaussian_mse"
        )
    labels = read_labels(logits, points, frame, sigma_cells=sigma_cells, state=state, off_frame=off_frame)
    if groups:
        labels, weight = matched(logits, labels, weight, groups, loss="cross_entropy")
    h, w = logits.shape[-2:]
    px, py = probability_vectors(labels.cells, labels.sigma, (h, w))
    return reduced(log_loss(logits, px, py, labels.shown), labels.shown, weight=weight, reduction=reduction)


def log_loss(
    logits: Float[Tensor, "*b n h w"],
    px: Float[Tensor, "*b n w"],
    py: Float[Tensor, "*b n h"],
    active: Bool[Tensor, "*b n"],
) -> Float[Tensor, "*b n"]:
    """logsumexp(P) - py^T P px, one per map; 0 with gradients of 0 where a map is not active. py and px sum to 1."""
    keep = torch.is_grad_enabled() and logits.requires_grad
    each: Tensor = _LogLoss.apply(logits, px, py, active, keep)[0]  # type: ignore[no-untyped-call]
    return each


class _LogLoss(torch.autograd.Function):
    """Identity form. The exponentials become the gradient in place, so one array of their size is all that is ever
    made.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, px: Tensor, py: Tensor, active: Tensor, keep: bool) -> tuple[Tensor, Tensor]:
        ctx.exponentials = None
        kernels = kernels_for(logits)
        if kernels is not None:
            there, total = kernels.log_loss(logits, px, py, active)
            top = total
        else:
            there = by_blocks(_at_target, logits, px, py)
            top = _highest(logits).to(px.dtype)
            if keep and may_keep(logits, px):
                ctx.exponentials = _exponentials(logits, top)
                sums = ctx.exponentials.sum((-2, -1))
            else:
                sums = by_blocks(lambda *parts: _exponentials(*parts).sum((-2, -1)), logits, top)
            total = sums.log_().add_(top)
        ctx.mark_non_differentiable(total)
        ctx.save_for_backward(logits, px, py, active, top, total)
        return torch.where(active, total - there, 0.0), total

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        logits, px, py, active, top, total = ctx.saved_tensors
        factor = torch.where(active, upstream, 0.0)
        # given away: a second backward pass through the same graph makes them anew
        exponentials, ctx.exponentials = ctx.exponentials, None
        for_logits = for_px = for_py = None
        # with create_graph=True the gradient is differentiated again, so it must be made of plain steps
        if torch.is_grad_enabled():
            share = logits.to(px.dtype).flatten(-2).softmax(-1).view(logits.shape)
            grown = torch.where(active[..., None, None], share - py[..., :, None] * px[..., None, :], 0.0)
            for_logits = (grown * factor[..., None, None]).to(logits.dtype)
        elif exponentials is not None:
            for_logits = cleared(_to_gradient(exponentials, px, py, factor, (top - total).exp()), active)
        elif ctx.needs_input_grad[0]:
            kernels = kernels_for(logits)
            if kernels is not None:
                for_logits = kernels.log_loss_gradient(logits, px, py, active, factor, total)
            else:
                for_logits = cleared(by_blocks(_gradient, logits, top, px, py, factor, (top - total).exp()), active)
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            maps = torch.where(active[..., None, None], logits, 0.0).to(px.dtype)
            with torch.autocast(maps.device.type, enabled=False):
                for_px = -factor[..., None] * (py[..., None, :] @ maps)[..., 0, :]
                for_py = -factor[..., None] * (maps @ px[..., :, None])[..., :, 0]
        return for_logits, for_px, for_py, None, None


def _at_target(logits: Tensor, px: Tensor, py: Tensor) -> Tensor:
    """py^T P px. Rows first: columns first would walk over the map against its order, 4 to 8 times slower
    (measured).
    """
    with torch.autocast(logits.device.type, enabled=False):
        return ((py[..., None, :] @ logits.to(px.dtype))[..., 0, :] * px).sum(-1)


def _highest(logits: Tensor) -> Tensor:
    """Of each map, or 0 where nothing in it is finite: -inf minus -inf would be no number."""
    top = logits.amax((-2, -1))
    return torch.where(top.isfinite(), top, 0.0)


def _exponentials(logits: Tensor, top: Tensor) -> Tensor:
    return (logits - top[..., None, None]).exp_()


def _gradient(logits: Tensor, top: Tensor, px: Tensor, py: Tensor, factor: Tensor, rest: Tensor) -> Tensor:
    # the same steps as with exponentials that were kept, so that a second backward pass gives the same bits
    return _to_gradient(_exponentials(logits, top), px, py, factor, rest).to(logits.dtype)


def _to_gradient(exponentials: Tensor, px: Tensor, py: Tensor, factor: Tensor, rest: Tensor) -> Tensor:
    """factor (rest e - py px^T), in place; rest makes exponentials sum to 1."""
    grown = exponentials.mul_((factor * rest)[..., None, None])
    return grown.addcmul_((py * factor[..., None])[..., :, None], px[..., None, :], value=-1)
