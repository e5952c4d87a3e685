"""Orthographic views along the axes of a box: the best voxel and the posterior's marginals without a volume.

The score of a voxel is ``A[y, x] + B[z, y] + C[z, x]``. What is largest over x does not ask for B, and a marginal of
the posterior is a product of matrices: over z, ``exp(A) * (exp(B)^T @ exp(C))``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.decode.volume import SLAB, Field, walk

FARTHEST = 200.0
"""Nats by which a view may be surer elsewhere than at the best voxel: double holds a product of three."""


@dataclass(frozen=True, eq=False)
class Planes(Field):
    """Tables of the three planes, each the sum of the views that show it.

    Args:
        yx, zy, zx: (b, y, x), (b, z, y) and (b, z, x).
        views: (b, z, y, x) of every view, of length 1 along the axis that it does not show.
    """

    yx: Float[Tensor, "b y x"]
    zy: Float[Tensor, "b z y"]
    zx: Float[Tensor, "b z x"]
    views: tuple[Tensor, ...]

    @classmethod
    def of(cls, views: Sequence[Float[Tensor, "b _ _ _"]], voxels: tuple[int, int, int]) -> Planes:
        """The planes of views, (b, z, y, x) each, of length 1 along the axis that a view does not show."""
        nx, ny, nz = voxels
        planes: dict[int, Tensor] = {}  # by the axis that they do not show
        for table in views:
            hidden = next(i for i in (1, 2, 3) if table.shape[i] == 1)
            plane = table.squeeze(hidden)
            planes[hidden] = planes[hidden] + plane if hidden in planes else plane
        sizes = {1: (ny, nx), 3: (nz, ny), 2: (nz, nx)}
        yx, zy, zx = (planes[i] if i in planes else views[0].new_zeros(len(views[0]), *sizes[i]) for i in sizes)
        return cls(yx, zy, zx, tuple(views))

    def total(self, start: int, stop: int) -> Tensor:
        lines = self.zy[:, start:stop, :, None] + self.zx[:, start:stop, None]
        return lines.add_(self.yx[:, None]) if not lines.requires_grad else lines + self.yx[:, None]

    def each(self, index: Tensor) -> Tensor:
        picked = []
        for t in self.views:
            x, y, z = (index[..., i].clamp(max=t.shape[3 - i] - 1) for i in range(3))
            picked.append(t[torch.arange(len(t), device=t.device)[:, None], z, y, x])
        return torch.stack(picked, 1)

    @torch.no_grad()
    def best(self) -> Int[Tensor, "b 3"]:
        """The voxel (x, y, z) with the largest sum, the first of them in z, y, x."""
        b, nz, ny = self.zy.shape
        depth = max(1, min(SLAB // (self.yx[0].numel() * b), nz))
        slab = self.yx.new_empty(b, depth, *self.yx.shape[1:])
        lines = torch.empty_like(self.zy)
        for start in range(0, nz, depth):
            part = slice(start, min(start + depth, nz))
            sums = torch.add(self.yx[:, None], self.zx[:, part, None], out=slab[:, : part.stop - start])
            torch.add(sums.amax(-1), self.zy[:, part], out=lines[:, part])
        line = lines.flatten(1).argmax(1)
        z, y = line // ny, line % ny
        row = torch.arange(b, device=line.device)
        return torch.stack([(self.yx[row, y] + self.zx[row, z]).argmax(1), y, z], -1)

    def marginals(self, best: Int[Tensor, "b 3"]) -> tuple[Tensor, Tensor, Tensor] | None:
        """The posterior over (y, x), (z, x) and (z, y), each of sum 1; None where double cannot hold its numbers."""
        at = [
            (self.yx[i, y, x].detach(), self.zy[i, z, y].detach(), self.zx[i, z, x].detach())
            for i, (x, y, z) in enumerate(best.tolist())
        ]
        tables = self.yx, self.zy, self.zx
        tops = [t.detach().flatten(1).amax(1) for t in tables]
        if any(bool(top[i] - a[k] > FARTHEST) for i, a in enumerate(at) for k, top in enumerate(tops)):
            return None
        each = []
        for i, a in enumerate(at):  # one after the other: in double a batch takes more memory than all the rest
            yx, zy, zx = ((t[i] - value).double().exp() for t, value in zip(tables, a, strict=True))
            products = yx * (zy.T @ zx), zx * (zy @ yx), zy * (zx @ yx.T)
            each.append([(p / p.sum()).to(self.yx.dtype) for p in products])
        yx, zx, zy = (torch.stack(list(planes)) for planes in zip(*each, strict=True))
        return yx, zx, zy


def search(
    field: Planes, ranked: Planes, batch: int, voxels: tuple[int, int, int]
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """As :func:`isotherm.decode.volume.walk`, without the volume where that is exact."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # code that is traced cannot look at values
        return walk(field, ranked, batch, voxels)
    best = ranked.best()
    marginals = field.marginals(best if ranked is field else field.best())
    return (best, marginals) if marginals is not None else walk(field, ranked, batch, voxels)
