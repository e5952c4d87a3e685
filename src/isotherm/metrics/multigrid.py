"""A multigrid cycle for ROAD's imputation system: the approximate inverse that makes its solution a matter of few
steps.

The unknowns are the removed pixels. Each equals the weighted mean of its neighbours, 1/6 for the four direct and
1/12 for the four diagonal ones, renormalised at the border of the picture:

    (sum_o w_o) x_i - sum_{o: i+o removed} w_o x_{i+o}  =  sum_{o: i+o kept} w_o x_{i+o}

a symmetric positive definite system, a discrete Laplacian with the kept pixels as boundary. On a hole of a hundred
pixels plain iterations need hundreds of sweeps. Here every second pixel of a level is a node of the next, values
between nodes are interpolated bilinearly (0 on kept pixels), and each level's equations are the Galerkin product
P^T A P, which stay 9-point stencils. That never makes the error larger in the energy norm, however ragged the holes,
so conjugate gradients with one V-cycle as preconditioner converge in five to ten steps
(Trottenberg, Oosterlee & Schueller, "Multigrid", 2001, sections 2.2 and 7.7).

Everything is written into buffers that are kept, through views that are kept: fresh memory of this size costs more
time in the operating system than the arithmetic, and on small grids slicing costs more than adding.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise, product
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.frame import Size

OFFSETS = tuple(product((-1, 0, 1), (-1, 0, 1)))
"""(dy, dx) of the nine points of a stencil, row by row; the fifth is the pixel itself."""
WEIGHTS = (1 / 12, 1 / 6, 1 / 12, 1 / 6, 0.0, 1 / 6, 1 / 12, 1 / 6, 1 / 12)
"""ROAD's weight of each: 1/6 beside, above and below, 1/12 on the diagonals."""
COARSEST = 200
"""Nodes below which a level is inverted directly."""


def neighbours(padded: Float[Tensor, "*b H W"]) -> list[Tensor]:
    """The nine neighbours of every cell, as views into an array with one cell more on every side."""
    h, w = padded.shape[-2] - 2, padded.shape[-1] - 2
    return [padded[..., 1 + dy : 1 + dy + h, 1 + dx : 1 + dx + w] for dy, dx in OFFSETS]


def weight_sum(size: Size, *, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "h w"]:
    """What the weights of a pixel's neighbours within the picture add up to: 1 inside, less at the border."""
    inside = F.pad(torch.ones(size, dtype=dtype, device=device), (1, 1, 1, 1))
    return torch.stack([weight * view for weight, view in zip(WEIGHTS, neighbours(inside), strict=True)]).sum(0)


class Smear:
    """[1 2 1] x [1 2 1] around every pixel: 12 times the weighted sum of its neighbours, plus 4 times the pixel.

    Args:
        padded: (n, c, h + 2, w + 2) what is smeared, read anew at every call; its rim stays 0.
    """

    def __init__(self, padded: Float[Tensor, "n c H W"]) -> None:
        self._columns = [padded[..., i : padded.shape[-1] - 2 + i] for i in range(3)]
        self._sums = torch.empty_like(self._columns[0])
        self._rows = [self._sums[..., i : padded.shape[-2] - 2 + i, :] for i in range(3)]
        self._out = torch.empty_like(self._rows[0])

    def __call__(self) -> Float[Tensor, "n c h w"]:
        """The result is a buffer: it may be changed, and lasts until the next call."""
        left, middle, right = self._columns
        torch.add(left, right, out=self._sums).add_(middle, alpha=2)
        above, here, below = self._rows
        return torch.add(above, below, out=self._out).add_(here, alpha=2)


class VCycle:
    """An approximate inverse of ROAD's system, symmetric and positive definite, in float32.

    Args:
        systems: how many at once.
        channels: right-hand sides per system.
        size: (h, w) of the pictures.
    """

    def __init__(self, systems: int, channels: int, size: Size, device: torch.device) -> None:
        self.finest = _Finest(systems, channels, size, device)
        self._levels: list[_Level] = [self.finest]
        while size[0] * size[1] > COARSEST:
            size = (size[0] + 1) // 2, (size[1] + 1) // 2
            self._levels.append(_Level(systems, channels, size, device))
            self._levels[-2].link(self._levels[-1])

    def set(self, removed: Bool[Tensor, "n h w"]) -> None:
        """Choose the systems: which pixels are unknown. Earlier results are lost."""
        self.finest.set_unknown(removed)
        for fine, coarse in pairwise(self._levels):
            coarse.set_stencil(fine.galerkin())
        self._inverse = _dense_inverse(self._levels[-1].stencil)

    def __call__(self, residual: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """About what the error is whose residual this is. The result is a buffer: it lasts until the next call."""
        return self._cycle(0, residual)

    def _cycle(self, depth: int, right: Tensor) -> Tensor:
        level = self._levels[depth]
        if depth == len(self._levels) - 1:
            level.x.copy_((right.flatten(2) @ self._inverse).unflatten(2, level.size))
            return level.x
        torch.mul(right, level.smooth, out=level.x)
        level.residual(right).mul_(level.spread)
        level.restrict()
        self._cycle(depth + 1, self._levels[depth + 1].right)
        level.x.addcmul_(level.prolong(), level.spread)
        level.x.addcmul_(level.residual(right), level.smooth)
        return level.x


class _Level:
    """One grid: its equations, its smoother, its buffers and its way to the next coarser one.

    Attributes:
        stencil: (n, 9, h, w) coefficients in the order of OFFSETS.
        smooth: (n, 1, h, w) what a residual is multiplied by in a smoothing step; 0 where there is no unknown.
        spread: (n, 1, h, w) factor of interpolated values: 0 on kept pixels; 2 where a last row or column has no node
            behind it, so that constants stay constants at the border.
    """

    def __init__(self, systems: int, channels: int, size: Size, device: torch.device) -> None:
        h, w = self.size = size
        self.padded = torch.zeros(systems, channels, h + 2, w + 2, device=device)
        self.x = self.padded[..., 1:-1, 1:-1]
        self.right = torch.zeros(systems, channels, h, w, device=device)
        self._residual = torch.zeros_like(self.right)
        self.stencil = torch.zeros(systems, 9, h, w, device=device)
        self._terms = list(zip(self.stencil.split(1, dim=1), neighbours(self.padded), strict=True))
        self.smooth = torch.zeros(systems, 1, h, w, device=device)
        self.border = torch.ones(1, 1, h, w, device=device)
        if h % 2 == 0:
            self.border[..., -1, :] *= 2
        if w % 2 == 0:
            self.border[..., :, -1] *= 2
        self.spread = self.border.expand(systems, -1, -1, -1)
        self._between = torch.zeros_like(self.stencil)

    def set_stencil(self, stencil: Tensor) -> None:
        """Take over equations; smooth by Jacobi so damped that by Gershgorin no eigenvalue exceeds 1.5."""
        self.stencil.copy_(stencil)
        bound = stencil.abs().sum(1, keepdim=True)
        self.smooth = torch.where(bound > 0, 1.5 / bound.clamp(min=torch.finfo(bound.dtype).tiny), 0.0)

    def residual(self, right: Tensor) -> Tensor:
        """right - A x, in a buffer."""
        out = self._residual.copy_(right)
        for coefficient, values in self._terms:
            out.addcmul_(coefficient, values, value=-1)
        return out

    def scaled_stencil(self) -> Tensor:
        """The equations between interpolated values, diag(spread) A diag(spread), in a buffer."""
        return _products(self.spread, self._between).mul_(self.stencil)

    def galerkin(self) -> Float[Tensor, "n 9 k l"]:
        """P^T A P, the equations of the next coarser grid; P = diag(spread) times bilinear interpolation."""
        # accelerators convolve float32 in ten bits, and a Laplacian with such weights is no longer definite
        dtype = torch.float64 if self.stencil.is_cuda else torch.float32
        scaled = self.scaled_stencil().to(dtype)
        return F.conv2d(scaled, _galerkin_kernel().to(scaled), stride=2, padding=1).to(self.stencil.dtype)

    def link(self, below: _Level) -> None:
        """Prepare the ways down and up between this grid and the next coarser one."""
        n, c, h, _ = self.right.shape
        half = self.right.new_zeros(n, c, h, below.size[1])
        self._enlarged = torch.zeros_like(self.right)
        self._down = _Line.along(-1, self._residual, half), _Line.along(-2, half, below.right)
        self._up = _Line.along(-2, half, below.x), _Line.along(-1, self._enlarged, half)

    def restrict(self) -> None:
        """The residual's buffer, gathered into the coarser level's right-hand side."""
        for line in self._down:
            line.gather()

    def prolong(self) -> Tensor:
        """The coarser level's x, enlarged, in a buffer."""
        for line in self._up:
            line.scatter()
        return self._enlarged


class _Finest(_Level):
    """The picture's own grid, where the weights are the same everywhere and only the unknowns differ."""

    def __init__(self, systems: int, channels: int, size: Size, device: torch.device) -> None:
        super().__init__(systems, channels, size, device)
        self.total = weight_sum(size, dtype=torch.float32, device=device)
        self._coefficients = -torch.tensor(WEIGHTS, device=device)[:, None, None].repeat(1, *size)
        self._coefficients[4] = self.total
        self._smear = Smear(self.padded)

    def set_unknown(self, removed: Bool[Tensor, "n h w"]) -> None:
        """Choose which pixels are unknown."""
        unknown = removed[:, None].float()
        self.spread = self.border * unknown
        # plain Jacobi smooths this stencil by a factor of 1/3 per sweep, so no damping is needed
        self.smooth = unknown / self.total
        self.diagonal, self.twelfth = (self.total + 1 / 3) * unknown, unknown / 12
        if self.size[0] * self.size[1] <= COARSEST:
            torch.mul(_products(unknown, self._between), self._coefficients, out=self.stencil)

    def scaled_stencil(self) -> Tensor:
        return _products(self.spread, self._between).mul_(self._coefficients)

    def residual(self, right: Tensor) -> Tensor:
        out = self._residual.copy_(right).addcmul_(self.diagonal, self.x, value=-1)
        return out.addcmul_(self.twelfth, self._smear())


class _Line(NamedTuple):
    """Linear interpolation along one direction, as views: node J is the fine cell 2 J."""

    coarse: Tensor
    even: Tensor
    odd: Tensor
    odd_with_right: Tensor
    left: Tensor
    right: Tensor

    @classmethod
    def along(cls, dim: int, fine: Tensor, coarse: Tensor) -> _Line:
        even, odd = (fine[..., ::2], fine[..., 1::2]) if dim == -1 else (fine[..., ::2, :], fine[..., 1::2, :])
        n = odd.shape[dim]
        both = min(n, coarse.shape[dim] - 1)
        return cls(coarse, even, odd, odd.narrow(dim, 0, both), coarse.narrow(dim, 0, n), coarse.narrow(dim, 1, both))

    def scatter(self) -> None:
        """coarse -> fine: nodes as they are, the mean of two between them."""
        self.even.copy_(self.coarse)
        torch.mul(self.left, 0.5, out=self.odd)
        self.odd_with_right.add_(self.right, alpha=0.5)

    def gather(self) -> None:
        """fine -> coarse: the transpose of :meth:`scatter`."""
        self.coarse.copy_(self.even)
        self.left.add_(self.odd, alpha=0.5)
        self.right.add_(self.odd_with_right, alpha=0.5)


def _products(values: Float[Tensor, "n 1 h w"], out: Float[Tensor, "n 9 h w"]) -> Float[Tensor, "n 9 h w"]:
    """Each cell's value times that of each of its nine neighbours."""
    for part, view in zip(out.split(1, dim=1), neighbours(F.pad(values, (1, 1, 1, 1))), strict=True):
        torch.mul(values, view, out=part)
    return out


@cache
def _galerkin_kernel() -> Float[Tensor, "9 9 3 3"]:
    """From the nine coefficients of fine cells around a node to the node's own nine: a strided convolution.

    Fine cell 2 J + a belongs to node J with linear weight b(a); its neighbour at o lies at a + o - 2 d from node J + d.
    """
    linear = {-1: 0.5, 0: 1.0, 1: 0.5}
    kernel = torch.zeros(9, 9, 3, 3, dtype=torch.float64)
    for (d, (dy, dx)), (o, (oy, ox)), (ay, ax) in product(enumerate(OFFSETS), enumerate(OFFSETS), OFFSETS):
        by, bx = ay + oy - 2 * dy, ax + ox - 2 * dx
        if by in linear and bx in linear:
            kernel[d, o, ay + 1, ax + 1] = linear[ay] * linear[ax] * linear[by] * linear[bx]
    return kernel


def _dense_inverse(stencil: Float[Tensor, "n 9 h w"]) -> Float[Tensor, "n k k"]:
    n, _, h, w = stencil.shape
    index = torch.arange(h * w, device=stencil.device).reshape(h, w)
    matrix = stencil.new_zeros(n, h * w, h * w)
    for (dy, dx), coefficient in zip(OFFSETS, stencil.unbind(1), strict=True):
        ys, xs = slice(max(0, -dy), h - max(0, dy)), slice(max(0, -dx), w - max(0, dx))
        to = index[max(0, dy) : h + min(0, dy), max(0, dx) : w + min(0, dx)]
        matrix[:, index[ys, xs].flatten(), to.flatten()] = coefficient[:, ys, xs].flatten(1)
    # nodes without an unknown around them get the equation x = 0; the others a hair of ridge against rounding
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    idle = diagonal <= 0
    matrix = matrix + torch.diag_embed(torch.where(idle, 1.0, 1e-6 * diagonal))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(matrix))
    return inverse.masked_fill(idle[:, None, :] | idle[:, :, None], 0.0)
