"""Finer-CAM: what sets a class apart from the classes that the model finds most alike.

Zhang et al., "Finer-CAM: Spotting the difference reveals finer details for visual explanation" (CVPR 2025), eq. 5:
Grad-CAM of a contrast, the score less the probability-weighted mean of the scores of similar classes.

A contrast's gradient is a combination of the classes' own gradients, and the combination needs only their scores.
So this method takes a trace of *several* classes of one picture (``TopK(4)``, ``Classes(...)``) and needs no pass of
its own. With one comparison class and alpha = 1 it equals ``gradcam`` of the score ``Contrast(this, other)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.methods.gradcam import gradcam
from isotherm.cam.trace import LayerMap, Trace
from isotherm.errors import MethodError
from isotherm.relevance.method import LayerMethod


@dataclass(frozen=True, kw_only=True)
class FinerCAM:
    """A gradient method applied to z_n - alpha sum_j p_j z_j / sum_j p_j over the similar classes j, signed.

    Args:
        alpha: how strongly the similar classes are held against the class; 0 is the base method itself.
        similar: how many, at most: the targets of the same picture whose scores are nearest.
        base: the gradient method that is applied to the contrast.
    """

    alpha: float = 1.0
    similar: int = 3
    base: LayerMethod = gradcam

    name: ClassVar[str] = "FinerCAM"
    signed: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"activation", "gradient"})
    explains: ClassVar[frozenset[str]] = frozenset({"pictures", "clips"})

    def __post_init__(self) -> None:
        if not self.base.uses_gradient:
            raise MethodError(
                f"FinerCAM contrasts gradients, and {self.base.name} uses none; give a gradient method such as gradcam"
            )
        if self.similar < 1:
            raise MethodError(f"similar is {self.similar}; FinerCAM compares with at least 1 class")

    def __call__(self, trace: Trace) -> list[LayerMap]:
        mix = self.contrast(trace)
        maps = []
        for layer in trace.need_layers():
            gradient = layer.need_gradient()
            gradient = gradient.to(torch.promote_types(gradient.dtype, torch.float32))
            contrast = torch.tensordot(mix.to(gradient), gradient, dims=1)
            maps.append(layer.map_of(self.base.map(layer.activation, contrast)))
        return maps

    def contrast(self, trace: Trace) -> Float[Tensor, "t t"]:
        """Each target's contrast as a combination of all targets' gradients; row i has 1 at i.

        The weights p_j / sum p are a softmax of the similar classes' scores and depend on them, so the derivative at
        z_j is -alpha w_j (1 + z_j - sum_k w_k z_k).

        Raises:
            MethodError: a target is its picture's only one.
        """
        scores = trace.scores.double() if trace.scores.device.type != "mps" else trace.scores.float()
        picture = trace.picture.to(scores.device)
        mix = torch.eye(len(scores), dtype=scores.dtype, device=scores.device)
        for i, score in enumerate(scores):
            others = torch.nonzero(picture == picture[i]).flatten()
            others = others[others != i]
            if not len(others):
                raise MethodError(
                    "FinerCAM compares a class with similar ones, but a picture has only one target; "
                    "explain several classes at once, such as TopK(4) for the best and its three nearest"
                )
            nearest = others[torch.argsort((scores[others] - score).abs(), stable=True)][: self.similar]
            z = scores[nearest]
            w = z.softmax(0)
            mix[i, nearest] = -self.alpha * w * (1 + z - (w * z).sum())
        return mix


finercam = FinerCAM()
