"""The score of a semantic segmenter: how strongly a class is seen inside a mask."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool
from torch import Tensor

from isotherm.cam.scores.naming import class_index
from isotherm.cam.scores.targets import Score, Targets
from isotherm.cam.view import Inputs, Prediction, Segmentation
from isotherm.errors import TargetError


@dataclass(frozen=True, eq=False)
class SegmentationMask(Score):
    """Mean logit of a class over a mask (Vinogradova et al., "Seg-Grad-CAM", AAAI 2020).

    Args:
        which: class; the one that covers the largest part of each picture if not given.
        mask: (h, w) in input pixels; where the model itself says this class if not given.
    """

    which: int | str | None = None
    mask: Bool[Tensor, "h w"] | None = field(default=None, repr=False)

    def __call__(self, prediction: Prediction, inputs: Inputs) -> Targets:
        if not isinstance(prediction, Segmentation):
            raise TargetError(f"SegmentationMask is a score of segmenters, but this model gives {type(prediction).__name__}")
        logits = prediction.logits
        said = logits.detach().argmax(1)
        b, k = logits.shape[:2]
        if self.which is None:
            index = torch.stack([torch.bincount(s.flatten(), minlength=k).argmax() for s in said]).cpu()
        else:
            index = torch.full((b,), class_index(self.which, prediction.names))
        if self.mask is not None:
            if tuple(self.mask.shape) != tuple(logits.shape[-2:]):
                raise TargetError(f"the mask is {tuple(self.mask.shape)}, the model's output {tuple(logits.shape[-2:])}; both are input pixels")
            masks = self.mask.to(logits.device).expand(b, -1, -1)
        else:
            masks = said == index.to(said.device)[:, None, None]
        empty = ~masks.flatten(1).any(1)
        if bool(empty.any()):
            names = ", ".join(sorted({prediction.names[int(index[i])] for i in torch.nonzero(empty).flatten()}))
            raise TargetError(f"the mask of {names} is empty: the model says it nowhere in the picture; give another class or a mask")
        weight = masks.to(logits.dtype) / masks.sum((1, 2), keepdim=True)

        def read(p: Prediction, target: Tensor) -> Tensor:
            assert isinstance(p, Segmentation)
            t = target.to(p.logits.device)
            row = torch.arange(len(t), device=t.device)
            return (p.logits[row, index.to(t.device)[t]] * weight[t]).sum((1, 2))

        everything = torch.arange(b)
        return Targets(read(prediction, everything), everything, tuple(prediction.names[i] for i in index.tolist()), read)
