"""HiResCAM: gradient times activation, cell by cell.

Draelos & Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks"
(2020), eq. 5. Where the model behind the layer is linear, the map sums to the score (less the bias): it shows
exactly the cells that the model used, which Grad-CAM's averaged gradients do not.
"""

from __future__ import annotations

from torch import Tensor

from isotherm.relevance.method import LayerMethod


def _weighted(activation: Tensor, gradient: Tensor) -> Tensor:
    return gradient * activation


hirescam = LayerMethod("HiResCAM", _weighted, signed=True, local=True)
"""sum_c g * A, signed. Default for detectors: on one detection it stays where the evidence is."""
