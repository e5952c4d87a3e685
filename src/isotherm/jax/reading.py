"""What the decoders of JAX arrays take and give."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float

from isotherm.errors import KindError, ShapeError
from isotherm.frame import Frame, Size
from isotherm.heatmap import Kind
from isotherm.jax.module import Array, floating, jnp, softmax
from isotherm.jax.places import grid_size, to_source
from isotherm.ops.decoded import Decoded
from isotherm.points import State

DECODER = {"logits": "moment_inverse", "probability": "moment_inverse", "peak": "least_squares", "relevance": "argmax"}
"""The decoder that belongs to each kind of map, of those that take JAX arrays."""


@dataclass(frozen=True, eq=False)
class Maps:
    """Maps ready to be decoded: (*batch, n, h, w) values of at least float32, their frame, size and kind."""

    values: Float[Array, "*b n h w"]
    frame: Frame | None
    size: Size
    kind: Kind

    def probability(self, *, temperature: float = 1.0) -> Float[Array, "*b n h w"]:
        """Maps that each sum to 1: logits divided by the temperature, probabilities to the power of 1 over it."""
        values = self.values
        if self.kind == "logits":
            return softmax(values.reshape(*values.shape[:-2], -1) / temperature).reshape(values.shape)
        power = values if temperature == 1 else values ** (1 / temperature)
        return power / jnp.sum(power, axis=(-2, -1), keepdims=True)

    def decoded(
        self,
        xy: Float[Array, "*b n 2"],
        covariance: Float[Array, "*b n 2 2"],
        score: Float[Array, "*b n"],
        *,
        valid: Bool[Array, "*b n"] | None = None,
    ) -> Decoded:
        """What a decoder found, in cells -> source pixels with states.

        LABELLED inside of the raster, OUT_OF_FRAME beyond its edges, and ABSENT, with NaN for a place and a score of 0,
        where ``found`` is False or the place is not a finite number.
        """
        h, w = self.size
        there = jnp.all(jnp.isfinite(xy), axis=-1)
        there = there if valid is None else valid & there
        x, y = xy[..., 0], xy[..., 1]
        inside = (x >= 0) & (x <= w) & (y >= 0) & (y <= h)
        state = jnp.where(inside, int(State.LABELLED), int(State.OUT_OF_FRAME))
        source, spread = to_source(self.frame, xy, covariance)
        return Decoded(
            jnp.where(there[..., None], source, jnp.nan),
            jnp.where(there[..., None, None], spread, jnp.nan),
            jnp.where(there, score, 0.0),
            jnp.where(there, state, int(State.ABSENT)),
        )


def read_maps(maps: Array, frame: Frame | None, *, kinds: tuple[Kind, ...], kind: Kind | None) -> Maps:
    """The arguments of a decoder.

    Args:
        maps: (*batch, n, h, w).
        frame: single, or batched as their first dimensions; None: points come out in cells.
        kinds: what the decoder is right for.
        kind: of the maps; the first of ``kinds`` unless given.

    Raises:
        KindError: maps of another kind; the message names the decoder that is right for them.
        ShapeError: no (*batch, n, h, w), no cells, or a frame that does not fit.
    """
    kind = kind or kinds[0]
    if maps.ndim < 3 or min(maps.shape[-2:]) < 1:
        raise ShapeError(f"maps have shape {tuple(maps.shape)}; expected (*batch, n, h, w) with at least one cell")
    if kind not in kinds:
        raise KindError(
            f"these maps are of kind {kind!r}, and this decoder reads {' or '.join(map(repr, kinds))}; "
            f"use isotherm.decode.{DECODER.get(kind, 'argmax')}, which is right for them"
        )
    values = floating(maps, "maps", "(*batch, n, h, w)")
    return Maps(values, frame, grid_size(frame, values.shape), kind)
