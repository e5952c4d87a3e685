"""Several places per map: local maxima, the strongest of them, each to a fraction of a cell."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from isotherm.decode.argmax import value_at
from isotherm.decode.reading import read_maps
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap, Kind
from isotherm.ops.flatness import stands_out
from isotherm.points import Points


def peaks(
    maps: Heatmap | Float[Tensor, "*b n h w"],
    frame: Frame | None = None,
    *,
    most: int,
    threshold: float,
    radius: int = 2,
    kind: Kind | None = None,
) -> Points:
    """Decode maps that hold several instances: the ``most`` strongest local maxima of every map.

    Args:
        maps: peak, probability (per cell) or relevance maps, a Heatmap or values (*batch, n, h, w).
        frame: of plain values; left out, points come out in cells.
        most: instances per map.
        threshold: values below it are none, nor are those of a flat map, which stand above its smallest by less than a
            hundredth of themselves.
        radius: a peak is the largest within this many cells each way; of equals the first counts.
        kind: of plain values, 'peak' unless given.

    Returns:
        Points (*batch, n * most) in source pixels: the ``most`` of the first map, strongest first, then of the next;
        ``channel`` says which map. Where there are fewer, the rest is ABSENT (NaN, score 0). Each place is the top of a
        parabola through the logarithms along each axis, exact for Gaussians that lie apart; at the border, where a
        neighbour is missing, the cell's centre along that axis. ``covariance``: what the parabolas say of the peak's
        width, NaN along an axis without one. ``score``: the largest cell's value.

    Raises:
        KindError: logits, whose heights mean nothing from one map to the next.
        OptionError: most or radius below 1, or a threshold that is not above 0 (the logarithm needs one).

    Source: Local maxima by max pooling: Zhou et al., "Objects as Points", 2019, section 4.

    Example:
        >>> two = torch.zeros(1, 8, 8).index_put((torch.tensor(0), torch.tensor([1, 6]), torch.tensor([2, 5])), torch.tensor([0.5, 0.9]))
        >>> peaks(two, most=3, threshold=0.1).xy.nan_to_num(-1).tolist()
        [[5.5, 6.5], [2.5, 1.5], [-1.0, -1.0]]
    """
    read = read_maps(maps, frame, kinds=("peak", "probability", "relevance"), kind=kind)
    if most < 1 or radius < 1:
        raise OptionError(f"most is {most} and radius {radius}; expected at least 1 of each")
    if not threshold > 0:
        raise OptionError(f"threshold is {threshold}; expected a number above 0, in the maps' own values")
    values, (h, w) = read.values, read.frame.size
    lead, n = values.shape[:-3], values.shape[-3]
    flat = values.reshape(-1, 1, h, w)
    _, winner = F.max_pool2d(flat, 2 * radius + 1, stride=1, padding=radius, return_indices=True)
    own = torch.arange(h * w, device=values.device).view(1, 1, h, w)
    is_peak = (winner == own) & (flat >= threshold) & torch.isfinite(flat) & stands_out(flat)
    count = min(most, h * w)
    score, index = torch.where(is_peak, flat, -torch.inf).flatten(1).topk(count, -1)
    score, index = F.pad(score, (0, most - count), value=-torch.inf), F.pad(index, (0, most - count))
    cell_x, cell_y = index % w, index.div(w, rounding_mode="floor")
    repeated = flat.expand(-1, most, h, w)

    def log_at(dx: int, dy: int) -> Tensor:
        return value_at(repeated, cell_x + dx, cell_y + dy).clamp_min(1e-10).log()

    centre = log_at(0, 0)
    step_x, var_x = _parabola(log_at(-1, 0), centre, log_at(1, 0), (cell_x > 0) & (cell_x < w - 1))
    step_y, var_y = _parabola(log_at(0, -1), centre, log_at(0, 1), (cell_y > 0) & (cell_y < h - 1))
    xy = torch.stack([cell_x + 0.5 + step_x, cell_y + 0.5 + step_y], -1)
    channel = torch.arange(n, device=values.device)[:, None].expand(*lead, n, most).flatten(-2)
    shape = (*lead, n * most)
    valid = (score > -torch.inf).reshape(shape)
    covariance = torch.diag_embed(torch.stack([var_x, var_y], -1)).reshape(*shape, 2, 2)
    return read.decoded(xy.reshape(*shape, 2), covariance, score.reshape(shape), valid=valid, channel=channel)


def _parabola(left: Tensor, centre: Tensor, right: Tensor, has_both: Tensor) -> tuple[Tensor, Tensor]:
    """Where a parabola through three neighbours is highest, at most half a cell away, and its variance 1 /
    curvature.
    """
    curvature = 2 * centre - left - right
    usable = has_both & (curvature > 0)
    safe = torch.where(usable, curvature, 1.0)
    step = (0.5 * (right - left) / safe).clamp(-0.5, 0.5)
    return torch.where(usable, step, 0.0), torch.where(usable, 1 / safe, torch.nan)
