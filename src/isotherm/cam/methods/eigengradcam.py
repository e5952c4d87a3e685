"""Eigen-Grad-CAM: Eigen-CAM of gradient times activation, so that it does depend on the score.

Known from pytorch-grad-cam as EigenGradCAM; the projection is that of Muhammad & Yeasin (IJCNN 2020), eq. 4.
"""

from __future__ import annotations

from torch import Tensor

from isotherm.ops.eigen import first_component
from isotherm.relevance.method import LayerMethod


def _weighted(activation: Tensor, gradient: Tensor) -> Tensor:
    return gradient * activation


eigengradcam = LayerMethod("EigenGradCAM", _weighted, signed=True, reduce=first_component)
"""Centred g A projected on its first right singular vector; its sign follows HiResCAM's map."""
