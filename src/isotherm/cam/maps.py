"""The answer of a model that puts out maps: how deep every place is, or where each keypoint is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float
from torch import Tensor

from isotherm.errors import ShapeError
from isotherm.frame import Frame


@dataclass(frozen=True, eq=False)
class Maps:
    """Maps of values over a picture, differentiable.

    Args:
        values: (b, k, h, w) one map of each kind, such as depth, or a heatmap of each keypoint.
        names: k names of what they show.
        frame: batch (b,), their cells -> source pixels.
        peaked: they show one place each by their largest value, as heatmaps do; else values everywhere, as of depth.
        raw: what the model itself put out, see :func:`isotherm.cam.reading.read_prediction`.
    """

    values: Float[Tensor, "b k h w"]
    names: Sequence[str]
    frame: Frame
    peaked: bool
    raw: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        b, k, h, w = self.values.shape
        if k != len(self.names) or self.frame.size != (h, w) or tuple(self.frame.batch_shape) != (b,):
            raise ShapeError(
                f"maps {tuple(self.values.shape)} do not go with {len(self.names)} names and {self.frame!r}; expected (b, k, h, w), k names and a frame of (b,) grids of (h, w)"
            )
