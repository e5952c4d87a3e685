"""Ablation-CAM: a channel counts as much as the score that is lost when the channel is set to 0.

Desai & Ramaswamy, "Ablation-CAM: Visual explanations for deep convolutional network via gradient-free localization"
(WACV 2020), eq. 3. One forward pass per channel, of what follows the layer only where the model allows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.methods.channel_weighted import ChannelWeighted
from isotherm.cam.methods.scoring import by_picture, check_batch
from isotherm.cam.trace import Trace


@dataclass(frozen=True, kw_only=True)
class AblationCAM(ChannelWeighted):
    """sum_c (s - s without c) / |s| A_c, signed.

    The paper divides by s. That scales the whole map, and where s is negative it turns the map over, so that what
    the score falls without would count against it; here the size of s is taken. Where s is 0 nothing is divided.

    Args:
        batch: channels per forward pass; memory is bounded by it.
    """

    batch: int = 32

    name: ClassVar[str] = "AblationCAM"
    needs: ClassVar[frozenset[str]] = frozenset({"activation", "rerun"})
    explains: ClassVar[frozenset[str]] = frozenset({"pictures", "clips"})

    def __post_init__(self) -> None:
        check_batch(self.batch)

    def weights(self, trace: Trace, layer: int) -> Float[Tensor, "t c"]:
        rerun = trace.need_rerun()
        activation = trace.need_layers()[layer].activation
        c = activation.shape[1]
        dtype = torch.promote_types(activation.dtype, torch.float32)
        weights = torch.zeros(len(trace), c, dtype=dtype, device=activation.device)
        for _, target in by_picture(trace):
            for one in target.tolist():
                scores = []
                # row 0 keeps the whole layer: through the same path as the ablated ones, so that rounding cancels
                for rows in torch.arange(c + 1).split(self.batch):
                    keep = activation.new_ones(len(rows), c)
                    without = rows > 0
                    keep[torch.nonzero(without).flatten(), rows[without] - 1] = 0
                    scores.append(rerun.scores_with_channels(layer, keep, torch.full((len(rows),), one)))
                whole, ablated = torch.cat(scores).split([1, c])
                size = torch.where(whole == 0, torch.ones_like(whole), whole.abs())
                weights[one] = ((whole - ablated) / size).to(weights)
        return weights


ablationcam = AblationCAM()
