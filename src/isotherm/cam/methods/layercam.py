"""LayerCAM: each cell's activation weighted by its own positive gradient; usable at early layers.

Jiang et al., "LayerCAM: Exploring hierarchical class activation maps for localization" (IEEE TIP 2021), eqs. 4-5.
"""

from __future__ import annotations

from torch import Tensor

from isotherm.relevance.method import LayerMethod


def _weighted(activation: Tensor, gradient: Tensor) -> Tensor:
    return gradient.clamp(min=0) * activation


layercam = LayerMethod("LayerCAM", _weighted, signed=True, local=True)
"""sum_c relu(g) A. Negative only where the activation itself is (layers without ReLU)."""
