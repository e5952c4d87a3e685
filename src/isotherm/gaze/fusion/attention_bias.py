"""Gaze as a bias of attention: keys where somebody looked are read more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import OptionError
from isotherm.gaze.fusion.fusion import Fusion, FusionConfig, Site
from isotherm.gaze.gate import Gate
from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.maps import pool_frames
from isotherm.gaze.state_tokens import AddedStates
from isotherm.models.transformers.vjepa2.conditioned import Conditioning


@dataclass(frozen=True, kw_only=True)
class AttentionBiasConfig(FusionConfig):
    """Options of :class:`AttentionBias`.

    Args:
        strength: by how much the logits of the key where all gaze of a tubelet lies are raised at first.
    """

    name: ClassVar[str] = "attention_bias"
    strength: float = 6.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.strength == 0:
            raise OptionError("strength is 0, from which no bias is learned; expected another number")

    def make(self, site: Site) -> AttentionBias:
        """The module at a site."""
        return AttentionBias(self, site)


class AttentionBias(Fusion):
    """Per layer and head, the attention moves from the model's own to one whose logits are raised where gaze lies.

    The states' vectors are added to the tokens of their tubelets, since a bias of 0 could not tell them apart.

    Args:
        config: options.
        site: where it acts.
    """

    conditions_attention: ClassVar[bool] = True

    def __init__(self, config: AttentionBiasConfig, site: Site) -> None:
        super().__init__(config, site)
        self.strength = nn.Parameter(torch.full((site.layers, site.heads), config.strength))
        self.gate = Gate(site.layers, site.heads)
        self.states = AddedStates(site.tokens, config.states)

    def add(self, tokens: Float[Tensor, "b n d"], gaze: GazeInputs) -> Float[Tensor, "b n d"]:
        """The tokens with the vectors of their tubelets' states."""
        return self.states(tokens, gaze, self.site.tubelet)

    def condition(self, tokens: Float[Tensor, "b n d"], gaze: GazeInputs) -> Conditioning:
        """The share of each tubelet's frames that looked at each token."""
        density = pool_frames(self.maps.density(gaze, self.site.grid), self.site.tubelet) / self.site.tubelet
        return Conditioning(self.gate.factors, density=density.flatten(1), strength=self.strength)
