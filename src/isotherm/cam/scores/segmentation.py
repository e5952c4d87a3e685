"""The score of a semantic segmenter: how strongly a class is seen inside a mask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.cam.scores.naming import class_index
from isotherm.cam.trace import Targets
from isotherm.cam.view import Inputs, Prediction, Segmentation, giver_of
from isotherm.errors import TargetError, UnfitTargetError
from isotherm.relevance.score import Score


@dataclass(frozen=True, eq=False)
class SegmentationMask(Score):
    """Mean logit of a class over a mask (Vinogradova et al., "Seg-Grad-CAM", AAAI 2020).

    Args:
        which: class; the one that covers the largest part of each picture if not given.
        mask: (h, w) in input pixels; where the model itself says this class if not given: where its logit is the
            largest, or, of a segmenter with one channel, above 0, which is a probability above one half. A picture
            in which such a segmenter says nothing has no target, unless ``which`` asks for one.
    """

    which: int | str | None = None
    mask: Bool[Tensor, "h w"] | None = field(default=None, repr=False)

    def __call__(self, prediction: Prediction, inputs: Inputs) -> Targets:
        if not isinstance(prediction, Segmentation):
            raise UnfitTargetError(
                f"SegmentationMask is a score of segmenters, but this model gives {type(prediction).__name__}",
                gives=giver_of(prediction),
            )
        logits = prediction.logits
        b, k = logits.shape[:2]
        answer = class_map(logits)
        if self.which is not None:
            index = torch.full((b,), class_index(self.which, prediction.names))
        elif k == 1:
            index = torch.zeros(b, dtype=torch.long)
        else:
            index = torch.stack([torch.bincount(s.flatten(), minlength=k).argmax() for s in answer]).cpu()
        if self.mask is not None:
            if tuple(self.mask.shape) != tuple(logits.shape[-2:]):
                raise TargetError(
                    f"the mask is {tuple(self.mask.shape)}, the model's output {tuple(logits.shape[-2:])}; both are input pixels"
                )
            masks = self.mask.to(logits.device).expand(b, -1, -1)
        else:
            masks = answer == index.to(answer.device)[:, None, None]
        empty = ~masks.flatten(1).any(1).cpu()
        if bool(empty.any()) and (self.which is not None or self.mask is not None):
            names = ", ".join(sorted({prediction.names[int(index[i])] for i in torch.nonzero(empty).flatten()}))
            where = "it has no pixel" if self.mask is not None else "the model says it nowhere in the picture"
            raise TargetError(f"the mask of {names} is empty: {where}; give another class or a mask")
        picture = torch.nonzero(~empty).flatten()
        index, masks = index[picture], masks[picture.to(masks.device)]
        weight = masks.to(logits.dtype) / masks.sum((1, 2), keepdim=True)

        def read(p: Prediction, target: Tensor) -> Tensor:
            assert isinstance(p, Segmentation)
            t = target.to(p.logits.device)
            row = torch.arange(len(t), device=t.device)
            return (p.logits[row, index.to(t.device)[t]] * weight[t]).sum((1, 2))

        def rivals(p: Prediction, target: Tensor) -> Tensor:
            assert isinstance(p, Segmentation)
            return (p.logits * weight[target.to(p.logits.device)][:, None]).sum((2, 3))

        which = index.to(logits.device)
        scores = (logits[picture.to(logits.device), which] * weight).sum((1, 2))
        among: dict[str, Any] = {}
        if k > 1:
            regions = (logits.detach()[picture.to(logits.device)] * weight[:, None]).sum((2, 3))
            among = {"rivals": rivals, "which": index, "among": regions}
        labels = tuple(prediction.names[i] for i in index.tolist())
        return Targets(scores, picture, labels, read, of="logit", **among)


def class_map(logits: Float[Tensor, "b k h w"]) -> Int[Tensor, "b h w"]:
    """The class that the model says at every pixel: of several the likeliest; of one, 0 where it is likelier than not,
    else -1.
    """
    if logits.shape[1] == 1:
        return torch.where(logits.detach()[:, 0] > 0, 0, -1)
    return logits.detach().argmax(1)
