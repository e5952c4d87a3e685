"""Places through Frames, as JAX arrays. A Frame is a constant: under jax.jit close over it or pass it as a static
argument.
"""

from __future__ import annotations

from typing import NamedTuple, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from isotherm.errors import ShapeError
from isotherm.frame import Frame, Size
from isotherm.jax.module import Array, expect_word, floating, jnp
from isotherm.ops.place import OffFrame
from isotherm.points import State


class Placed(NamedTuple):
    """Points in cells, as :class:`isotherm.ops.place.Placed`: places finite everywhere, whether they are drawn,
    states.
    """

    cells: Float[Array, "*b n 2"]
    shown: Bool[Array, "*b n"]
    state: Int[Array, "*b n"]


def place(
    points: Float[Array, "*b n 2"], frame: Frame | Size, *, state: Int[Array, "*b n"] | None, off_frame: OffFrame
) -> Placed:
    """Points in source pixels -> cells, with their states and the policy for those outside, as
    :func:`isotherm.ops.place.place`.

    Raises:
        OptionError: no such policy.
        ShapeError: parts that do not fit one another.
    """
    expect_word(off_frame, get_args(OffFrame), "off_frame")
    points = floating(points, "points", "(*batch, n, 2)")
    if points.ndim < 2 or points.shape[-1] != 2:
        raise ShapeError(f"points have shape {tuple(points.shape)}; expected (*batch, n, 2)")
    if state is not None and tuple(state.shape) != tuple(points.shape[:-1]):
        raise ShapeError(
            f"state has shape {tuple(state.shape)}; expected {tuple(points.shape[:-1])}, one for every point"
        )
    finite = jnp.all(jnp.isfinite(points), axis=-1)
    # a place that is not known may be NaN: put another in before the arithmetic, so that gradients stay clean too
    cells = to_cells(jnp.where(finite[..., None], points, 0.0), frame)
    h, w = frame.size if isinstance(frame, Frame) else frame
    clipped = jnp.clip(cells, 0, jnp.asarray([w, h], dtype=cells.dtype))
    outside = jnp.any(cells != clipped, axis=-1)
    if state is None:
        shown = finite
        state = jnp.where(finite, int(State.LABELLED), int(State.UNLABELLED))
    else:
        known = (state != int(State.UNLABELLED)) & (state != int(State.ABSENT))
        beyond = state == int(State.OUT_OF_FRAME)
        shown = finite & known
        state = jnp.where(beyond & finite, int(State.LABELLED), state)
        lost = known & ~finite & ~(beyond & (off_frame == "background"))
        state = jnp.where(lost, int(State.UNLABELLED), state)
    outside = outside & shown
    state = jnp.where(outside, int(State.UNLABELLED if off_frame == "drop" else State.OUT_OF_FRAME), state)
    if off_frame == "clip":
        cells = clipped
    elif off_frame in ("background", "drop"):
        shown = shown & ~outside
    return Placed(cells, shown, state)


def grid_size(frame: Frame | Size | None, shape: tuple[int, ...]) -> Size:
    """(h, w) of maps of this shape, which must be the frame's.

    Raises:
        ShapeError: the frame is of another grid.
    """
    h, w = shape[-2:]
    size = frame.size if isinstance(frame, Frame) else frame
    if size is not None and tuple(size) != (h, w):
        raise ShapeError(f"maps have {(h, w)} cells, the frame {tuple(size)}; give the frame of the maps' own grid")
    return h, w


def to_cells(points: Float[Array, "*b n 2"], frame: Frame | Size | None) -> Float[Array, "*b n 2"]:
    """Points in source pixels -> cells.

    Args:
        points: (*batch, n, 2) (x, y).
        frame: single, or batched as the first dimensions of the points; a size (h, w) or None: the raster is its own
            source, and the points are in cells already.

    Raises:
        ShapeError: the frame's batch is not that of the points.
    """
    if not isinstance(frame, Frame):
        return points
    return through(_matrix(frame.from_source.cpu().numpy(), points), points)


def to_source(
    frame: Frame | None, xy: Float[Array, "*b n 2"], covariance: Float[Array, "*b n 2 2"]
) -> tuple[Float[Array, "*b n 2"], Float[Array, "*b n 2 2"]]:
    """Places and their covariances in cells -> source pixels; frame as in :func:`to_cells`."""
    if frame is None:
        return xy, covariance
    matrix = _matrix(frame.to_source.cpu().numpy(), xy)
    linear = matrix[..., :2]
    # one 2 x 2 matrix on both sides, written out: no rounding of products on accelerators
    left = jnp.sum(linear[..., :, :, None] * covariance[..., None, :, :], axis=-2)
    return through(matrix, xy), jnp.sum(left[..., :, None, :] * linear[..., None, :, :], axis=-1)


def through(matrix: Float[Array, "*a 2 3"], xy: Float[Array, "*b n 2"]) -> Float[Array, "*b n 2"]:
    """Points through affine maps that broadcast against them."""
    x, y = xy[..., 0], xy[..., 1]
    return jnp.stack([matrix[..., r, 0] * x + matrix[..., r, 1] * y + matrix[..., r, 2] for r in (0, 1)], axis=-1)


def _matrix(matrix: np.ndarray, xy: Array) -> Array:
    """The float64 matrices as constants of the points' own type, with dimensions of 1 for those that the frame
    lacks.
    """
    lead = matrix.shape[:-2]
    if lead != tuple(xy.shape[:-2][: len(lead)]):
        raise ShapeError(
            f"the frame has batch {lead}, the points have shape {tuple(xy.shape)}; the frame's batch must be their first dimensions, or empty"
        )
    ones = (1,) * (xy.ndim - 1 - len(lead))
    return jnp.asarray(matrix.reshape(*lead, *ones, 2, 3), dtype=xy.dtype)
