"""What was looked at as a token: the mean of a tubelet's tokens, weighed by where the gaze lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import OptionError
from isotherm.gaze.features import token_places
from isotherm.gaze.fusion.fusion import Fusion, FusionConfig, Site
from isotherm.gaze.gate import Gate
from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.maps import pool_frames
from isotherm.models.transformers.vjepa2.conditioned import Conditioning

How = Literal["insert", "add"]
"""insert: the region token is put among the video's in the layers that follow. add: it is added to all tokens of its
tubelet, which needs no layers."""


@dataclass(frozen=True, kw_only=True)
class RegionConfig(FusionConfig):
    """Options of :class:`Region`.

    Args:
        how: see :data:`How`.
    """

    name: ClassVar[str] = "region"
    how: How = "insert"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.how not in get_args(How):
            raise OptionError(f"how is {self.how!r}; expected one of {', '.join(get_args(How))}")

    def make(self, site: Site) -> Fusion:
        """The module at a site."""
        return InsertedRegion(self, site) if self.how == "insert" else AddedRegion(self, site)


class Region(Fusion):
    """The token of what was looked at in each tubelet; where nothing was tracked, the vector of the state alone.

    Args:
        config: options.
        site: where it acts.
        size: of the region token.
    """

    def __init__(self, config: FusionConfig, site: Site, size: int) -> None:
        super().__init__(config, site)
        self.norm = nn.LayerNorm(site.tokens)
        self.project = nn.Linear(site.tokens, size, bias=False)
        self.states = self.state_tokens(size)

    def regions(self, tokens: Float[Tensor, "b n d"], gaze: GazeInputs) -> Float[Tensor, "b m e"]:
        """One token per tubelet.

        Args:
            tokens: at the site.
            gaze: of the same clips.
        """
        tubelet = self.site.tubelet
        density = pool_frames(self.maps.density(gaze, self.site.grid), tubelet).flatten(2)
        per_tubelet = tokens.unflatten(1, (-1, density.shape[2]))
        mass = density.sum(-1, keepdim=True)
        mean = torch.einsum("bmn,bmnd->bmd", density, per_tubelet) / torch.where(mass > 0, mass, 1.0)
        # half a tubelet of gaze is half a region: the states' vectors tell what the other half is
        return self.project(self.norm(mean)) * (mass / tubelet) + self.states.tubelets(gaze, tubelet)


class InsertedRegion(Region):
    """Region tokens go through the layers beside the video's, each at the mean place of its tubelet's gaze.

    Args:
        config: options.
        site: where it acts.
    """

    conditions_attention: ClassVar[bool] = True

    def __init__(self, config: FusionConfig, site: Site) -> None:
        super().__init__(config, site, site.layer_tokens)
        self.gate = Gate(site.layers, site.heads)

    def condition(self, tokens: Float[Tensor, "b n d"], gaze: GazeInputs) -> Conditioning:
        """A token per tubelet."""
        tubelet = self.site.tubelet
        places = pool_frames(token_places(gaze, self.site.grid, tubelet), tubelet) / tubelet
        return Conditioning(self.gate.factors, extra=self.regions(tokens, gaze), places=places)


class AddedRegion(Region):
    """Region tokens are added to all tokens of their tubelets, through a gate per channel.

    Args:
        config: options.
        site: where it acts.
    """

    def __init__(self, config: FusionConfig, site: Site) -> None:
        super().__init__(config, site, site.tokens)
        self.gate = Gate(site.tokens)

    def add(self, tokens: Float[Tensor, "b n d"], gaze: GazeInputs) -> Float[Tensor, "b n d"]:
        """The tokens with their tubelet's region."""
        regions = self.regions(tokens, gaze)
        return tokens + self.gate(regions.repeat_interleave(tokens.shape[1] // regions.shape[1], dim=1))
