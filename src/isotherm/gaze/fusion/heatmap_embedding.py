"""A small network from gaze maps to vectors of patches, at one or more resolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import OptionError
from isotherm.frame import Size
from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.maps import GazeMaps, pool_frames


class HeatmapEmbedding(nn.Module):
    """Peak maps -> a vector per patch, through two convolutions without biases: where no gaze is, the vector is 0.

    Args:
        size: of a vector.
        grid: (h, w) of patches.
        cells: of a map along each side of a patch; the second convolution spans them.
        scale: 1, or more for a coarser map: its Gaussian is that much wider, on that many times fewer cells. Where
            these are fewer than the patches, neighbouring patches share a vector.
        channels: between the convolutions.

    Raises:
        OptionError: cells and a scale of which neither divides the other.
    """

    def __init__(self, size: int, grid: Size, *, cells: int = 4, scale: int = 1, channels: int = 16) -> None:
        super().__init__()
        if cells < 1 or scale < 1 or (cells % scale and scale % cells):
            raise OptionError(
                f"a patch has {cells} cells and the scale is {scale}; expected numbers of at least 1, one of which divides the other"
            )
        self.grid, self.scale = grid, scale
        kernel, self.shared = max(cells // scale, 1), max(scale // cells, 1)
        self.patches = math.ceil(grid[0] / self.shared), math.ceil(grid[1] / self.shared)
        self.cells: Size = (self.patches[0] * kernel, self.patches[1] * kernel)
        self.smooth = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        self.embed = nn.Conv2d(channels, size, kernel, stride=kernel, bias=False)
        nn.init.kaiming_normal_(self.smooth.weight)
        nn.init.kaiming_normal_(self.embed.weight)

    def forward(self, maps: GazeMaps, gaze: GazeInputs, *, tubelet: int = 1) -> Float[Tensor, "b m h w d"]:
        """One vector per patch and tubelet.

        Args:
            maps: how gaze becomes maps.
            gaze: of clips.
            tubelet: frames whose maps are averaged first; 1: one set of vectors per frame.
        """
        peaks = maps.peaks(gaze, self.cells, wider=self.scale)
        if tubelet > 1:
            peaks = pool_frames(peaks, tubelet) / tubelet
        b, m = peaks.shape[:2]
        vectors = self.embed(nn.functional.gelu(self.smooth(peaks.flatten(0, 1)[:, None])))
        if self.shared > 1:
            vectors = vectors.repeat_interleave(self.shared, -2).repeat_interleave(self.shared, -1)
            vectors = vectors[..., : self.grid[0], : self.grid[1]]
        return rearrange(vectors, "(b m) d h w -> b m h w d", b=b, m=m)


def embeddings(size: int, grid: Size, *, cells: int, scales: Sequence[int]) -> nn.ModuleList:
    """One embedding per scale.

    Args:
        size: of a vector.
        grid: (h, w) of patches.
        cells: along each side of a patch at scale 1.
        scales: 1 for the finest.

    Raises:
        OptionError: no scale, or one twice.
    """
    if not scales or len(set(scales)) != len(scales):
        raise OptionError(f"scales are {tuple(scales)}; expected at least one, each once")
    return nn.ModuleList(HeatmapEmbedding(size, grid, cells=cells, scale=scale) for scale in scales)
