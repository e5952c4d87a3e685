"""Places through Frames, as arrays. A Frame is a constant: under jax.jit close over it or pass it as a static argument."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from isotherm.arrays.namespace import Array, namespace
from isotherm.errors import ShapeError
from isotherm.frame import Frame, Size


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
        points: (*batch, n, 2) (x, y). frame: single, or batched as the first dimensions of the points; a size (h, w) or None:
            the raster is its own source, and the points are in cells already.

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
    xp, linear = namespace(xy), matrix[..., :2]
    # one 2 x 2 matrix on both sides, written out: no rounding of products on accelerators
    left = xp.sum(linear[..., :, :, None] * covariance[..., None, :, :], axis=-2)
    return through(matrix, xy), xp.sum(left[..., :, None, :] * linear[..., None, :, :], axis=-1)


def through(matrix: Float[Array, "*a 2 3"], xy: Float[Array, "*b n 2"]) -> Float[Array, "*b n 2"]:
    """Points through affine maps that broadcast against them."""
    x, y = xy[..., 0], xy[..., 1]
    xp = namespace(xy)
    return xp.stack([matrix[..., r, 0] * x + matrix[..., r, 1] * y + matrix[..., r, 2] for r in (0, 1)], axis=-1)


def _matrix(matrix: np.ndarray, xy: Array) -> Array:
    """The float64 matrices as constants of the points' own type, with dimensions of 1 for those that the frame lacks."""
    lead = matrix.shape[:-2]
    if lead != tuple(xy.shape[:-2][: len(lead)]):
        raise ShapeError(
            f"the frame has batch {lead}, the points have shape {tuple(xy.shape)}; the frame's batch must be their first dimensions, or empty"
        )
    ones = (1,) * (xy.ndim - 1 - len(lead))
    return namespace(xy).asarray(matrix.reshape(*lead, *ones, 2, 3), dtype=xy.dtype)
