"""Preprocess: pictures of any size -> one model input, the frame that says where each input pixel comes from, and in
words what is taken for granted of it.

Resizing is Pillow's, because that is what the evaluation transforms of torchvision and timm run on a decoded
picture: bit for bit the same input, so that what is explained is what the model is known to score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from isotherm.cam.premises import Premise, Source
from isotherm.cam.view import Inputs
from isotherm.errors import InputError, OptionError
from isotherm.frame import Frame, Size

Pictures = Sequence[UInt8[np.ndarray, "_ _ 3"]]
"""Source pictures as decoded, upright RGB; each of its own size."""
Geometry = Literal["crop", "squash", "letterbox", "shorter"]
"""How a picture of any aspect ratio becomes an input.

``crop``: scaled until it covers ``resize``, then the centre is cut out; what lies outside is never seen.
``squash``: stretched to ``resize``, then the centre is cut out (the whole picture where resize equals size).
``letterbox``: scaled until it fits into ``resize``, the rest filled with the mean colour.
``shorter``: scaled until its shorter side is that of ``resize``; inputs differ in size, and a batch is padded
on the right and below with the mean colour.
"""
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
IMAGENET_COLOURS = ((IMAGENET_MEAN, IMAGENET_STD), ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)))
"""Means and deviations that networks of ImageNet are fed with: those of its pixels, and those of the Inception
networks.
"""
CAN_BE_GIVEN = "size, mean, std and geometry can be given"


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """From a decoded picture to a model input.

    Args:
        size: (h, w) of the input.
        resize: (h, w) that the picture is scaled to before the centre is cut out; ``size`` if None.
        geometry: see :data:`Geometry`.
        interpolation: Pillow's filter, which antialiases when shrinking.
        mean, std: per channel, of pixels in [0, 1]. One value: the picture is turned grey first.
    """

    size: Size
    resize: Size | None = None
    geometry: Geometry = "crop"
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __post_init__(self) -> None:
        if self.geometry not in get_args(Geometry):
            raise OptionError(f"geometry is {self.geometry!r}; expected one of {', '.join(get_args(Geometry))}")
        if self.interpolation not in get_args(Interpolation):
            raise OptionError(
                f"interpolation is {self.interpolation!r}; expected one of {', '.join(get_args(Interpolation))}"
            )
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3):
            raise OptionError(
                f"mean has {len(self.mean)} values and std {len(self.std)}; both need 3 (RGB) or 1 (grey)"
            )
        if min(self.std) <= 0:
            raise OptionError(f"std is {self.std}; every value must be above 0")
        for name, size in (("size", self.size), ("resize", self.resize)):
            if size is not None and (len(size) != 2 or min(size) < 1):
                raise OptionError(f"{name} is {size}; expected (h, w), two whole numbers of at least 1")

    @property
    def sample(self) -> Size:
        """(h, w) of a picture to try a model with."""
        return self.size

    def with_size(self, size: int | Sequence[int] | None) -> Preprocess:
        """For another input size: the share of the picture that the crop keeps stays the same."""
        if size is None:
            return self
        new = size_of(size)
        before = self.resize or self.size
        resize = (max(1, round(before[0] * new[0] / self.size[0])), max(1, round(before[1] * new[1] / self.size[1])))
        return replace(self, size=new, resize=resize)

    def with_colours(self, mean: Sequence[float] | None, std: Sequence[float] | None) -> Preprocess:
        """With another mean or deviation, where given."""
        return replace(
            self,
            mean=self.mean if mean is None else tuple(float(m) for m in mean),
            std=self.std if std is None else tuple(float(s) for s in std),
        )

    def one(self, picture: UInt8[np.ndarray, "_ _ 3"]) -> tuple[Float[Tensor, "c h w"], Frame]:
        """One picture (H, W, 3) uint8 RGB -> its normalised input (c, h, w) in float32 and the frame of it."""
        check_picture(picture)
        source = (int(picture.shape[0]), int(picture.shape[1]))
        scaled = scaled_size(source, self.resize or self.size, self.geometry)
        image = Image.fromarray(np.ascontiguousarray(picture))
        if len(self.mean) == 1:
            image = image.convert("L")
        if scaled != source:
            image = image.resize((scaled[1], scaled[0]), Image.Resampling[self.interpolation.upper()])
        frame = Frame.identity(source).resized(scaled)
        array = np.asarray(image)
        if self.geometry != "shorter":
            # a letterbox is filled with the mean colour; a crop larger than the picture with black, as torchvision does
            fill = [round(255 * m) for m in self.mean] if self.geometry == "letterbox" else [0] * len(self.mean)
            array, box = cut_centre(array, self.size, fill)
            frame = frame.cropped(box)
        # a copy: from_numpy must not see Pillow's read-only memory
        pixels = torch.from_numpy(np.array(array)).reshape(*array.shape[:2], len(self.mean)).permute(2, 0, 1)
        tensor = pixels.to(torch.float32) / 255
        return tensor.sub_(_column(self.mean)).div_(_column(self.std)), frame

    def batch(
        self, pictures: Pictures, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> Inputs:
        """Pictures of any sizes -> one batch on ``device`` in ``dtype``; normalised in float32 before the cast."""
        if not len(pictures):
            raise InputError("there are no pictures to prepare: the list is empty")
        prepared = [self.one(p) for p in pictures]
        height = max(t.shape[1] for t, _ in prepared)
        width = max(t.shape[2] for t, _ in prepared)
        # only `shorter` leaves different sizes; 0 after normalisation is the mean colour
        batch = torch.zeros(len(prepared), len(self.mean), height, width)
        frames = []
        for row, (tensor, frame) in enumerate(prepared):
            h, w = tensor.shape[1:]
            batch[row, :, :h, :w] = tensor
            frames.append(frame.padded(0, 0, width - w, height - h))
        blank = torch.zeros(len(self.mean), device=device, dtype=dtype)
        return Inputs(batch.to(device=device, dtype=dtype), Frame.stack(frames), blank=blank)


def size_of(size: int | Sequence[int]) -> Size:
    """An input size given as one side or as (h, w) -> (h, w)."""
    pair = (size, size) if isinstance(size, int) else tuple(int(s) for s in size)
    if len(pair) != 2 or min(pair) < 1:
        raise OptionError(f"size is {size!r}; expected one side or (h, w), whole numbers of at least 1")
    return pair


def check_picture(picture: object) -> None:
    """Raises InputError unless the picture is (H, W, 3) uint8."""
    if not isinstance(picture, np.ndarray) or picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        what = (
            f"{picture.dtype} of shape {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
        )
        raise InputError(f"a picture is {what}; expected an RGB array (H, W, 3) of uint8")
    if 0 in picture.shape:
        raise InputError(f"a picture of shape {picture.shape} has no pixels")


def scaled_size(source: Size, target: Size, geometry: Geometry) -> Size:
    """(h, w) that the picture is scaled to, rounded as the evaluation transforms round.

    torchvision truncates the longer side when one length is given for the shorter; timm, for targets that are
    not square and for letterboxes, rounds both sides.
    """
    h, w = source
    if geometry == "squash":
        return target
    if geometry in ("crop", "shorter") and target[0] == target[1]:
        short, long = min(h, w), max(h, w)
        other = max(1, int(target[0] * long / short))
        return (target[0], other) if h <= w else (other, target[0])
    ratios = h / target[0], w / target[1]
    ratio = max(ratios) if geometry == "letterbox" else min(ratios)
    return max(1, round(h / ratio)), max(1, round(w / ratio))


def cut_centre(
    array: UInt8[np.ndarray, "h w *c"], size: Size, fill: Sequence[int]
) -> tuple[UInt8[np.ndarray, "H W *c"], tuple[int, int, int, int]]:
    """The centre of ``array``, filled where it is too small; and its box (x0, y0, x1, y1) in the array's pixels."""
    h, w = array.shape[:2]
    before = [max(0, (s - n) // 2) for s, n in zip(size, (h, w), strict=True)]
    after = [max(0, math.ceil((s - n) / 2)) for s, n in zip(size, (h, w), strict=True)]
    if any(before) or any(after):
        grown = np.empty((h + before[0] + after[0], w + before[1] + after[1], *array.shape[2:]), np.uint8)
        grown[...] = fill if array.ndim == 3 else fill[0]
        grown[before[0] : before[0] + h, before[1] : before[1] + w] = array
        array = grown
    # Python's rounding of halves to even, as both packages have it
    top, left = round((array.shape[0] - size[0]) / 2), round((array.shape[1] - size[1]) / 2)
    cut = array[top : top + size[0], left : left + size[1]]
    x0, y0 = left - before[1], top - before[0]
    return cut, (x0, y0, x0 + size[1], y0 + size[0])


def _column(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None, None]


def input_premises(preprocess: Preprocess, *, source: Source, why: str, **user: Any) -> tuple[Premise, ...]:
    """What a model is fed: what the user gave, and the rest with where it comes from.

    Args:
        source, why: of what was not given.
        user: size, mean, std and geometry, as the user gave them or None.
    """
    words = _words(preprocess)
    theirs = [words.pop(name) for name, value in user.items() if value is not None]
    if source == "assumed" and all(user.get(name) is not None for name in ("size", "mean", "std")):
        source, why = (
            "default",
            "geometry can be given",
        )  # what is left is how a picture is fitted, which is no claim about the model
    premises = [Premise(about="input", value=", ".join(theirs), source="given")] if theirs else []
    return (*premises, Premise(about="input", value=", ".join(words.values()), source=source, why=why))


def fed_as_imagenet(mean: tuple[float, ...], std: tuple[float, ...]) -> bool:
    """True where colours are normalised as those of networks that were trained on ImageNet."""
    return (mean, std) in IMAGENET_COLOURS


def _words(preprocess: Preprocess) -> dict[str, str]:
    (h, w), (rows, columns) = preprocess.size, preprocess.resize or preprocess.size
    return {
        "size": f"shorter side {min(rows, columns)} pixels"
        if preprocess.geometry == "shorter"
        else f"{h} x {w} pixels",
        "geometry": {
            "crop": f"scaled to cover {rows} x {columns} and cut in the centre",
            "squash": f"stretched to {rows} x {columns}"
            + ("" if (rows, columns) == (h, w) else " and cut in the centre"),
            "letterbox": f"scaled to fit into {rows} x {columns}, the rest filled with the mean colour",
            "shorter": "nothing cut off",
        }[preprocess.geometry],
        "interpolation": preprocess.interpolation,
        "mean": f"mean {numbers(preprocess.mean)}",
        "std": f"std {numbers(preprocess.std)}",
    }


def numbers(values: Sequence[float]) -> str:
    """A few numbers in a line of words, of which one that was measured may be a zero with a sign.

    Example:
        >>> numbers([-0.0, 0.5, -1.25])
        '0 0.5 -1.25'
    """
    return " ".join(f"{v + 0.0:.4g}" for v in values)  # -0.0 + 0.0 is 0.0
