"""A temporal encoder of gaze: what was looked at before, how fast the gaze moved, how long it stayed, and where."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import OptionError
from isotherm.gaze.features import FEATURES, gaze_features
from isotherm.gaze.fusion.fusion import Fusion, FusionConfig, Site, expect_positive
from isotherm.gaze.gate import Gate
from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.maps import pool_frames
from isotherm.gaze.probe import SelfBlock
from isotherm.gaze.state_tokens import StateTokens


@dataclass(frozen=True, kw_only=True)
class TemporalConfig(FusionConfig):
    """Options of :class:`Temporal`.

    Args:
        width: of the encoder's tokens, one per tubelet.
        blocks: of attention over tubelets.
        heads: of that attention.
    """

    name: ClassVar[str] = "temporal"
    width: int = 64
    blocks: int = 2
    heads: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_positive(self, "width", "blocks", "heads")
        if self.width % self.heads or self.width % 2:
            raise OptionError(
                f"width is {self.width} and heads {self.heads}; expected an even width that the heads divide"
            )

    def make(self, site: Site) -> Temporal:
        """The module at a site."""
        return Temporal(self, site)


class TemporalEncoder(nn.Module):
    """Features of frames -> a token per tubelet that knows of all other tubelets.

    Args:
        config: options.
        tubelet: frames per tubelet.
    """

    def __init__(self, config: TemporalConfig, tubelet: int) -> None:
        super().__init__()
        self.tubelet, self.width = tubelet, config.width
        self.embed = nn.Linear(FEATURES, config.width)
        self.states = StateTokens(config.width, config.states)
        self.blocks = nn.ModuleList(SelfBlock(config.width, config.heads, 4.0) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, gaze: GazeInputs) -> Float[Tensor, "b m d"]:
        """One token per tubelet."""
        frames = torch.where(gaze.tracked[..., None], self.embed(gaze_features(gaze)), 0.0)
        tokens = pool_frames(frames, self.tubelet) / self.tubelet + self.states.tubelets(gaze, self.tubelet)
        # counted from the end of the clip, from which what is anticipated is counted too
        before_end = torch.arange(tokens.shape[1] - 1, -1, -1, device=tokens.device)
        tokens = tokens + _sines(before_end, self.width)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)


class Temporal(Fusion):
    """tokens + gate (where the gaze lies x one vector of its tubelet + another one), a gate per channel.

    The first vector says at the place that was looked at when and how it was; the second says to all tokens of the
    tubelet what gaze did.

    Args:
        config: options.
        site: where it acts.
    """

    def __init__(self, config: TemporalConfig, site: Site) -> None:
        super().__init__(config, site)
        self.encoder = TemporalEncoder(config, site.tubelet)
        self.here, self.everywhere = nn.Linear(config.width, site.tokens), nn.Linear(config.width, site.tokens)
        self.gate = Gate(site.tokens)

    def add(self, tokens: Float[Tensor, "b n d"], gaze: GazeInputs) -> Float[Tensor, "b n d"]:
        """The tokens with the vectors of their tubelets."""
        moments = self.encoder(gaze)
        density = pool_frames(self.maps.density(gaze, self.site.grid), self.site.tubelet) / self.site.tubelet
        branch = density.flatten(2)[..., None] * self.here(moments)[:, :, None] + self.everywhere(moments)[:, :, None]
        return tokens + self.gate(branch.flatten(1, 2))


def _sines(places: Tensor, width: int) -> Float[Tensor, "m {width}"]:
    """Sines and cosines of whole numbers. Source: Vaswani et al., "Attention is all you need" (2017), section 3.5."""
    rates = torch.exp(torch.arange(0, width, 2, device=places.device) * (-math.log(10000.0) / width))
    angles = places[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
