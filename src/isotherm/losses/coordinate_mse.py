"""Mean squared error of places that a model gives directly, as shares of its input."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.points import Points, State


def coordinate_mse(
    places: Float[Tensor, "b n 2"], points: Points, frame: Frame, *, groups: Sequence[Sequence[int]] = ()
) -> Float[Tensor, ""]:
    """The mean over the coordinates of all points whose place is known, also outside of the input; 0 where none is.

    Args:
        places: (b, n, 2) as (x, y) from 0 to 1 over the input.
        points: (b, n) in source pixels; NaN where not known.
        frame: (b,) of the input.
        groups: sets of points whose order says nothing: the order with the least sum counts.

    Raises:
        OptionError: a group of more than four.
    """
    state = points.state
    known = torch.isfinite(points.xy).all(-1)
    if state is not None:
        known = known & (state != int(State.UNLABELLED)) & (state != int(State.ABSENT))
    h, w = frame.size
    at = frame.points_from_source(torch.where(known[..., None], points.xy, 0.0)) / torch.tensor([w, h]).to(points.xy)
    apart = (places[:, :, None] - at[:, None].to(places)).square().sum(-1)  # (b, place, point)
    cost = torch.where(known[:, None], apart, 0.0)
    alone = [i for i in range(places.shape[1]) if all(i not in group for group in groups)]
    total = cost[:, alone, alone].sum()
    for group in groups:
        if len(group) > 4:
            raise OptionError(f"a group has {len(group)} points; expected at most 4 whose order says nothing")
        orders = [cost[:, list(order), list(group)].sum(-1) for order in permutations(group)]
        total = total + torch.stack(orders).amin(0).sum()
    return total / (2 * known.sum()).clamp(min=1)


def places_to_source(places: Float[Tensor, "b n 2"], frame: Frame) -> Points:
    """Places as shares of the input as points in source pixels; they say nothing of how sure they are."""
    h, w = frame.size
    return Points(frame.points_to_source(places * torch.tensor([w, h]).to(places)))
