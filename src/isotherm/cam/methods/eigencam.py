"""Eigen-CAM: what varies most in the layer, whatever the score.

Muhammad & Yeasin, "Eigen-CAM: Class activation map using principal components" (IJCNN 2020), eq. 4. It shows
what the layer sees, not why the model decided: all targets of one picture get the same map.
"""

from __future__ import annotations

from torch import Tensor

from isotherm.ops.eigen import first_component
from isotherm.relevance.method import LayerMethod


def _weighted(activation: Tensor, _gradient: Tensor | None) -> Tensor:
    return activation


eigencam = LayerMethod("EigenCAM", _weighted, signed=True, uses_gradient=False, reduce=first_component)
"""Centred A projected on its first right singular vector; its sign follows the mean activation."""
