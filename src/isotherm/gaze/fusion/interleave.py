"""Heatmap patches as tokens among the video's: the published way, with gates and with positions of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import OptionError
from isotherm.gaze.features import frame_places
from isotherm.gaze.fusion.fusion import Fusion, FusionConfig, Site, expect_positive
from isotherm.gaze.fusion.heatmap_embedding import HeatmapEmbedding
from isotherm.gaze.gate import Gate
from isotherm.gaze.inputs import GazeInputs
from isotherm.models.transformers.vjepa2.conditioned import Conditioning

Per = Literal["tubelet", "frame"]


@dataclass(frozen=True, kw_only=True)
class InterleaveConfig(FusionConfig):
    """Options of :class:`Interleave`.

    Args:
        heatmap_patch_size: in pixels of the input; None: as the video's patches. 16 as published, where those are 16.
        per: a set of tokens per tubelet, or per frame.
        pooled: the mean of a frame's or tubelet's patches is one token, as in the published predictor. Since every
            patch goes through the same weights, that token says where within a patch somebody looked, but not in
            which.
        cells: of the map along each side of a patch.
        scales: of patches: (1, 2) puts tokens of patches that are twice as large beside the others.
    """

    name: ClassVar[str] = "interleave"
    heatmap_patch_size: int | None = None
    per: Per = "tubelet"
    pooled: bool = False
    cells: int = 4
    scales: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_positive(self, "cells")
        if self.per not in get_args(Per):
            raise OptionError(f"per is {self.per!r}; expected one of {', '.join(get_args(Per))}")
        if not self.scales or min(self.scales) < 1 or len(set(self.scales)) != len(self.scales):
            raise OptionError(f"scales are {self.scales}; expected at least one, each at least 1 and once")

    def make(self, site: Site) -> Interleave:
        """The module at a site."""
        return Interleave(self, site)


class Interleave(Fusion):
    """Tokens of heatmap patches go through the layers beside the video's, each at the place of its patch.

    Args:
        config: options.
        site: where it acts.

    Raises:
        OptionError: patches that do not divide the input.
    """

    conditions_attention: ClassVar[bool] = True

    def __init__(self, config: InterleaveConfig, site: Site) -> None:
        super().__init__(config, site)
        self.per, self.pooled = 1 if config.per == "frame" else site.tubelet, config.pooled
        grids = [self._grid(config, scale) for scale in config.scales]
        self.embeddings = nn.ModuleList(HeatmapEmbedding(site.layer_tokens, grid, cells=config.cells) for grid in grids)
        self.states = self.state_tokens(site.layer_tokens)
        self.gate = Gate(site.layers, site.heads)
        at = [torch.tensor([[0.5 * (site.grid[0] - 1), 0.5 * (site.grid[1] - 1)]])] if config.pooled else []
        self.register_buffer("at", torch.cat(at or [_middles(grid, site.grid) for grid in grids]), persistent=False)
        self.at: Tensor

    def _grid(self, config: InterleaveConfig, scale: int) -> tuple[int, int]:
        h, w = (config.heatmap_patch_size or side for side in self.site.patch)
        if self.site.size[0] % (h * scale) or self.site.size[1] % (w * scale):
            raise OptionError(
                f"heatmap patches of {h * scale} x {w * scale} pixels (heatmap_patch_size times scale {scale}) do not divide the model's input of "
                f"{self.site.size[0]} x {self.site.size[1]}"
            )
        return self.site.size[0] // (h * scale), self.site.size[1] // (w * scale)

    def condition(self, tokens: Float[Tensor, "b n d"], gaze: GazeInputs) -> Conditioning:
        """Tokens of all scales, by tubelet or frame."""
        sets = [embed(self.maps, gaze, tubelet=self.per).flatten(2, 3) for embed in self.embeddings]
        extra = torch.cat([each.mean(2, keepdim=True) for each in sets] if self.pooled else sets, dim=2)
        if self.pooled:
            extra = extra.mean(2, keepdim=True)
        extra = extra + self.states.tubelets(gaze, self.per)[:, :, None]
        b, m, k = extra.shape[:3]
        # the middles of frames, or of tubelets, on the axis of tubelets
        when = frame_places(m, self.site.tubelet // self.per).to(extra)
        places = torch.cat([when[:, None, None].expand(m, k, 1), self.at.to(extra).expand(m, k, 2)], dim=-1)
        return Conditioning(self.gate.factors, extra=extra.flatten(1, 2), places=places.flatten(0, 1).expand(b, -1, -1))


def _middles(grid: tuple[int, int], of_video: tuple[int, int]) -> Tensor:
    """(h w, 2) rows and columns of the middles of patches, in tokens of the video."""
    rows, columns = ((torch.arange(n) + 0.5) * (video / n) - 0.5 for n, video in zip(grid, of_video, strict=True))
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).flatten(0, 1)
