"""Gaze added to the patches that it lies on: every token gets a vector of the gaze map over its own patch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.gaze.fusion.fusion import Fusion, FusionConfig, Site, expect_positive
from isotherm.gaze.fusion.heatmap_embedding import embeddings
from isotherm.gaze.gate import Gate
from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.state_tokens import AddedStates


@dataclass(frozen=True, kw_only=True)
class PatchAddConfig(FusionConfig):
    """Options of :class:`PatchAdd`.

    Args:
        cells: of the map along each side of a patch.
        scales: of maps whose vectors are summed; (1,) is one map, (1, 4) a second that is four times coarser.
    """

    name: ClassVar[str] = "patch_add"
    cells: int = 4
    scales: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_positive(self, "cells")

    def make(self, site: Site) -> PatchAdd:
        """The module at a site."""
        return PatchAdd(self, site)


class PatchAdd(Fusion):
    """tokens + gate (vectors of the map over each patch) + gate (vectors of the tubelet's states), gates per channel.

    Args:
        config: options.
        site: where it acts.
    """

    def __init__(self, config: PatchAddConfig, site: Site) -> None:
        super().__init__(config, site)
        self.embeddings = embeddings(site.tokens, site.grid, cells=config.cells, scales=config.scales)
        self.gate = Gate(site.tokens)
        self.states = AddedStates(site.tokens, config.states)

    def add(self, tokens: Float[Tensor, "b n d"], gaze: GazeInputs) -> Float[Tensor, "b n d"]:
        """The tokens with the vectors of their patches."""
        tubelet = self.site.tubelet
        branch = torch.stack([embed(self.maps, gaze, tubelet=tubelet) for embed in self.embeddings]).sum(0)
        return self.states(tokens + self.gate(branch.flatten(1, 3)), gaze, tubelet)
