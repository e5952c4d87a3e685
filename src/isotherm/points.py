"""Points: places in pictures with how sure they are, the type that decoders return and targets are made from.

Validation and going through frames only. Decoders live in :mod:`isotherm.decode`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame, apply_affine


class State(IntEnum):
    """What is known of a point.

    UNLABELLED: nothing; it takes no part in a loss. LABELLED: seen, and its place known. OCCLUDED: hidden, and its
    place known all the same. OUT_OF_FRAME: its place is known and lies outside of the raster. ABSENT: there is no such
    point.
    """

    UNLABELLED = 0
    LABELLED = 1
    OCCLUDED = 2
    OUT_OF_FRAME = 3
    ABSENT = 4


def from_coco_visibility(visibility: Int[Tensor, "*b n"]) -> Int[Tensor, "*b n"]:
    """COCO's v (0: not labelled, 1: labelled but hidden, 2: labelled and visible) -> states."""
    bad = (visibility < 0) | (visibility > 2)
    if bool(bad.any()):
        raise OptionError(
            f"COCO visibility has the value {int(visibility[bad][0])}; expected 0 (not labelled), 1 (hidden) or 2 (visible)"
        )
    table = torch.tensor([State.UNLABELLED, State.OCCLUDED, State.LABELLED], device=visibility.device)
    return table[visibility.long()]


@dataclass(frozen=True, eq=False)
class Points:
    """Places in source pixels.

    Args:
        xy: (*batch, n, 2) edge-origin source pixels: the centre of pixel i is i + 0.5. NaN where there is no place.
        covariance: (*batch, n, 2, 2) in source pixels squared, or None.
        score: (*batch, n) how sure the decoder is that there is anything, or None; what it is, the decoder says.
        state: (*batch, n) of :class:`State`, or None: all labelled.
        channel: (*batch, n) the map that each point was found in, where one map holds several.

    Raises:
        ShapeError: the parts do not fit one another.
    """

    xy: Float[Tensor, "*b n 2"]
    covariance: Float[Tensor, "*b n 2 2"] | None = None
    score: Float[Tensor, "*b n"] | None = None
    state: Int[Tensor, "*b n"] | None = None
    channel: Int[Tensor, "*b n"] | None = None

    def __post_init__(self) -> None:
        if self.xy.ndim < 2 or self.xy.shape[-1] != 2 or not self.xy.is_floating_point():
            raise ShapeError(
                f"xy has shape {tuple(self.xy.shape)} and dtype {self.xy.dtype}; expected floating point (*batch, n, 2)"
            )
        points = tuple(self.xy.shape[:-1])
        expected = {"covariance": (*points, 2, 2), "score": points, "state": points, "channel": points}
        for name, shape in expected.items():
            value = getattr(self, name)
            if value is not None and tuple(value.shape) != shape:
                raise ShapeError(
                    f"{name} has shape {tuple(value.shape)}; expected {shape} to go with xy {tuple(self.xy.shape)}"
                )

    def __len__(self) -> int:
        return self.xy.shape[0]

    def __bool__(self) -> bool:
        return True  # no points are still an answer

    def __getitem__(self, index: int | slice | Tensor) -> Points:
        if self.xy.ndim < 3:
            raise ShapeError(f"points of shape {tuple(self.xy.shape)} are not batched; index their xy instead")

        def pick(part: Tensor | None) -> Tensor | None:
            return None if part is None else part[index]

        return Points(self.xy[index], pick(self.covariance), pick(self.score), pick(self.state), pick(self.channel))

    def __iter__(self) -> Iterator[Points]:
        return (self[i] for i in range(len(self)))

    def through(self, to: Float[Tensor, "*#b 2 3"]) -> Points:
        """The points behind an affine map, their covariances with them.

        Args:
            to: (*batch, 2, 3) affine maps, such as ``frame.from_source`` (source pixels to cells).
        """
        to = to.to(self.xy).expand(*self.xy.shape[:-2], 2, 3)
        covariance = self.covariance
        if covariance is not None:
            linear = to[..., None, :, :2]
            covariance = linear @ covariance @ linear.transpose(-1, -2)
        return replace(self, xy=apply_affine(to, self.xy), covariance=covariance)

    def to_cells(self, frame: Frame) -> Points:
        """The same points in a frame's cells; the frame is single, or batched as the first of the points'
        dimensions.
        """
        return self.through(_lined_up(frame.from_source, self.xy))

    @classmethod
    def from_cells(cls, frame: Frame, xy: Float[Tensor, "*b n 2"], **parts: Tensor | None) -> Points:
        """Points found in a frame's cells -> source pixels. parts: the other fields, the covariance in cells
        squared.
        """
        return cls(xy, **parts).through(_lined_up(frame.to_source, xy))

    @property
    def deviation(self) -> Float[Tensor, "*b n"]:
        """Square root of half the covariance's trace: the standard deviation along one axis, in source pixels."""
        if self.covariance is None:
            raise ShapeError(
                "these points have no covariance; use a decoder that gives one (moment_inverse, least_squares)"
            )
        return (self.covariance.diagonal(dim1=-2, dim2=-1).sum(-1) / 2).sqrt()


def _lined_up(matrix: Float[Tensor, "*a 2 3"], xy: Float[Tensor, "*b n 2"]) -> Float[Tensor, "*c 2 3"]:
    """Affine maps of the first dimensions of points, with dimensions of 1 for the others."""
    lead = tuple(matrix.shape[:-2])
    if lead != tuple(xy.shape[:-2][: len(lead)]):
        raise ShapeError(
            f"the frame has batch {lead}, the points have shape {tuple(xy.shape)}; the frame's batch must be their first dimensions, or empty"
        )
    return matrix.to(xy.device).view(*lead, *[1] * (xy.ndim - 2 - len(lead)), 2, 3)
