"""How much of a pretrained part is trained: nothing, small adapters beside its feedforward layers, or all of it."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import OptionError
from isotherm.gaze.gate import Gate

TrainingMode = Literal["frozen", "adapter", "full"]
"""frozen: nothing, and it stays in evaluation mode. adapter: :class:`Adapter` in every layer. full: every weight."""


class Adapter(nn.Module):
    """A feedforward layer with a narrow one beside it, which begins closed.

    Args:
        original: the pretrained one.
        size: of a token.
        bottleneck: how wide the narrow one is.

    Source: Chen et al., "AdaptFormer" (NeurIPS 2022), section 3.2; there the last layer begins at 0, here a gate does.
    """

    def __init__(self, original: nn.Module, size: int, bottleneck: int) -> None:
        super().__init__()
        self.original = original
        self.down, self.up = nn.Linear(size, bottleneck), nn.Linear(bottleneck, size)
        self.gate = Gate(size)

    def forward(self, tokens: Float[Tensor, "*b d"]) -> Float[Tensor, "*b d"]:
        """What the pretrained layer says, and what the adapter adds."""
        out: Tensor = self.original(tokens)
        return out + self.gate(self.up(F.gelu(self.down(tokens))))


def set_training_mode(part: Any, mode: TrainingMode, *, bottleneck: int = 64) -> None:
    """Say in place which parameters of an encoder or a predictor are trained.

    Low-rank adaptation comes on top of 'frozen', by :func:`isotherm.train.peft.adapt_blocks` of a part and its
    layers.

    Args:
        part: with layers ``.layer``, each with a feedforward layer ``.mlp`` behind a norm ``.norm2``.
        mode: see :data:`TrainingMode`.
        bottleneck: of adapters.

    Raises:
        OptionError: another mode, or a bottleneck below 1.
    """
    if mode not in get_args(TrainingMode):
        raise OptionError(f"the training mode is {mode!r}; expected one of {', '.join(get_args(TrainingMode))}")
    if bottleneck < 1:
        raise OptionError(f"bottleneck is {bottleneck}; expected at least 1")
    part.requires_grad_(mode == "full")
    if mode == "adapter":
        for layer in part.layer:
            layer.mlp = Adapter(layer.mlp, layer.norm2.weight.numel(), bottleneck)
