"""Shapley-CAM: Grad-CAM's weights corrected by half of the curvature along the activation.

Cai, "CAMs as Shapley value-based explainers" (2025, arXiv:2501.06261): the Shapley value of each activation in the
second-order expansion of the score around the activations as they are. For a score b.A + A.H.A / 2 it is
A (g - H A / 2) exactly, whence the minus sign: g = b + H A counts each pair of activations twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from isotherm.cam.methods.channel_weighted import ChannelWeighted
from isotherm.cam.trace import Trace
from isotherm.relevance.method import cell_dims


@dataclass(frozen=True, kw_only=True)
class ShapleyCAM(ChannelWeighted):
    """sum_c mean(g - H A / 2) A, signed.

    Where the score is piecewise linear behind the layer (ReLU and pooling only), H is 0 and this is Grad-CAM.
    """

    name: ClassVar[str] = "ShapleyCAM"
    needs: ClassVar[frozenset[str]] = frozenset({"activation", "gradient", "hessian"})
    explains: ClassVar[frozenset[str]] = frozenset({"pictures", "clips"})

    def weights(self, trace: Trace, layer: int) -> Float[Tensor, "t c"]:
        at = trace.need_layers()[layer]
        gradient = at.need_gradient()
        curvature = trace.need_rerun().hessian_vector(layer, at.activation)
        return (gradient - 0.5 * curvature.to(gradient)).mean(cell_dims(gradient))


shapleycam = ShapleyCAM()
