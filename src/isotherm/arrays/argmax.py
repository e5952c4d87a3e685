"""The largest cell of maps that are NumPy or JAX arrays."""

from __future__ import annotations

from jaxtyping import Float

from isotherm.arrays.namespace import Array, Namespace, quiet, stopped
from isotherm.arrays.reading import Decoded, read_maps
from isotherm.frame import Frame
from isotherm.heatmap import Kind


@quiet
def argmax(maps: Float[Array, "*b n h w"], frame: Frame | None = None, *, kind: Kind | None = None) -> Decoded:
    """Decode maps by the centre of their largest cell, the first one of equals, as :func:`isotherm.decode.argmax`.

    Args:
        maps: (*batch, n, h, w) of any kind. frame: single or batched; left out, points come out in cells.
        kind: of the maps.

    Returns:
        Places in source pixels, without gradients. ``covariance``: of rounding alone, 1/12 cell squared per axis.
        ``score``: the largest value.

    Raises:
        ShapeError: no NumPy or JAX array (*batch, n, h, w), or a frame that does not fit.

    Example:
        >>> import numpy as np
        >>> argmax(np.array([[[0.0, 0.1, 0.2], [0.0, 0.3, 0.9]]])).xy.tolist()
        [[2.5, 1.5]]
    """
    read = read_maps(maps, frame, kinds=("peak", "probability", "logits", "relevance"), kind=kind)
    xp = read.xp
    top, cell = largest(xp, read.values)
    covariance = xp.broadcast_to(xp.eye(2, dtype=top.dtype) / 12, (*top.shape, 2, 2))
    return read.decoded(cell + 0.5, covariance, top, found=xp.isfinite(top))


def largest(xp: Namespace, values: Float[Array, "*b n h w"]) -> tuple[Float[Array, "*b n"], Float[Array, "*b n 2"]]:
    """The largest value of every map, and its cell (x, y) as index numbers."""
    flat = stopped(values).reshape(*values.shape[:-2], -1)
    index, w = xp.argmax(flat, axis=-1), values.shape[-1]
    return xp.max(flat, axis=-1), xp.stack([index % w, index // w], axis=-1).astype(values.dtype)
