"""Score-CAM: a channel counts as much as the score that the picture keeps when seen through that channel.

Wang et al., "Score-CAM: Score-weighted visual explanations for convolutional neural networks" (CVPR workshops 2020),
eqs. 6-8. The score of the blank picture, which eq. 6 subtracts, cancels in the softmax of eq. 8.
One forward pass per channel of the layer; needs no gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.methods.channel_weighted import ChannelWeighted
from isotherm.cam.methods.scoring import batch_on, blank_of, by_picture, check_batch, masked_scores
from isotherm.cam.trace import Trace
from isotherm.errors import MethodError
from isotherm.ops.resample import to_frame


@dataclass(frozen=True, kw_only=True)
class ScoreCAM(ChannelWeighted):
    """sum_c softmax_c(score of the picture seen through channel c) A_c.

    Args:
        batch: masked pictures per forward pass; memory is bounded by it. None: 4 on a CPU, 32 elsewhere.
        channels: only the channels that vary most over the picture, at most so many; the others get weight 0.
            A layer of 2,048 channels needs 2,048 forward passes otherwise.
        alignment: how a channel is laid over the picture. ``cells`` puts it where the layer's cells are;
            ``corners`` stretches it so that the centres of corner cells and corner pixels coincide, which is off by
            up to half a cell, but is what pytorch-grad-cam does.
    """

    batch: int | None = None
    channels: int | None = None
    alignment: Literal["cells", "corners"] = "cells"

    name: ClassVar[str] = "ScoreCAM"
    needs: ClassVar[frozenset[str]] = frozenset({"activation", "rerun"})

    def __post_init__(self) -> None:
        check_batch(self.batch)
        if self.channels is not None and self.channels < 1:
            raise MethodError(f"channels is {self.channels}; expected None for all, or at least 1")
        if self.alignment not in ("cells", "corners"):
            raise MethodError(f"alignment is {self.alignment!r}; expected cells or corners")

    def weights(self, trace: Trace, layer: int) -> Float[Tensor, "t c"]:
        at, rerun, blank = trace.need_layers()[layer], trace.need_rerun(), blank_of(trace)
        activation = at.activation.to(torch.promote_types(at.activation.dtype, torch.float32))
        weights = activation.new_zeros(activation.shape[:2])
        batch = batch_on(trace.inputs.tensor.device, self.batch)
        for picture, target in by_picture(trace):
            one = int(target[0])
            maps = activation[one]
            chosen = self._chosen(maps)
            parts = []
            for some in chosen.split(batch):
                masks = _between_0_and_1(self._over_input(maps[some], trace, layer, one))
                parts.append(masked_scores(rerun, picture, masks, blank, target, batch=batch))
            scores = torch.cat(parts).to(weights)
            weights[target.to(weights.device)[:, None], chosen] = scores.softmax(0).T
        return weights

    def _chosen(self, maps: Tensor) -> Tensor:
        if self.channels is None or self.channels >= len(maps):
            return torch.arange(len(maps), device=maps.device)
        return maps.flatten(1).var(1).topk(self.channels).indices.sort().values

    def _over_input(self, maps: Tensor, trace: Trace, layer: int, target: int) -> Tensor:
        if self.alignment == "corners":
            size = trace.inputs.tensor.shape[-2:]
            return F.interpolate(maps[None], size=tuple(size), mode="bilinear", align_corners=True)[0]
        return to_frame(maps, trace.need_layers()[layer].frame[target], trace.frame[target], outside="edge")


def _between_0_and_1(masks: Tensor) -> Tensor:
    """Each mask stretched to [0, 1] (eq. 7); one without contrast hides everything."""
    low, high = masks.amin((1, 2), keepdim=True), masks.amax((1, 2), keepdim=True)
    extent = high - low
    return torch.where(
        extent > 0, (masks - low) / extent.clamp(min=torch.finfo(masks.dtype).tiny), torch.zeros_like(masks)
    )


scorecam = ScoreCAM()
