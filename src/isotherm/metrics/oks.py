"""Object keypoint similarity: distances of points as COCO weighs them, by the object's area and each point's
constant.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.errors import InputError, OptionError, ShapeError
from isotherm.metrics.point_errors import place_known

COCO_SIGMAS = (
    0.026,
    0.025,
    0.025,
    0.035,
    0.035,
    0.079,
    0.079,
    0.072,
    0.072,
    0.062,
    0.062,
    0.107,
    0.107,
    0.087,
    0.087,
    0.089,
    0.089,
)
"""Constants of COCO's seventeen points of a person, from the nose to the right ankle."""
TINY = 2.220446049250313e-16
"""What COCO's evaluation adds to areas, so that none is 0."""


def oks(
    predicted: Float[Tensor, "m n 2"],
    truth: Float[Tensor, "m n 2"],
    state: Int[Tensor, "m n"],
    area: Float[Tensor, " m"],
    sigmas: Sequence[float],
) -> Float[Tensor, " m"]:
    """The mean over known points of exp(-d^2 / (2 area (2 sigma)^2)).

    Args:
        predicted, truth: (m, n, 2) in the same pixels.
        state: (m, n) of the truth.
        area: (m,) of the objects in pixels squared.
        sigmas: (n) constants of the points.

    Returns:
        (m,) float64 from 0 to 1; NaN where no point is known.

    Raises:
        ShapeError: parts that do not fit.
        OptionError: a constant that is not above 0, or an area that is negative or NaN.
        InputError: a predicted point that would be compared is not finite.

    Source: COCO keypoint evaluation; ``cocoeval.py`` of pycocotools, computeOks. There points count from the centre of
    the first pixel and here from the edge; a shift of both changes nothing.

    Example:
        >>> point = torch.zeros(1, 1, 2)
        >>> oks(point + 10, point, torch.tensor([[1]]), torch.tensor([10000.0]), [0.1]).item()   # exp(-200 / (2 * 10000 * 0.04))
        0.7788007830714049
    """
    if predicted.shape != truth.shape or predicted.shape[:2] != state.shape:
        raise ShapeError(
            f"predicted has shape {tuple(predicted.shape)}, the truth {tuple(truth.shape)} and the states {tuple(state.shape)}; expected (m, n, 2) twice and (m, n)"
        )
    variance = _expect(area, sigmas, state.shape[-1])
    squared = (predicted.double() - truth.double()).square().sum(-1)
    known = place_known(state)
    # the mean below leaves NaN out: a lost point would raise the figure
    lost = known & ~torch.isfinite(predicted).all(-1)
    if bool(lost.any()):
        row, point = lost.nonzero()[0].tolist()
        raise InputError(
            f"the predicted point {point} of picture {row} is {predicted[row, point].tolist()}; expected a finite place, because the true one is known"
        )
    each = torch.exp(-squared / variance / (area.double()[:, None] + TINY) / 2)
    return torch.where(known, each, torch.nan).nanmean(-1)


def oks_matrix(
    predicted: Float[Tensor, "p n 2"],
    truth: Float[Tensor, "g n 2"],
    state: Int[Tensor, "g n"],
    area: Float[Tensor, " g"],
    boxes: Float[Tensor, "g 4"],
    sigmas: Sequence[float],
) -> Float[Tensor, "p g"]:
    """The similarity of every prediction with every true object of a picture, as COCO's evaluation has it.

    A true object without known points (a crowd) is compared by its box: points inside of the box made twice as large
    around its centre count as exact, those outside by their distance from it.

    Args:
        predicted: (p, n, 2).
        truth: (g, n, 2).
        state: (g, n).
        area: (g,).
        boxes: (g, 4) x0, y0, x1, y1 of the true objects.

    Source: computeOks of pycocotools.
    """
    variance = _expect(area, sigmas, state.shape[-1])
    known = place_known(state)
    apart = predicted.double()[:, None] - torch.where(known[..., None], truth.double(), 0.0)
    size = boxes[:, 2:] - boxes[:, :2]
    low, high = (boxes[:, :2] - size).double(), (boxes[:, 2:] + size).double()
    at = predicted.double()[:, None]
    outside = (low[:, None] - at).clamp(min=0) + (at - high[:, None]).clamp(min=0)
    nothing = ~known.any(-1)
    apart = torch.where(nothing[:, None, None], outside, apart)
    each = torch.exp(-apart.square().sum(-1) / variance / (area.double()[:, None] + TINY) / 2)
    counted = known | nothing[:, None]
    return torch.where(counted, each, 0.0).sum(-1) / counted.sum(-1).clamp(min=1)


def _expect(area: Tensor, sigmas: Sequence[float], n: int) -> Tensor:
    if len(sigmas) != n:
        raise ShapeError(f"there are {len(sigmas)} sigmas for {n} points; expected one for each")
    if any(not s > 0 for s in sigmas) or bool((~(area >= 0)).any()):
        raise OptionError(
            f"sigmas are {tuple(sigmas)} and the smallest area {float(area.min()) if len(area) else 0}; expected above 0, and at least 0"
        )
    return (2 * torch.tensor(sigmas, dtype=torch.float64, device=area.device)).square()
