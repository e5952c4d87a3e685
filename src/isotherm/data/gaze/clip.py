"""The gaze over a clip's frames, and the same gaze behind the crop, resize, flip or turn of its pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from isotherm.data.gaze.recording import GazeSamples
from isotherm.data.gaze.states import GazeState
from isotherm.errors import FrameError, ShapeError
from isotherm.frame import Frame, Size
from isotherm.ops.resample import to_frame


@dataclass(frozen=True, eq=False)
class GazeClip:
    """What a store gives for the times of a clip's frames, before batching.

    Args:
        time_s: (t,) on the video's clock.
        xy: (t, 2) source pixels whatever the frame; NaN where MISSING, and where no place of an OUT_OF_FRAME gaze is
            known.
        state: (t,) of :class:`GazeState`, in this frame.
        confidence: (t,) 0 to 1.
        maps: (t, h, w) on the frame's cells, if the store holds maps, at the scale of peak 1; None for points. The map
            of a frame without TRACKED gaze says nothing.
        frame: of the maps, or of the picture itself for points; one, or one for each time.
        notes: what a person should know of this clip.

    Raises:
        ShapeError: the parts do not fit one another.
    """

    time_s: Float64[Tensor, " t"]
    xy: Float64[Tensor, "t 2"]
    state: Int64[Tensor, " t"]
    confidence: Float[Tensor, " t"]
    maps: Float[Tensor, "t h w"] | None
    frame: Frame
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        t = len(self.time_s)
        shapes = {"xy": (t, 2), "state": (t,), "confidence": (t,)}
        if self.maps is not None:
            shapes["maps"] = (t, *self.frame.size)
        for name, shape in shapes.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ShapeError(
                    f"{name} has shape {tuple(getattr(self, name).shape)}; expected {shape} to go with {t} times and a frame of {self.frame.size}"
                )

    @classmethod
    def of_samples(cls, samples: GazeSamples, size: Size, *, notes: tuple[str, ...] = ()) -> GazeClip:
        """A clip of points in the frame of the picture itself.

        Args:
            samples: what a recording has at the times of the frames.
            size: (h, w) of the video.
            notes: what a person should know of it.
        """
        return cls(
            torch.from_numpy(samples.time_s.copy()),
            torch.from_numpy(samples.xy.copy()),
            torch.from_numpy(samples.state.astype(np.int64)),
            torch.from_numpy(samples.confidence.copy()),
            None,
            Frame.identity(size),
            notes,
        )

    @classmethod
    def missing(cls, time_s: Float64[Tensor, " t"], size: Size, *, notes: tuple[str, ...] = ()) -> GazeClip:
        """A clip of which nothing is known: MISSING at every frame.

        Args:
            time_s: (t,) on the video's clock.
            size: (h, w) of the video.
            notes: why.
        """
        t = len(time_s)
        nowhere = torch.full((t, 2), torch.nan, dtype=torch.float64)
        return cls(
            time_s, nowhere, torch.full((t,), int(GazeState.MISSING)), torch.zeros(t), None, Frame.identity(size), notes
        )

    def __len__(self) -> int:
        return len(self.time_s)

    @property
    def cells(self) -> Float64[Tensor, "t 2"]:
        """(t, 2) where the gaze lies in the cells of the frame, edge-origin; NaN where no place is known."""
        return _cells(self.xy, self.frame)

    def through(self, frame: Frame) -> GazeClip:
        """The same gaze in another frame over the same video: that of the model's input, say.

        Points stay where they are in the source; maps are resampled as pictures are. Gaze that the new frame does not
        show becomes OUT_OF_FRAME, and what another frame did not show but this one does is TRACKED again.

        Args:
            frame: over the video's pixels, one or one for each time; crop, resize, flip and rotation are in it.

        Raises:
            FrameError: it is a frame over pictures of another size, or over another number of them.
        """
        if frame.batch_shape not in (torch.Size([]), torch.Size([len(self)])):
            raise FrameError(f"the frame has batch {tuple(frame.batch_shape)}; expected none, or {len(self)} times")
        sources = {tuple(size) for f in (self.frame, frame) for size in f.source_size.reshape(-1, 2).tolist()}
        if len(sources) > 1:
            raise FrameError(
                f"the frames lie over pictures of {sorted(sources)} pixels (h, w); expected one size, that of the video"
            )
        maps = None if self.maps is None else to_frame(self.maps, *_batched_alike(self.frame, frame))
        missing = self.state == GazeState.MISSING
        seen = torch.where(self._shown_by(frame), int(GazeState.TRACKED), int(GazeState.OUT_OF_FRAME))
        return replace(self, state=torch.where(missing, self.state, seen), maps=maps, frame=frame)

    def _shown_by(self, frame: Frame) -> Bool[Tensor, " t"]:
        """Whether the gaze lies in the picture and in the frame's cells; padding around the picture is no picture."""
        h, w = (int(n) for n in self.frame.source_size.reshape(-1, 2)[0]) if len(self) else (1, 1)
        return _inside(self.xy, (h, w)) & _inside(_cells(self.xy, frame), frame.size)


def _cells(xy: Tensor, frame: Frame) -> Tensor:
    if frame.batch_shape:
        return frame.points_from_source(xy[:, None])[:, 0]
    return frame.points_from_source(xy)


def _inside(xy: Tensor, size: Size) -> Tensor:
    """NaN lies nowhere. A thousandth of a millionth of a cell is what going through a turned frame and back costs."""
    limits = torch.tensor([size[1], size[0]], dtype=xy.dtype)
    return ((xy >= -1e-9) & (xy <= limits + 1e-9)).all(-1)


def _batched_alike(a: Frame, b: Frame) -> tuple[Frame, Frame]:
    """Two frames, both single or both batched, as resampling takes them."""
    if bool(a.batch_shape) == bool(b.batch_shape):
        return a, b
    n = len(a) if a.batch_shape else len(b)
    return (a if a.batch_shape else a.expanded(n)), (b if b.batch_shape else b.expanded(n))
