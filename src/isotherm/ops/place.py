"""Points on a raster: from source pixels to cells, with what shall happen to those outside of it."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame, Size
from isotherm.points import Points, State

OffFrame = Literal["tail", "background", "clip", "drop"]
"""What a point outside of the raster gives.

tail: the part of its Gaussian that reaches into the raster. background: a map of zeros that is supervised, "it is not
here". clip: the point moves to the nearest place on the raster's edge. drop: a map of zeros, and the state UNLABELLED,
so that no loss counts it. Under the first three the state says OUT_OF_FRAME.
"""


class Placed(NamedTuple):
    """Points in cells.

    Args:
        cells: (*batch, n, 2) (x, y), finite everywhere.
        shown: (*batch, n) whether the point is drawn.
        state: (*batch, n) of :class:`isotherm.points.State`.
    """

    cells: Float[Tensor, "*b n 2"]
    shown: Bool[Tensor, "*b n"]
    state: Int[Tensor, "*b n"]


def place(
    points: Points | Float[Tensor, "*b n 2"],
    frame: Frame | Size,
    *,
    state: Int[Tensor, "*b n"] | None = None,
    off_frame: OffFrame = "tail",
) -> Placed:
    """Points in source pixels -> cells, with their states and the policy for those outside.

    Args:
        points: (*batch, n, 2) (x, y), or Points with states of their own.
        frame: single, or batched as the first dimensions of the points; or a size (h, w), and the points are in its
            cells.
        state: (*batch, n); all LABELLED unless given. A place that is not finite is not known: UNLABELLED, or, where
            the state says OUT_OF_FRAME, outside.
        off_frame: see :data:`OffFrame`. A point on the very edge is inside. OUT_OF_FRAME is always judged anew, because
            another crop may show what the last one cut off.

    Raises:
        OptionError: no such policy.
        ShapeError: parts that do not fit one another.
    """
    if off_frame not in get_args(OffFrame):
        raise OptionError(f"off_frame is {off_frame!r}; expected one of {', '.join(get_args(OffFrame))}")
    if isinstance(points, Points):
        if state is not None:
            raise ShapeError("Points have states of their own; leave state out")
        state = points.state
    xy = placed(points.xy if isinstance(points, Points) else points)
    if state is not None and state.shape != xy.shape[:-1]:
        raise ShapeError(f"state has shape {tuple(state.shape)}; expected {tuple(xy.shape[:-1])}, one for every point")
    finite = torch.isfinite(xy).all(-1)
    # a place that is not known may be NaN: put another in before the arithmetic, so that gradients stay clean too
    xy = torch.where(finite[..., None], xy, 0.0)
    cells = Points(xy).to_cells(frame).xy if isinstance(frame, Frame) else xy
    h, w = frame.size if isinstance(frame, Frame) else frame
    limit = torch.tensor([w, h], dtype=cells.dtype, device=cells.device)
    clipped = torch.minimum(cells.clamp(min=0), limit)
    outside = (cells != clipped).any(-1)

    if state is None:
        shown = finite
        state = torch.where(finite, int(State.LABELLED), int(State.UNLABELLED))
    else:
        known = (state != int(State.UNLABELLED)) & (state != int(State.ABSENT))
        beyond = state == int(State.OUT_OF_FRAME)
        shown = finite & known
        state = torch.where(beyond & finite, int(State.LABELLED), state.long())
        # of a point known to be outside, but not where, the policy 'background' needs to know no more
        lost = known & ~finite & ~(beyond if off_frame == "background" else torch.zeros_like(beyond))
        state = torch.where(lost, int(State.UNLABELLED), state)
    outside = outside & shown
    state = torch.where(outside, int(State.UNLABELLED if off_frame == "drop" else State.OUT_OF_FRAME), state)
    if off_frame == "clip":
        cells = clipped
    elif off_frame in ("background", "drop"):
        shown = shown & ~outside
    return Placed(cells, shown, state)


def placed(points: Float[Tensor, "*b n 2"]) -> Float[Tensor, "*b n 2"]:
    """Points, at least in float32.

    Raises:
        ShapeError: they are not floating-point numbers (*batch, n, 2).
    """
    if not isinstance(points, Tensor):
        raise ShapeError(
            f"points are a {type(points).__qualname__}; expected floating-point numbers (*batch, n, 2) in a tensor or an array"
        )
    if points.ndim < 2 or points.shape[-1] != 2 or not points.is_floating_point():
        raise ShapeError(
            f"points have shape {tuple(points.shape)} and dtype {points.dtype}; expected floating point (*batch, n, 2)"
        )
    return points.to(torch.promote_types(points.dtype, torch.float32))


def raster(frame: Frame | Size) -> Frame:
    """The frame itself, or that of a raster (h, w) that is its own source."""
    return frame if isinstance(frame, Frame) else Frame.identity(frame)
