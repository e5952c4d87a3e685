"""KPCA-CAM: Eigen-CAM with kernel principal components, for structure that no linear projection sees.

Karmani et al., "KPCA-CAM: Visual explainability of deep computer vision models using kernel PCA" (2024).
The kernel matrix is cells x cells, so it belongs at deep layers.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from isotherm.errors import MethodError
from isotherm.ops.eigen import Kernel, first_kernel_component
from isotherm.relevance.method import LayerMethod


def _weighted(activation: Tensor, _gradient: Tensor | None) -> Tensor:
    return activation


def make_kpcacam(*, kernel: Kernel = "sigmoid", gamma: float | None = None) -> LayerMethod:
    """KPCA-CAM with another kernel.

    Args:
        kernel: sigmoid tanh(gamma x.y + 1), rbf exp(-gamma |x - y|^2), or linear, which is EigenCAM.
        gamma: 1 / channels unless given.

    Raises:
        MethodError: no such kernel, or gamma is not positive.
    """
    if kernel not in ("sigmoid", "rbf", "linear"):
        raise MethodError(f"there is no kernel {kernel!r}; expected sigmoid, rbf or linear")
    if gamma is not None and not gamma > 0:
        raise MethodError(f"gamma is {gamma}; expected a positive number, or None for 1 / channels")
    reduce = partial(first_kernel_component, kernel=kernel, gamma=gamma)
    return LayerMethod("KPCA-CAM", _weighted, signed=True, uses_gradient=False, reduce=reduce)


kpcacam = make_kpcacam()
"""Centred A on the first kernel principal component; its sign follows the mean activation."""
