"""Channels whose points may be exchanged, such as the two ends of a line: the assignment with the least loss counts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.frame import Frame, Size
from isotherm.losses.read import Labels, expect_maps, read_labels
from isotherm.ops.gaussian import Sigma, peak_vectors, probability_vectors
from isotherm.ops.place import OffFrame
from isotherm.points import Points

Groups = Sequence[Sequence[int]]
"""Sets of channels, such as ((0, 1), (2, 3)); a channel is in one of them at most."""
Loss = Literal["mse", "cross_entropy"]
ENUMERATED = 5
"""Groups up to this size try all orders at once, 120 of them, on the device; larger ones are solved by SciPy on the
CPU.
"""
Weight = TypeVar("Weight", Tensor, None)


@torch.no_grad()
def assign(
    maps: Float[Tensor, "*b n h w"],
    points: Points | Float[Tensor, "*b n 2"],
    frame: Frame | Size | None = None,
    *,
    groups: Groups,
    loss: Loss,
    sigma_cells: Sigma,
    state: Int[Tensor, "*b n"] | None = None,
    weight: Float[Tensor, "*b n"] | None = None,
    off_frame: OffFrame = "tail",
) -> Int[Tensor, "*b n"]:
    """Which point each map shall show, so that the sum of the losses over every group is least; exactly the least.

    The costs of all pairs in a group are bilinear forms of the Gaussians' two vectors, so no map of any pair is made.

    Args:
        maps, points, frame, sigma_cells, state, weight, off_frame: as of :func:`isotherm.losses.gaussian_mse`. States,
            weights and sigmas belong to the points and go where they go.
        groups: see :data:`Groups`.
        loss: whose sum shall be least.

    Returns:
        (*batch, n): the number of the point for each map; its own number outside of the groups. It has no gradient: the
        loss is differentiated through the assignment chosen.

    Raises:
        OptionError: channels that do not exist or appear twice, or another loss.
        ShapeError: parts that do not fit.

    Source: permutation-invariant training, Yu et al. (ICASSP 2017), section 2; here without k^2 maps.

    Example:
        >>> logits = torch.tensor([[[9.0, 0.0, 0.0]], [[0.0, 0.0, 9.0]]])
        >>> ends = torch.tensor([[2.5, 0.5], [0.5, 0.5]])
        >>> assign(logits, ends, groups=[(0, 1)], loss="cross_entropy", sigma_cells=0.5).tolist()
        [1, 0]
    """
    labels = read_labels(maps, points, frame, sigma_cells=sigma_cells, state=state, off_frame=off_frame)
    return _order(maps, labels, weight, groups, loss)


def matched(
    maps: Tensor, labels: Labels, weight: Tensor | None, groups: Groups, *, loss: Loss
) -> tuple[Labels, Tensor | None]:
    """Labels and weights in the order of the maps that they are assigned to."""
    with torch.no_grad():
        order = _order(maps, labels, weight, groups, loss)
    pairs = order[..., None].expand(*order.shape, 2)
    moved = Labels(
        labels.cells.gather(-2, pairs),
        labels.sigma.gather(-2, pairs),
        labels.active.gather(-1, order),
        labels.shown.gather(-1, order),
    )
    return moved, None if weight is None else weight.gather(-1, order)


def _order(maps: Tensor, labels: Labels, weight: Tensor | None, groups: Groups, loss: Loss) -> Tensor:
    size = expect_maps(maps)
    count = maps.shape[-3]
    _expect_groups(groups, count, loss)
    order = torch.arange(count, device=maps.device).expand(maps.shape[:-2]).clone()
    for group in groups:
        channels = torch.tensor(list(group), device=maps.device)
        cost = _costs(
            maps[..., channels, :, :],
            Labels(*(part[..., channels, :] if part.ndim > order.ndim else part[..., channels] for part in labels)),
            size,
            loss,
        )
        if weight is not None:
            cost = cost * weight[..., None, channels].to(cost)
        order[..., channels] = channels[_least(cost)]
    return order


def _costs(maps: Tensor, labels: Labels, size: Size, loss: Loss) -> Tensor:
    """(*batch, map, point) losses, up to a sum that is the same for every assignment."""
    vectors = peak_vectors if loss == "mse" else probability_vectors
    gx, gy = vectors(labels.cells, labels.sigma, size)
    with torch.autocast(maps.device.type, enabled=False):
        maps = maps.to(gx.dtype)
        # gy_j^T P_i gx_j for all i, j: the rows of every map against all gy at once
        across = gy[..., None, :, :] @ maps
        there = (across * gx[..., None, :, :]).sum(-1)
    if loss == "cross_entropy":
        cost, counts = maps.logsumexp((-2, -1))[..., :, None] - there, labels.shown
    else:
        # less the squares of the Gaussians, which are the same in every assignment
        drawn = torch.where(labels.shown[..., None, :], -2 * there, 0.0)
        cost, counts = torch.linalg.vector_norm(maps, dim=(-2, -1)).square()[..., :, None] + drawn, labels.active
    # a point that takes no part costs nothing wherever it goes, so the others choose freely
    return torch.where(counts[..., None, :], cost, 0.0)


def _least(cost: Tensor) -> Tensor:
    """(*batch, k, k) costs -> (*batch, k): the point of each map, by the least sum."""
    k = cost.shape[-1]
    if k > ENUMERATED:
        return _solved(cost)
    orders = torch.tensor(list(itertools.permutations(range(k))), device=cost.device)
    sums = cost[..., torch.arange(k, device=cost.device), orders].sum(-1)
    return orders[sums.argmin(-1)]


def _solved(cost: Tensor) -> Tensor:
    from scipy.optimize import linear_sum_assignment

    k = cost.shape[-1]
    # a map that holds no numbers has no best point: any will do, and its loss says NaN by itself
    flat = torch.nan_to_num(cost.double().cpu().reshape(-1, k, k)).numpy()
    columns = [torch.from_numpy(linear_sum_assignment(one)[1]) for one in flat]
    stacked = torch.stack(columns) if columns else torch.zeros(0, k, dtype=torch.long)
    return stacked.view(cost.shape[:-1]).to(cost.device)


def _expect_groups(groups: Groups, count: int, loss: str) -> None:
    if loss not in ("mse", "cross_entropy"):
        raise OptionError(f"loss is {loss!r}; expected 'mse' or 'cross_entropy'")
    channels = [channel for group in groups for channel in group]
    bad = [channel for channel in channels if not 0 <= channel < count]
    if bad:
        raise OptionError(f"groups name channel {bad[0]}, but there are {count}, numbered from 0")
    if len(set(channels)) != len(channels):
        twice = next(channel for channel in channels if channels.count(channel) > 1)
        raise OptionError(f"groups name channel {twice} twice; a point can be exchanged within one group only")
