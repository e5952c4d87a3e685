"""Clips: what a model that sees several moments is asked about, and how its layers lie over space and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from isotherm.cam.fields import Axis, Field
from isotherm.cam.view import Inputs, Layout, View
from isotherm.errors import ShapeError
from isotherm.moments import Timeline, check_edges


@dataclass(frozen=True, eq=False)
class Clip:
    """Some frames of a video, of one size, in order.

    Args:
        frames: (n, H, W, 3) uint8 RGB, upright.
        edges_s: n + 1 times in seconds: when each frame begins, and when the last ends; None where they are not known.

    Raises:
        ShapeError: no frames, or edges that do not go with them.
    """

    frames: UInt8[np.ndarray, "n H W 3"] = field(repr=False)
    edges_s: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if 0 in self.frames.shape:
            raise ShapeError(f"a clip of shape {self.frames.shape} has no pixels; expected (frames, H, W, 3)")
        check_edges(self.edges_s, len(self.frames))

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of every frame in pixels."""
        return int(self.frames.shape[1]), int(self.frames.shape[2])

    def timeline(self, fed: int) -> Timeline:
        """The clip's time axis for a model that is fed so many frames, taken evenly over all of the clip."""
        return Timeline.of(len(self), fed=fed, edges_s=self.edges_s)


def sampling(timeline: Timeline) -> str:
    """In words which frames of a clip a model is fed."""
    fed = len(timeline.fed)
    if timeline.fed == tuple(range(timeline.count)):
        which = f"all of its {fed} frames are fed to the model"
    elif fed < timeline.count:
        which = f"{fed} of its {timeline.count} frames are fed to the model, evenly spread over all of it"
    else:
        which = f"its {timeline.count} frame(s) are fed to the model as {fed}, some more than once, because it sees no fewer"
    if timeline.edges_s is None:
        return f"clip: {which}; their times are not known, so moments are counted in frames"
    return f"clip: {which}; it lasts from {timeline.edges_s[0]:.3g} to {timeline.edges_s[-1]:.3g} s"


@runtime_checkable
class ClipView(View, Protocol):
    """A view of a model that sees several moments at once; it prepares clips in place of pictures.

    The tensor of its inputs is (b, t, c, h, w), with a timeline per clip, and its layouts are :class:`ClipLayout`.
    """

    fed_frames: int
    """How many frames of a clip the model is fed."""

    def prepare(self, pictures: Sequence[Clip]) -> Inputs:
        """Clips of any sizes and lengths -> one batch."""
        ...


@dataclass(frozen=True)
class ClipLayout(Layout):
    """How a layer's raw output lies over a clip, in space and in time.

    Args:
        order: ``nchw`` stands for (b, c, t, h, w), ``nhwc`` for (b, t, h, w, c), ``tokens`` for (b, n, c).
        moments: how many moments the tokens have; 0 for maps, whose shape says it.
        time_last: tokens of one place follow each other through time, in place of those of one moment over the picture.
        tubelet: frames per moment, where the model cuts clips into such parts from the first frame on.
        folded: how many moments of each clip are stacked in the first dimension, of a layer that sees pictures:
            ``nchw`` then stands for (b * m, c, h, w), and so on. 1 of such a layer that sees all moments as one
            picture; 0 of layers that see clips.
    """

    moments: int = 0
    time_last: bool = False
    tubelet: int | None = None
    folded: int = 0

    @property
    def rows(self) -> int:
        """How many rows of the raw output belong to a clip."""
        return max(1, self.folded)

    @property
    def cell_dims(self) -> tuple[int, ...]:
        """Indices of time, rows and columns in a raw output of 5 dimensions; of rows and columns in one of pictures."""
        if self.folded:
            return (1, 2) if self.order == "nhwc" else (2, 3)
        return (1, 2, 3) if self.order == "nhwc" else (2, 3, 4)

    @property
    def cells(self) -> tuple[int, ...] | None:
        """(moments, h, w) of the tokens behind the prefix; None for maps."""
        return None if self.grid is None else (self.moments, *self.grid)

    def to_grid(self, output: Float[Tensor, "..."]) -> Float[Tensor, "b c m h w"]:
        """Raw output (or its gradient) -> (b, c, moments, h, w). Linear, so it serves both."""
        if self.folded:
            return self._unfolded(output)
        if self.order == "nchw" and output.ndim == 5:
            return output
        if self.order == "nhwc" and output.ndim == 5:
            return output.permute(0, 4, 1, 2, 3)
        if self.order == "tokens" and output.ndim == 3 and self.grid is not None:
            tokens, (h, w) = output[:, self.prefix :], self.grid
            if tokens.shape[1] == self.moments * h * w:
                if self.time_last:
                    return tokens.unflatten(1, (h, w, self.moments)).permute(0, 4, 3, 1, 2)
                return tokens.unflatten(1, (self.moments, h, w)).permute(0, 4, 1, 2, 3)
        raise ShapeError(
            f"a layer output of shape {tuple(output.shape)} is not {self.order} over a clip"
            + (
                f" with {self.prefix} prefix tokens and {self.moments} moments of a {self.grid} grid"
                if self.order == "tokens"
                else " with 5 dimensions"
            )
            + "; choose a layer whose output has one cell per image region and moment"
        )

    def _unfolded(self, output: Float[Tensor, "..."]) -> Float[Tensor, "b c m h w"]:
        """What a layer put out that sees pictures, whose rows are the moments of clips one after another."""
        picture = Layout(self.order, self.prefix, self.grid).to_grid(output)
        if len(picture) % self.folded:
            raise ShapeError(
                f"a layer output of shape {tuple(output.shape)} does not have {self.folded} moments for each clip; choose another layer"
            )
        return picture.unflatten(0, (-1, self.folded)).transpose(1, 2)

    def time_axis(self, inputs: Inputs, count: int, field: Field | None = None) -> Axis:
        """Where ``count`` moments lie on the axis of the frames that the model is fed.

        What the model declares goes before what was followed; without either they are spread evenly.
        """
        if self.tubelet is not None:
            return Axis(self.tubelet / 2, float(self.tubelet))
        if field is not None and field.time is not None:
            return field.time
        stride = inputs.tensor.shape[1] / count
        return Axis(stride / 2, stride)


def rows_of_each(layout: Layout) -> int:
    """How many rows of a layer's raw output belong to each picture, or clip."""
    return layout.rows if isinstance(layout, ClipLayout) else 1
