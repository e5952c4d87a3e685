"""XGrad-CAM: channel weights that make the map keep the score under removal of channels.

Fu et al., "Axiom-based Grad-CAM" (BMVC 2020), eq. 8: the gradient averaged with the activation as weight.
"""

from __future__ import annotations

from torch import Tensor

from isotherm.relevance.method import PooledMethod

EPSILON = 1e-7
"""Keeps a channel that is 0 everywhere at 0; customary, so that published maps are matched."""


def _term(activation: Tensor, gradient: Tensor, total: Tensor, _cells: int) -> Tensor:
    return gradient * activation / (total + EPSILON)


xgradcam = PooledMethod.of("XGradCAM", _term, signed=True)
"""sum_c (sum(g A) / (sum A + 1e-7)) A, signed. On a ReLU layer its sum is HiResCAM's."""
