"""The largest cell of maps that are JAX arrays."""

from __future__ import annotations

from jaxtyping import Float

from isotherm.frame import Frame
from isotherm.heatmap import Kind
from isotherm.jax.module import Array, jnp, stopped
from isotherm.jax.reading import read_maps
from isotherm.ops.decoded import Decoded


def argmax(maps: Float[Array, "*b n h w"], frame: Frame | None = None, *, kind: Kind | None = None) -> Decoded:
    """Decode maps by the centre of their largest cell, the first one of equals, as :func:`isotherm.decode.argmax`.

    Raises:
        ShapeError: no (*batch, n, h, w), or a frame that does not fit.
    """
    read = read_maps(maps, frame, kinds=("peak", "probability", "logits", "relevance"), kind=kind)
    top, cell = largest(read.values)
    covariance = jnp.broadcast_to(jnp.eye(2, dtype=top.dtype) / 12, (*top.shape, 2, 2))
    return read.decoded(cell + 0.5, covariance, _height(read.values, top), valid=jnp.isfinite(top))


def _height(values: Array, top: Array) -> Array:
    """The largest value above the smallest of the outer rows, as :func:`isotherm.ops.flatness.height`."""
    h, w = values.shape[-2:]
    if h * w == 1:
        return top
    first, last = (jnp.min(stopped(values)[..., row, :], axis=-1) for row in (0, h - 1))
    return jnp.minimum(top, top - jnp.minimum(first, last))


def largest(values: Float[Array, "*b n h w"]) -> tuple[Float[Array, "*b n"], Float[Array, "*b n 2"]]:
    """The largest value of every map, and its cell (x, y) as index numbers."""
    flat = stopped(values).reshape(*values.shape[:-2], -1)
    index, w = jnp.argmax(flat, axis=-1), values.shape[-1]
    return jnp.max(flat, axis=-1), jnp.stack([index % w, index // w], axis=-1).astype(values.dtype)
