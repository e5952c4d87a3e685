"""Raw gaze as tokens: a frame's place, time and confidence go in as they are, and stand where somebody looked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from isotherm.gaze.features import GazeTokens, token_places
from isotherm.gaze.fusion.fusion import Fusion, FusionConfig, Site
from isotherm.gaze.gate import Gate
from isotherm.gaze.inputs import GazeInputs
from isotherm.models.transformers.vjepa2.conditioned import Conditioning


@dataclass(frozen=True, kw_only=True)
class PointsConfig(FusionConfig):
    """Options of :class:`GazePoints`; sigma has no meaning here, as nothing is rendered."""

    name: ClassVar[str] = "points"

    def make(self, site: Site) -> GazePoints:
        """The module at a site."""
        return GazePoints(self, site)


class GazePoints(Fusion):
    """A token per frame is put among the video's, with the rotary position of the place that was looked at.

    Args:
        config: options.
        site: where it acts.
    """

    conditions_attention: ClassVar[bool] = True
    renders: ClassVar[bool] = False

    def __init__(self, config: PointsConfig, site: Site) -> None:
        super().__init__(config, site)
        self.tokens = GazeTokens(site.layer_tokens, config.states)
        self.gate = Gate(site.layers, site.heads)

    def condition(self, tokens: Float[Tensor, "b n d"], gaze: GazeInputs) -> Conditioning:
        """A token per frame."""
        places = token_places(gaze, self.site.grid, self.site.tubelet)
        return Conditioning(self.gate.factors, extra=self.tokens(gaze), places=places)
