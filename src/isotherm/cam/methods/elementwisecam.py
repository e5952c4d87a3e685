"""Element-wise Grad-CAM: only the products of gradient and activation that speak for the score.

The variant of HiResCAM (Draelos & Carin 2020, eq. 5) that drops negative products before the channels are summed;
known from pytorch-grad-cam as GradCAMElementWise. No evidence against can cancel evidence for.
"""

from __future__ import annotations

from torch import Tensor

from isotherm.relevance.method import LayerMethod


def _weighted(activation: Tensor, gradient: Tensor) -> Tensor:
    return (gradient * activation).clamp(min=0)


elementwisecam = LayerMethod("ElementWiseCAM", _weighted, signed=False, local=True)
"""sum_c relu(g A), never negative."""
