"""First principal component of a feature map, without a singular value decomposition.

A (cells x channels) matrix has as many right singular vectors as channels, and a map needs one. It is the top
eigenvector of a Gram matrix of the *smaller* side; that is two orders of magnitude less work than the full
decomposition that other packages ask for, and it batches.

A singular vector's sign is arbitrary. Here it is fixed: the component correlates positively with the mean over
channels of what is projected, so that "more" in the map is "more activation", on every machine.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.errors import ShapeError

Kernel = Literal["sigmoid", "rbf", "linear"]

EIGH_UP_TO = 128
"""Larger matrices go through Lanczos iteration, which needs 30 to 100 products with the matrix."""
CHECKS = (32, 64, 128, 192)
"""Steps of the iteration after which it is asked whether it has converged; white noise takes over 100."""
MAX_KERNEL_CELLS = 10_000
"""A kernel matrix of so many cells squared takes 400 MB; more is refused."""


def first_component(features: Float[Tensor, "b c *m h w"]) -> Float[Tensor, "b *m h w"]:
    """Projection of each cell's centred features on their first right singular vector.

    Args:
        features: (b, c, h, w), or of clips (b, c, m, h, w). Half precision is widened to float32.

    Returns:
        (b, h, w), mean 0 over the cells, positively correlated with the channel mean; 0 where all cells are equal. A
        map with a value that is not finite has no principal component: NaN throughout.

    Source: Muhammad & Yeasin, "Eigen-CAM" (IJCNN 2020), eq. 4; centred per channel as principal components are.
    """
    scaled, scale_b, known_b = _unit_scaled(_widened(features))
    x_bcn = _centred(scaled)
    b, c, n = x_bcn.shape
    if c <= n:
        top = top_eigenvector(x_bcn @ x_bcn.mT)
        component = (top[:, None] @ x_bcn)[:, 0]
    else:
        # the Gram matrix of the other side has the left singular vector u, and X v = sigma u
        gram = x_bcn.mT @ x_bcn
        top = top_eigenvector(gram)
        energy = (top[:, None] @ gram @ top[:, :, None])[:, 0].clamp(min=0)
        component = top * energy.sqrt()
    component = (_oriented(component, x_bcn) * scale_b[:, None]).masked_fill(~known_b[:, None], torch.nan)
    return component.reshape(b, *features.shape[2:])


def first_kernel_component(
    features: Float[Tensor, "b c *m h w"], *, kernel: Kernel = "sigmoid", gamma: float | None = None
) -> Float[Tensor, "b *m h w"]:
    """First component of kernel PCA over each map's cells.

    Args:
        features: (b, c, h, w), centred per channel before the kernel is applied.
        kernel: sigmoid tanh(gamma x.y + 1), rbf exp(-gamma |x - y|^2), or linear.
        gamma: 1 / c unless given.

    Returns:
        (b, h, w): the top eigenvector of the centred kernel matrix times the root of its eigenvalue, signed as
        :func:`first_component`. NaN throughout where a value, or what the kernel makes of it, is not finite.

    Raises:
        ShapeError: so many cells that the kernel matrix, cells x cells, would not be reasonable.

    Source: Schoelkopf, Smola & Mueller (1998), section 4; used on feature maps by Karmani et al., "KPCA-CAM" (2024).
    """
    x_bcn = _centred(_widened(features))
    b, c, n = x_bcn.shape
    if n > MAX_KERNEL_CELLS:
        raise ShapeError(
            f"a layer of {' x '.join(map(str, features.shape[2:]))} cells needs a kernel matrix of {n} x {n}; "
            f"at most {MAX_KERNEL_CELLS} cells are taken: choose a deeper layer, or EigenCAM, which has no such matrix"
        )
    gamma = 1.0 / c if gamma is None else gamma
    maps = []
    for x_cn in x_bcn:  # one matrix at a time: n x n is the largest thing here
        k = x_cn.T @ x_cn
        if kernel == "sigmoid":
            k = torch.tanh(gamma * k + 1)
        elif kernel == "rbf":
            square = k.diagonal()
            k = torch.exp(-gamma * (square[:, None] + square[None] - 2 * k).clamp(min=0))
        elif kernel != "linear":
            raise ShapeError(f"there is no kernel {kernel!r}; expected sigmoid, rbf or linear")
        if not bool(torch.isfinite(k).all()):  # no decomposition takes such a matrix
            maps.append(torch.full_like(x_cn[0], torch.nan))
            continue
        rounding = 8 * n * torch.finfo(k.dtype).eps * k.abs().max()
        row = k.mean(0)
        k = k - row[:, None] - row[None] + row.mean()
        top = top_eigenvector(k[None])[0]
        value = top @ (k @ top)
        # cells that are all alike leave nothing but rounding behind the centring
        maps.append(top * torch.where(value > rounding, value, torch.zeros_like(value)).sqrt())
    return _oriented(torch.stack(maps), x_bcn).reshape(b, *features.shape[2:])


def top_eigenvector(matrix: Float[Tensor, "b n n"]) -> Float[Tensor, "b n"]:
    """Unit eigenvector of the (algebraically) largest eigenvalue of each symmetric matrix; its sign is arbitrary.

    Small matrices are decomposed; larger ones go through Lanczos iteration with full reorthogonalisation, and a
    matrix on which that has not converged is decomposed after all.

    Source: Golub & Van Loan, "Matrix computations" (4th ed.), section 10.1 and 10.3.
    """
    n = matrix.shape[-1]
    if n <= EIGH_UP_TO:
        return torch.linalg.eigh(matrix).eigenvectors[..., -1]
    vector, converged = _lanczos(matrix)
    for row in torch.nonzero(~converged).flatten().tolist():
        vector[row] = torch.linalg.eigh(matrix[row]).eigenvectors[:, -1]
    return vector


def _lanczos(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """(vector (b, n), whether it has converged (b,))."""
    b, n, _ = matrix.shape
    checks = sorted({min(check, n) for check in CHECKS})
    generator = torch.Generator().manual_seed(0)  # a start that no structure of the data is orthogonal to
    start = torch.randn(n, generator=generator, dtype=torch.float64).to(matrix)
    basis = matrix.new_zeros(b, checks[-1], n)
    q = (start / start.norm()).expand(b, n)
    alpha, beta = matrix.new_zeros(b, checks[-1]), matrix.new_zeros(b, checks[-1])
    vector, converged = q.clone(), torch.zeros(b, dtype=torch.bool, device=matrix.device)
    for step in range(checks[-1]):
        basis[:, step] = q
        w = (matrix @ q[:, :, None])[:, :, 0]
        alpha[:, step] = (w * q).sum(-1)
        known = basis[:, : step + 1]
        for _ in range(2):  # twice is enough (Kahan and Parlett): orthogonal to the last bit
            w = w - ((known @ w[:, :, None]).mT @ known)[:, 0]
        norm = w.norm(dim=-1)
        beta[:, step] = norm
        # a zero residual means that the basis already spans what the matrix does to it: further rows stay zero
        q = w / torch.where(norm > 0, norm, torch.ones_like(norm))[:, None]
        if step + 1 in checks:
            vector, converged = _ritz(matrix, known, alpha[:, : step + 1], beta[:, :step])
            if bool(converged.all()):
                break
    return vector, converged


def _ritz(matrix: Tensor, basis: Tensor, alpha: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    """The best vector in the span of the basis, and whether its residual is down to rounding."""
    off = torch.diag_embed(beta, offset=1)
    value, inner = torch.linalg.eigh(torch.diag_embed(alpha) + off + off.mT)
    vector = (inner[:, :, -1][:, None] @ basis)[:, 0]
    norm = vector.norm(dim=-1)
    vector = vector / norm.clamp(min=0.5)[:, None]
    residual = ((matrix @ vector[:, :, None])[:, :, 0] - value[:, -1:] * vector).norm(dim=-1)
    tolerance = 16 * torch.finfo(matrix.dtype).eps * value.abs().amax(-1)
    # a norm other than 1 comes from zero rows of an exhausted basis: such a vector is none
    return vector, (residual <= tolerance) & (norm > 0.9)


def _widened(features: Tensor) -> Float[Tensor, "b c n"]:
    return features.to(torch.promote_types(features.dtype, torch.float32)).flatten(2)


def _centred(x_bcn: Tensor) -> Float[Tensor, "b c n"]:
    return x_bcn - x_bcn.mean(-1, keepdim=True)


def _unit_scaled(x_bcn: Tensor) -> tuple[Float[Tensor, "b c n"], Float[Tensor, " b"], Bool[Tensor, " b"]]:
    """Each map with values of about 1 at most, what it was divided by, and whether it is finite.

    A Gram matrix squares what it is made of, so large values would overflow and small ones vanish. The divisor is a
    power of two, which changes no digit. What is not finite becomes 0, which can be decomposed.
    """
    known_b = torch.isfinite(x_bcn).flatten(1).all(1)
    x_bcn = x_bcn.masked_fill(~known_b[:, None, None], 0.0)
    most = math.frexp(torch.finfo(x_bcn.dtype).max)[1] - 2  # neither the divisor nor its inverse overflows
    power_b = torch.frexp(x_bcn.abs().amax((1, 2))).exponent.clamp(-most, most)
    scale_b = torch.full_like(power_b, 2.0, dtype=x_bcn.dtype) ** power_b
    return x_bcn / scale_b[:, None, None], scale_b, known_b


def _oriented(component: Tensor, x_bcn: Tensor) -> Tensor:
    """The sign that correlates with the channel mean; where nothing does, the larger extreme is positive."""
    mean = x_bcn.mean(1)
    agreement = (component * mean).sum(-1)
    clear = agreement.abs() > 1e-6 * component.norm(dim=-1) * mean.norm(dim=-1)
    peak = component.gather(-1, component.abs().argmax(-1, keepdim=True))[..., 0]
    sign = torch.where(clear, agreement, peak).sign()
    return component * torch.where(sign == 0, torch.ones_like(sign), sign)[:, None]
