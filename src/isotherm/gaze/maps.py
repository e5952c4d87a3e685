"""Gaze as maps over a grid: rendered from places or resampled from given maps, and pooled without losing mass.

A tracked frame has a mass of 1, any other frame none. Pooling cells and frames adds what they hold, so that the mass of
a clip stays the number of its tracked frames whatever the grid.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Size
from isotherm.gaze.inputs import GazeInputs
from isotherm.ops.gaussian import outer, peak_vectors, probability_vectors

SIGMA = 3 / 64
"""Standard deviation of a gaze map as a share of its width. Source: gazelle, 3 cells of a map of 64."""
FINER = 4
"""A density is rendered on this many cells along each side of a cell and then pooled: the centre of a cell alone would
not say how much of a narrow Gaussian it holds."""


def overlap(length: int, cells: int) -> Float[Tensor, "{length} {cells}"]:
    """Which share of each of ``length`` cells lies in each of ``cells`` over the same stretch: rows sum to 1.

    Example:
        >>> overlap(3, 2).tolist()
        [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    """
    start = torch.arange(length)[:, None] * cells
    low = torch.arange(cells)[None] * length
    # in whole numbers, of 1 / (length cells) of the stretch: the rows sum to 1 to the bit
    shared = torch.minimum(start + cells, low + length) - torch.maximum(start, low)
    return shared.clamp(min=0).float() / cells


def pool_cells(maps: Float[Tensor, "*b H W"], size: Size) -> Float[Tensor, "*b h w"]:
    """Maps on another grid over the same picture; cells add what lies in them, in parts where they are cut.

    Args:
        maps: (*batch, H, W).
        size: (h, w) of the grid, coarser or finer.
    """
    down, across = (overlap(n, k).to(maps) for n, k in zip(maps.shape[-2:], size, strict=True))
    return down.T @ maps @ across


def pool_frames(values: Float[Tensor, "b t *d"], tubelet: int) -> Float[Tensor, "b m *d"]:
    """Sums over the frames of each tubelet.

    Args:
        values: (b, t, ...), t a multiple of the tubelet.
        tubelet: frames.

    Raises:
        ShapeError: frames that are no whole tubelets.
    """
    if values.shape[1] % tubelet:
        raise ShapeError(
            f"there is gaze for {values.shape[1]} frames; expected a multiple of {tubelet}, the frames of a tubelet"
        )
    return values.unflatten(1, (-1, tubelet)).sum(2)


class GazeMaps(nn.Module):
    """Maps of gaze inputs on any grid.

    Args:
        sigma: standard deviation as a share of the picture's width.
        learned: it is a parameter that is trained.

    Raises:
        OptionError: a sigma that is not above 0.
    """

    def __init__(self, *, sigma: float = SIGMA, learned: bool = False) -> None:
        super().__init__()
        if not 0 < sigma < 1:
            raise OptionError(f"sigma is {sigma}; expected a share of the width above 0 and below 1")
        self.learned = learned
        # its logarithm, so that a step never makes it negative
        start = torch.tensor(sigma).log()
        self.log_sigma: Tensor
        if learned:
            self.log_sigma = nn.Parameter(start)
        else:
            self.register_buffer("log_sigma", start, persistent=False)

    @property
    def sigma(self) -> Tensor:
        """Standard deviation as a share of the width."""
        return self.log_sigma.exp()

    def density(self, gaze: GazeInputs, size: Size) -> Float[Tensor, "b t h w"]:
        """Where the gaze lies: maps that sum to 1 where it is tracked, and zeros elsewhere.

        Args:
            gaze: of clips; maps that were given are taken, otherwise Gaussians are made of the places.
            size: (h, w) of the grid.
        """
        tracked = gaze.tracked[..., None, None]
        if (maps := self._taken(gaze)) is not None:
            maps = pool_cells(maps, size)
            mass = maps.sum((-2, -1), keepdim=True)
            return torch.where(tracked & (mass > 0), maps / torch.where(mass > 0, mass, 1.0), 0.0)
        h, w = size
        gx, gy = probability_vectors(*self._cells(gaze, (h * FINER, w * FINER)), (h * FINER, w * FINER))
        gx, gy = gx.unflatten(-1, (w, FINER)).sum(-1), gy.unflatten(-1, (h, FINER)).sum(-1)
        return torch.where(tracked, outer(gx, gy), 0.0)

    def peaks(self, gaze: GazeInputs, size: Size, *, wider: float = 1.0) -> Float[Tensor, "b t h w"]:
        """The same as maps whose peak is 1, as networks read them.

        Args:
            gaze: of clips.
            size: (h, w) of the grid.
            wider: factor of sigma, for coarser maps.
        """
        tracked = gaze.tracked[..., None, None]
        if (maps := self._taken(gaze)) is not None:
            maps = pool_cells(maps, size)
            top = maps.amax((-2, -1), keepdim=True)
            return torch.where(tracked, maps / torch.where(top > 0, top, 1.0), 0.0)
        cells, sigma = self._cells(gaze, size)
        return torch.where(tracked, outer(*peak_vectors(cells, sigma * wider, size)), 0.0)

    def _taken(self, gaze: GazeInputs) -> Tensor | None:
        if gaze.maps is not None and self.learned:
            raise OptionError(
                "the gaze comes as maps, whose width cannot be learned; give places, or set learned_sigma to False"
            )
        return gaze.maps

    def _cells(self, gaze: GazeInputs, size: Size) -> tuple[Tensor, Tensor]:
        """Places and sigma in cells of a grid; round in the picture's pixels."""
        cells = gaze.places * gaze.xy.new_tensor([size[1], size[0]])
        per_axis = torch.stack([self.sigma * size[1], self.sigma * gaze.size[1] / gaze.size[0] * size[0]])
        return cells, per_axis.to(cells).expand(cells.shape)
