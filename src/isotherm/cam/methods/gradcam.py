"""Grad-CAM: activations weighted by each channel's mean gradient.

Selvaraju et al., "Grad-CAM: Visual explanations from deep networks via gradient-based localization"
(ICCV 2017), eqs. 1 and 2. Eq. 2's ReLU is left to the drawing, so that evidence against is not lost.
"""

from __future__ import annotations

from torch import Tensor

from isotherm.relevance.method import PooledMethod


def _term(_activation: Tensor, gradient: Tensor, _total: Tensor, cells: int) -> Tensor:
    return gradient / cells


gradcam = PooledMethod.of("GradCAM", _term, signed=True)
"""sum_c mean(g) * A, signed."""
