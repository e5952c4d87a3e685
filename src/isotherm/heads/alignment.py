"""Does a change of cell (i, j) of the features change the maps at (i, j)? A self-test of any head."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import ShapeError
from isotherm.frame import Size


def response_centre(
    head: nn.Module, *, in_dim: int, grid: Size, cell: tuple[int, int], trials: int = 8, seed: int = 0
) -> Float[Tensor, "2"]:
    """Where the maps answer to a change in one cell of random features, (x, y) in cells of the grid, edge-origin.

    The centre of gravity of the squared change, less its median: a norm over the map answers a little everywhere. It
    runs the head as it is (in training, batch statistics move along), without gradients.

    Args:
        head: (b, in_dim, h, w) -> (b, n, H, W).
        grid: (h, w).
        cell: (row, column).
        trials: different changes that are averaged.
        seed: of the features.

    Returns:
        (2,) float64; NaN where nothing answers.
    """
    generator = torch.Generator().manual_seed(seed)
    parameter = next(head.parameters(), torch.zeros(()))
    features = torch.randn(1, in_dim, *grid, generator=generator).expand(trials, -1, -1, -1).to(parameter)
    changed = features.clone()
    changed[:, :, cell[0], cell[1]] += 3 * torch.randn(trials, in_dim, generator=generator).to(parameter)
    with torch.no_grad():
        energy = (head(changed) - head(features)).double().square().mean((0, 1))
    energy = (energy - energy.median()).clamp(min=0)
    (height, width), total = energy.shape, energy.sum()
    x = (energy.sum(0) * (torch.arange(width, device=energy.device) + 0.5)).sum() / total * grid[1] / width
    y = (energy.sum(1) * (torch.arange(height, device=energy.device) + 0.5)).sum() / total * grid[0] / height
    return torch.stack([x, y]).cpu()


def check_alignment(
    head: nn.Module, *, in_dim: int, grid: Size = (9, 12), tolerance_cells: float = 1.5, seed: int = 0
) -> None:
    """Raise unless a change in a cell of the features moves the maps at that cell.

    Catches maps that are transposed, mirrored, shifted, or whose tokens were laid out behind the wrong prefix.

    Args:
        head: (b, in_dim, h, w) -> (b, n, H, W).
        grid: (h, w) to test on, at least 7 each and not square.
        tolerance_cells: how far the centre of the answer may lie from the cell's centre, along each axis. Untrained
            convolutions are lopsided by half a cell, some by more than one.

    Raises:
        ShapeError: the answer lies elsewhere, or there is none; the message says where.

    Example:
        >>> from isotherm.heads import LinearHead
        >>> check_alignment(LinearHead(4, 1, ratio=2), in_dim=4)
    """
    h, w = grid
    if min(h, w) < 7 or h == w:
        raise ShapeError(
            f"grid is {grid}; expected at least 7 cells along each axis, and not as many, or a transposed map would pass"
        )
    for cell in ((3, w - 4), (h - 4, 3)):
        centre = response_centre(head, in_dim=in_dim, grid=grid, cell=cell, seed=seed)
        away = centre - torch.tensor([cell[1] + 0.5, cell[0] + 0.5], dtype=centre.dtype)
        # a NaN is not within any tolerance
        if not bool((away.abs() <= tolerance_cells).all()):
            raise ShapeError(
                f"a change at row {cell[0]}, column {cell[1]} of a grid of {h} x {w} moves the maps around row "
                f"{float(centre[1]) - 0.5:.1f}, column {float(centre[0]) - 0.5:.1f}; a head must answer where it was asked "
                "(are its axes swapped, or its cells shifted?)"
            )
