"""Crop, size, mirror and turn of a clip, as one Frame that video and gaze go through alike.

What is drawn for a clip depends on the seed, the epoch and the clip's number alone, never on the batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from isotherm.data.anticipation.clips import VideoClip
from isotherm.data.gaze.clip import GazeClip
from isotherm.data.keypoint_augment import mixed_seed
from isotherm.errors import OptionError
from isotherm.frame import Frame, Size
from isotherm.ops.resample import to_frame

Crop = Literal["random", "centre"]
TRIES = 10
"""Of a random crop that does not fit, after which the largest one in the middle is taken."""


@dataclass(frozen=True, kw_only=True)
class ClipTransform:
    """How a clip becomes a model's input.

    Args:
        size: (h, w) of the input in pixels.
        crop: 'random': a part of the picture of another area and aspect ratio for every clip and epoch; 'centre': the
            largest part in the middle that has the input's aspect ratio.
        area: (least, most) share of the picture's area; of random crops.
        ratio: (least, most) width over height, drawn evenly in its logarithm; of random crops.
        flip: probability of a mirror image, left to right.
        degrees: largest turn to either side; beyond the picture it is black.
        seed: of what is drawn.

    Raises:
        OptionError: a value out of range.

    Source: random crops are those of Szegedy et al., "Going deeper with convolutions", 2015, as torchvision's
        RandomResizedCrop draws them.
    """

    size: Size
    crop: Crop = "random"
    area: tuple[float, float] = (0.3, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    degrees: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < 1:
            raise OptionError(f"size is {self.size}; expected (h, w), at least 1 each")
        if self.crop not in get_args(Crop):
            raise OptionError(f"crop is {self.crop!r}; expected one of {', '.join(get_args(Crop))}")
        if not 0 < self.area[0] <= self.area[1] <= 1 or not 0 < self.ratio[0] <= self.ratio[1] < math.inf:
            raise OptionError(
                f"area is {self.area} and ratio {self.ratio}; expected (least, most) in order, above 0, and areas up to 1"
            )
        if not 0 <= self.flip <= 1 or not 0 <= self.degrees <= 180:
            raise OptionError(f"flip is {self.flip} and degrees {self.degrees}; expected a probability, and 0 to 180")

    @classmethod
    def plain(cls, size: Size) -> ClipTransform:
        """The middle of the picture and nothing random, as a model is judged with.

        Args:
            size: (h, w) of the input.
        """
        return cls(size=size, crop="centre", flip=0.0)

    def drawn(self, source: Size | Frame, index: int, *, epoch: int = 0) -> Frame:
        """The frame of the input over the video's pictures, one for all frames of a clip.

        Args:
            source: (h, w) of the video; or the frame of pictures that were shrunk, whose pixels crops are whole ones
                of then.
            index: the clip's number.
            epoch: of the run.

        Example:
            >>> frame = ClipTransform.plain((4, 4)).drawn((8, 16), 0)
            >>> frame.points_to_source(torch.tensor([[0.0, 0.0], [4.0, 4.0]])).tolist()
            [[4.0, 0.0], [12.0, 8.0]]
        """
        # other numbers than a plan of the same seed draws, or short anticipation would always be mirrored
        stream = np.random.PCG64([mixed_seed(self.seed, epoch, index), 1])
        u = np.random.Generator(stream).random(2 + 4 * TRIES)
        pictures = source if isinstance(source, Frame) else Frame.identity(source)
        box = self._random_box(pictures.size, u[2:].reshape(TRIES, 4)) if self.crop == "random" else None
        frame = pictures.cropped(_middle(pictures.size, self.size) if box is None else box).resized(self.size)
        if self.degrees:
            frame = frame.rotated((2 * float(u[1]) - 1) * self.degrees)
        return frame.flipped() if u[0] < self.flip else frame

    def enough(self, source: Size) -> int | None:
        """The shorter side, in pixels, that pictures may be shrunk to beforehand: the smallest crop has as many pixels
        as the input then. None where that is no less than they have.

        Args:
            source: (h, w) of the video.

        Example:
            >>> ClipTransform(size=(32, 32), area=(0.25, 1.0), ratio=(1.0, 1.0)).enough((240, 320))
            56
        """
        h, w = source
        least = math.sqrt(self.area[0] * h * w / self.ratio[1]), math.sqrt(self.area[0] * h * w * self.ratio[0])
        if self.crop == "centre":
            left, top, right, bottom = _middle(source, self.size)
            least = float(bottom - top), float(right - left)
        share = max(size / side for size, side in zip(self.size, least, strict=True))
        return math.ceil(share * min(source)) if share < 1 else None

    def __call__(self, clip: VideoClip, index: int, *, epoch: int = 0) -> TransformedClip:
        """Video and gaze of a clip through one frame.

        Args:
            clip: as it was read.
            index: its number.
            epoch: of the run.
        """
        frame = self.drawn(clip.frame, index, epoch=epoch)
        return TransformedClip(
            through(clip.video, clip.frame, frame),
            frame,
            clip.before_s,
            None if clip.gaze is None else clip.gaze.through(frame),
        )

    def _random_box(self, source: Size, draws: Float64[np.ndarray, "n 4"]) -> tuple[int, int, int, int] | None:
        h, w = source
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        for share, shape, down, across in draws.tolist():
            area = h * w * (self.area[0] + share * (self.area[1] - self.area[0]))
            ratio = math.exp(low + shape * (high - low))
            width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < width <= w and 0 < height <= h:
                y, x = int(down * (h - height + 1)), int(across * (w - width + 1))
                return x, y, x + width, y + height
        return None


@dataclass(frozen=True, eq=False)
class TransformedClip:
    """A clip as a model takes it.

    Args:
        video: (t, 3, h, w) 0 to 1.
        frame: of the input over the video's pictures.
        before_s: (t,) when the frames are shown, counted from the clip's end: at most 0.
        gaze: in the same frame; gaze that it does not show is OUT_OF_FRAME. None where there is none.
    """

    video: Float[Tensor, "t 3 h w"]
    frame: Frame
    before_s: Float64[Tensor, " t"]
    gaze: GazeClip | None


def through(video: UInt8[Tensor, "t 3 h w"], frame: Frame, target: Frame) -> Float[Tensor, "t 3 H W"]:
    """Pictures on the cells of another frame over the same video, antialiased where they become smaller; 0 to 1.

    Args:
        video: pictures.
        frame: theirs, upright over the video's pictures; single.
        target: single; beyond the picture it is black.
    """
    # the part of the pictures that the target shows, first shrunk to its scale, then turned where it is turned
    h, w = target.size
    corners = torch.tensor([[0.0, 0.0, w, h]], dtype=torch.float64)
    reach = frame.boxes_from_source(target.boxes_to_source(corners))[0]
    top, left = (max(0, math.floor(float(reach[i]) + 1e-6)) for i in (1, 0))
    bottom, right = (min(frame.size[axis], math.ceil(float(reach[i]) - 1e-6)) for axis, i in ((0, 3), (1, 2)))
    if bottom <= top or right <= left:
        return torch.zeros(*video.shape[:2], h, w)
    part = frame.cropped((left, top, right, bottom))
    pixels = video[..., top:bottom, left:right].float() / 255
    exact = torch.tensor([left, top, right, bottom], dtype=torch.float64)
    if target.is_upright and bool((reach - exact).abs().max() < 1e-6):
        values = _resized(pixels, target.size)
        mirrored = [axis for axis, step in ((-1, target.to_source[0, 0]), (-2, target.to_source[1, 1])) if step < 0]
        return values.flip(mirrored) if mirrored else values
    steps = (target.cell_size / frame.cell_size).clamp(min=1.0).tolist()
    smaller = max(1, round((bottom - top) / steps[0])), max(1, round((right - left) / steps[1]))
    return to_frame(_resized(pixels, smaller), part.resized(smaller), target).clamp(0, 1)


def eight_bit(video: Float[Tensor, "t 3 h w"]) -> UInt8[Tensor, "t 3 h w"]:
    """Pictures from 0 to 1 as bytes.

    Args:
        video: of a clip.
    """
    return (video * 255).round().to(torch.uint8)


def _resized(pixels: Float[Tensor, "t c h w"], size: Size) -> Float[Tensor, "t c H W"]:
    if tuple(pixels.shape[-2:]) == size:
        return pixels
    return F.interpolate(pixels, size=size, mode="bilinear", antialias=True, align_corners=False)


def _middle(source: Size, size: Size) -> tuple[int, int, int, int]:
    """The largest box in the middle with the aspect ratio of a size, in whole pixels."""
    h, w = source
    scale = min(h / size[0], w / size[1])
    height, width = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    y, x = (h - height) // 2, (w - width) // 2
    return x, y, x + width, y + height
