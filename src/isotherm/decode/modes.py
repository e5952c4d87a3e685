"""The places that one map means: its modes, each with its share of the probability."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from isotherm.decode.peaks import peaks
from isotherm.decode.reading import read_maps
from isotherm.decode.uncertainty import cell_probability
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap, Kind
from isotherm.ops.flatness import FLAT
from isotherm.points import Points


def modes(
    maps: Heatmap | Float[Tensor, "*b n h w"],
    frame: Frame | None = None,
    *,
    most: int,
    least_share: float = 0.01,
    radius: int = 2,
    kind: Kind | None = None,
) -> Points:
    """The ``most`` strongest places of every map, each with the probability of the cells that are nearest to it.

    Args:
        maps: logits or probabilities, a Heatmap or values (*batch, n, h, w).
        frame: of plain values; left out, points come out in cells.
        most: places per map.
        least_share: peaks lower than this share of the highest one are none. A flat map, whose highest cell has less
            than a hundredth more than an equal share, has one place with all of it around, and the score of that cell
            alone.
        radius: as of :func:`isotherm.decode.peaks`.
        kind: of plain values, 'logits' unless given.

    Returns:
        Points (*batch, n * most) in source pixels, as of :func:`isotherm.decode.peaks`. ``xy`` and ``covariance`` are
        mean and covariance of the probability nearest to each, ``score`` its sum: the scores of a map sum to 1.

    Raises:
        KindError: maps of another kind.
        OptionError: most or radius below 1, a share that is not between 0 and 1.

    Example:
        >>> maps = torch.full((1, 8, 8), -20.0)
        >>> maps[0, 2, 1], maps[0, 5, 6] = 0.0, 1.0986  # three to one
        >>> found = modes(maps, most=2)
        >>> found.xy.round(decimals=3).tolist(), [round(s, 2) for s in found.score.tolist()]
        ([[6.5, 5.5], [1.5, 2.5]], [0.75, 0.25])
    """
    if not 0 < least_share < 1:
        raise OptionError(f"least_share is {least_share}; expected a share between 0 and 1, such as 0.01")
    read = read_maps(maps, frame, kinds=("logits", "probability"), kind=kind)
    probability = cell_probability(read.values, kind=read.kind)
    h, w = read.frame.size
    highest = probability.amax((-2, -1), keepdim=True)
    flat = (highest * (h * w) <= 1 + FLAT) & (h * w > 1)
    only = F.one_hot(probability.flatten(-2).argmax(-1), h * w).view_as(probability).to(probability)
    # of the highest's share, so that one threshold holds for all maps
    tops = peaks(
        torch.where(flat, only, probability / highest), most=most, threshold=least_share, radius=radius, kind="peak"
    )
    lead, n = probability.shape[:-3], probability.shape[-3]
    seeds = tops.xy.unflatten(-2, (n, most))
    centres = _centres(h, w, probability)
    apart = (centres - seeds[..., :, None, :]).square().sum(-1).nan_to_num(nan=torch.inf)
    # cells of equal distance to two go to the stronger one, which comes first
    owner = apart.argmin(-2)
    mine = owner[..., None, :] == torch.arange(most, device=owner.device)[:, None]
    weight = probability.flatten(-2)[..., None, :] * mine
    share = torch.where(flat[..., 0], highest[..., 0] * (weight.sum(-1) > 0), weight.sum(-1))
    whole = weight.sum(-1)
    safe = torch.where(whole > 0, whole, 1.0)[..., None]
    mean = (weight @ centres) / safe
    apart_xy = centres - mean[..., :, None, :]
    covariance = torch.einsum("...k,...ki,...kj->...ij", weight, apart_xy, apart_xy) / safe[..., None]
    valid = torch.isfinite(tops.xy).all(-1)
    shape = (*lead, n * most)
    return read.decoded(
        mean.reshape(*shape, 2),
        covariance.reshape(*shape, 2, 2),
        share.reshape(shape),
        valid=valid,
        channel=tops.channel,
    )


def _centres(h: int, w: int, like: Tensor) -> Float[Tensor, "k 2"]:
    y, x = (torch.arange(side, dtype=like.dtype, device=like.device) + 0.5 for side in (h, w))
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).flip(-1).view(-1, 2)
