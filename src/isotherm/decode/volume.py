"""A volume of scores that is walked slab by slab and never held: its best voxel, its posterior's moments, the place
within.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor

SLAB = 1 << 18
"""Voxels looked at together: 1 MB per tensor, which stays in the cache and makes memory small."""


class Field(ABC):
    """Something known of every view at every voxel."""

    @abstractmethod
    def total(self, start: int, stop: int) -> Float[Tensor, "b z y x"]:
        """Its sum over views in the slab of voxels from ``start`` to ``stop`` along z."""

    @abstractmethod
    def each(self, index: Int[Tensor, "b k 3"]) -> Float[Tensor, "b v k"]:
        """Its value in each view at voxels (x, y, z)."""


def walk(
    field: Field, ranked: Field, batch: int, voxels: tuple[int, int, int]
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """The best voxel (b, 3) of ``ranked``, and the posterior of ``field`` over (y, x), (z, x) and (z, y), in one pass.

    Each slab is weighed against the largest score so far, as an online softmax does.
    """
    nx, ny, nz = voxels
    depth = max(1, SLAB // (nx * ny * batch))
    top = torch.full((batch,), float("-inf"))
    best: Tensor | None = None
    best_score: Tensor | None = None
    plane: Tensor | None = None
    rows, columns, tops = [], [], []
    for start in range(0, nz, depth):
        scores = field.total(start, min(start + depth, nz))
        with torch.no_grad():
            ranks = scores if ranked is field else ranked.total(start, min(start + depth, nz))
            here, place = ranks.flatten(1).max(1)
            place = place + start * ny * nx
            better = torch.ones_like(here, dtype=torch.bool) if best_score is None else here > best_score
            best = place if best is None else torch.where(better, place, best)
            best_score = here if best_score is None else torch.where(better, here, best_score)
            slab_top = here if ranked is field else scores.flatten(1).amax(1)
            before = top.to(slab_top)
            top = torch.maximum(before, slab_top)
        weights = (scores - top[:, None, None, None]).exp()
        rows.append(weights.sum(2))
        columns.append(weights.sum(3))
        tops.append(top.expand(weights.shape[1], batch))
        plane = weights.sum(1) if plane is None else plane * (before - top).exp()[:, None, None] + weights.sum(1)
    assert best is not None
    assert plane is not None
    shrink = (torch.cat(tops).T - top[:, None]).exp()[..., None]
    zx, zy = torch.cat(rows, 1) * shrink, torch.cat(columns, 1) * shrink
    index = torch.stack([best % nx, best // nx % ny, best // (nx * ny)], -1)
    return index, (plane, zx, zy)


def moments(yx: Tensor, zx: Tensor, zy: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (b, 3) and covariance (b, 3, 3), in edge-origin voxels, from marginals that need not sum to 1."""
    # centring in double: a variance of one voxel is 1e-5 of the squared coordinate
    yx, zx, zy = (p.double() / p.double().sum((1, 2), keepdim=True) for p in (yx, zx, zy))
    axes = [p.new_tensor(range(p.shape[i])) + 0.5 for p, i in ((yx, 2), (yx, 1), (zx, 1))]
    density = [yx.sum(1), yx.sum(2), zx.sum(2)]
    mean = torch.stack([(d * a).sum(1) for d, a in zip(density, axes, strict=True)], -1)
    off = [a - mean[:, i, None] for i, a in enumerate(axes)]
    xx, yy, zz = ((d * o.square()).sum(1) for d, o in zip(density, off, strict=True))
    xy, xz, yz = (torch.einsum("bij,bi,bj->b", p, off[i], off[j]) for p, i, j in ((yx, 1, 0), (zx, 2, 0), (zy, 2, 1)))
    return mean, torch.stack(
        [torch.stack([xx, xy, xz], -1), torch.stack([xy, yy, yz], -1), torch.stack([xz, yz, zz], -1)], -2
    )


def within(ranked: Field, best: Tensor, voxels: tuple[int, int, int], *, logarithm: bool) -> Tensor:
    """Where in the best voxel the maximum lies, (b, 3) from its centre: one Newton step on the 27 voxels around it.

    Exact where the logarithm of the score is quadratic. An axis on whose border the voxel lies stays at the centre, and
    a step that leaves the voxel or climbs nothing is cut: the voxel won.
    """
    around = torch.cartesian_prod(*[torch.arange(-1, 2)] * 3).to(best.device)
    last = best.new_tensor(voxels) - 1
    index = torch.minimum((best[:, None] + around).clamp(min=0), last)
    f = ranked.each(index).sum(1).double()
    f = (f.clamp(min=torch.finfo(torch.float32).tiny).log() if logarithm else f).unflatten(1, (3, 3, 3))
    inside = (best > 0) & (best < last)
    centre = f[:, 1, 1, 1]
    lines = f[:, :, 1, 1], f[:, 1, :, 1], f[:, 1, 1, :]
    planes = f[:, :, :, 1], f[:, :, 1, :], f[:, 1, :, :]
    gradient = torch.stack([(g[:, 2] - g[:, 0]) / 2 for g in lines], -1)
    second = [g[:, 2] - 2 * centre + g[:, 0] for g in lines]
    xy, xz, yz = ((g[:, 2, 2] - g[:, 2, 0] - g[:, 0, 2] + g[:, 0, 0]) / 4 for g in planes)
    xx, yy, zz = second
    hessian = torch.stack(
        [torch.stack([xx, xy, xz], -1), torch.stack([xy, yy, yz], -1), torch.stack([xz, yz, zz], -1)], -2
    )
    # rows and columns of axes on the border: a downward 1, so that they neither move nor pull
    both = inside[:, :, None] & inside[:, None, :]
    one = -torch.eye(3, dtype=f.dtype, device=f.device)
    hessian = torch.where(both, hessian, one)
    gradient = torch.where(inside, gradient, torch.zeros_like(gradient))
    minus = -hessian
    minors = torch.stack([minus[:, 0, 0], torch.linalg.det(minus[:, :2, :2]), torch.linalg.det(minus)], -1)
    peaked = (minors > 1e-12).all(-1)[:, None]
    step = torch.linalg.solve(torch.where(peaked[..., None], minus, -one), gradient)
    return torch.where(peaked, step, torch.zeros_like(step)).clamp(-0.5, 0.5)
