"""How sure a map is: its entropy, and the smallest region that holds a share of its probability."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.decode.reading import read_maps
from isotherm.errors import OptionError
from isotherm.heatmap import Heatmap, Kind


def cell_probability(
    maps: Heatmap | Float[Tensor, "*b n h w"], *, kind: Kind | None = None
) -> Float[Tensor, "*b n h w"]:
    """The probability of every cell: a softmax of logits over their map, probabilities divided by their sum.

    Args:
        maps: logits or probabilities, a Heatmap or values (*batch, n, h, w).
        kind: of plain values, 'logits' unless given.

    Raises:
        KindError: maps of another kind.
    """
    read = read_maps(maps, None, kinds=("logits", "probability"), kind=kind)
    if read.kind == "logits":
        return read.values.flatten(-2).softmax(-1).view_as(read.values)
    return read.values / read.values.sum((-2, -1), keepdim=True)


def entropy(maps: Heatmap | Float[Tensor, "*b n h w"], *, kind: Kind | None = None) -> Float[Tensor, "*b n"]:
    """The entropy of every map in nats: 0 where one cell has all, ln(h w) where all have the same.

    Args:
        maps, kind: as of :func:`cell_probability`.

    Example:
        >>> entropy(torch.zeros(1, 4, 4)).exp().round()
        tensor([16.])
    """
    return torch.special.entr(cell_probability(maps, kind=kind)).sum((-2, -1))


def credible_region(
    maps: Heatmap | Float[Tensor, "*b n h w"], *, level: float, kind: Kind | None = None
) -> Bool[Tensor, "*b n h w"]:
    """The fewest cells that together hold at least a share of the probability: the most probable ones.

    Args:
        maps, kind: as of :func:`cell_probability`.
        level: the share, between 0 and 1.

    Raises:
        OptionError: a level outside of that.

    Example:
        >>> maps = torch.tensor([[[0.5, 0.3, 0.2]]])
        >>> credible_region(maps, level=0.7, kind="probability").tolist()
        [[[True, True, False]]]
    """
    if not 0 < level < 1:
        raise OptionError(f"level is {level}; expected a share between 0 and 1, such as 0.9")
    probability = cell_probability(maps, kind=kind).detach()
    ordered, order = probability.flatten(-2).sort(-1, descending=True)
    # a cell belongs to the region where those before it do not hold the share yet
    inside = ordered.cumsum(-1) - ordered < level - 1e-6
    return torch.zeros_like(inside).scatter(-1, order, inside).view_as(probability)
