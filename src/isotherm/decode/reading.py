"""What decoders take: a Heatmap, or plain values with a Frame; and the refusal of maps of the wrong kind."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.errors import KindError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap, Kind
from isotherm.points import Points, State

DECODER = {"logits": "moment_inverse", "probability": "moment_inverse", "peak": "least_squares", "relevance": "peaks"}
"""The decoder that belongs to each kind of map."""


@dataclass(frozen=True, eq=False)
class Maps:
    """Maps ready to be decoded.

    Args:
        values: (*batch, n, h, w), at least float32.
        frame: single, or batched as the values' first dimensions.
        kind: what the numbers are.
    """

    values: Float[Tensor, "*b n h w"]
    frame: Frame
    kind: Kind

    def points(
        self, xy: Float[Tensor, "*b n 2"], covariance: Float[Tensor, "*b n 2 2"] | None = None, **parts: Tensor | None
    ) -> Points:
        """Points in cells -> source pixels, through each picture's own frame."""
        return Points.from_cells(self.frame, xy, covariance=covariance, **parts)

    def decoded(
        self,
        xy: Float[Tensor, "*b n 2"],
        covariance: Float[Tensor, "*b n 2 2"],
        score: Float[Tensor, "*b n"],
        *,
        valid: Bool[Tensor, "*b n"] | None = None,
        channel: Int[Tensor, "*b n"] | None = None,
    ) -> Points:
        """What a decoder found, in cells -> Points in source pixels with their states.

        LABELLED inside of the raster, OUT_OF_FRAME beyond its edges, and ABSENT, with NaN for a place and a score of 0,
        where ``found`` is False or the place is not a finite number (a map with NaN in it, or nothing at all).
        """
        there = torch.isfinite(xy).all(-1) if valid is None else valid & torch.isfinite(xy).all(-1)
        h, w = self.frame.size
        x, y = xy.unbind(-1)
        inside = (x >= 0) & (x <= w) & (y >= 0) & (y <= h)
        outside = torch.where(there, int(State.OUT_OF_FRAME), int(State.ABSENT))
        return self.points(
            torch.where(there[..., None], xy, torch.nan),
            torch.where(there[..., None, None], covariance, torch.nan),
            score=torch.where(there, score, 0.0),
            state=torch.where(there & inside, int(State.LABELLED), outside),
            channel=channel,
        )


def read_maps(
    maps: Heatmap | Tensor, frame: Frame | None, *, kinds: tuple[Kind, ...], kind: Kind | None = None
) -> Maps:
    """The arguments of a decoder.

    Args:
        maps: a Heatmap, or values (*batch, n, h, w).
        frame: of plain values; must be left out for a Heatmap. Without one the raster is its own source, and points
            come out in cells.
        kinds: what the decoder is right for.
        kind: of plain values; the first of ``kinds`` unless given.

    Raises:
        KindError: a map of another kind; the message names the decoder that is right for it.
        ShapeError: not (*batch, n, h, w), no cells, or a frame that does not fit.
    """
    if not isinstance(maps, Heatmap | Tensor):
        raise ShapeError(f"maps are a {type(maps).__name__}; expected a Heatmap or a tensor: torch.as_tensor makes one")
    if isinstance(maps, Heatmap):
        if frame is not None:
            raise ShapeError("a Heatmap has its own frame; leave frame out")
        values, frame, kind = maps.values, maps.frame, maps.kind
    else:
        values, kind = maps, kind or kinds[0]
        if values.ndim < 3 or not values.is_floating_point():
            raise ShapeError(
                f"maps have shape {tuple(values.shape)} and dtype {values.dtype}; expected floating point (*batch, n, h, w)"
            )
        frame = Frame.identity((max(1, values.shape[-2]), max(1, values.shape[-1]))) if frame is None else frame
    if kind not in kinds:
        raise KindError(
            f"these maps are of kind {kind!r}, and this decoder reads {' or '.join(map(repr, kinds))}; "
            f"use isotherm.decode.{DECODER[kind]}, which is right for them"
        )
    if values.ndim == 2:
        values = values[None]
    if min(values.shape[-2:]) < 1:
        raise ShapeError(f"maps have shape {tuple(values.shape)}: there are no cells to decode")
    if frame.size != tuple(values.shape[-2:]):
        raise ShapeError(
            f"maps have {tuple(values.shape[-2:])} cells, the frame {frame.size}; give the frame of the maps' own grid"
        )
    lead = tuple(frame.batch_shape)
    if lead != tuple(values.shape[:-3][: len(lead)]):
        raise ShapeError(
            f"maps have shape {tuple(values.shape)}, the frame batch {lead}; it must be the first dimensions of the maps, or empty"
        )
    return Maps(values.to(torch.promote_types(values.dtype, torch.float32)), frame, kind)
