"""Pictures -> the very pixels that the package's own predict feeds its models, with a Frame that says whence they come.

Detectors get the picture letterboxed (grey 114, the smallest rectangle of whole strides when all pictures of the
batch have one shape, the full square otherwise), RT-DETR gets it stretched, classifiers get its middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isotherm.cam.view import Inputs
from isotherm.errors import InputError, OptionError
from isotherm.frame import Frame, Size

GREY = 114 / 255
"""What letterboxing pads with, and so what these models take for nothing."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)


def input_size(size: int | Sequence[int], stride: int) -> Size:
    """(h, w) of the model's input; each side a multiple of ``stride``."""
    sides = (size, size) if isinstance(size, int) else tuple(int(s) for s in size)
    if len(sides) != 2 or min(sides) < 1 or any(s % stride for s in sides):
        near = " x ".join(str(max(stride, round(s / stride) * stride)) for s in sides)
        raise OptionError(
            f"size is {size}; this model needs one number or (h, w) of multiples of {stride}, such as {near}"
        )
    return sides[0], sides[1]


def letterbox_pads(shape: Size, size: Size, *, stride: int, rectangle: bool) -> tuple[Size, tuple[int, int, int, int]]:
    """Where the package's letterbox puts a picture.

    Args:
        shape: (h, w) of the picture.
        size: (h, w) of the input asked for.
        rectangle: pad only to the next whole stride instead of to ``size``.

    Returns:
        (h, w) of the scaled picture, and the cells added (left, top, right, bottom). An odd one goes right or below.
    """
    scale = min(size[0] / shape[0], size[1] / shape[1])
    inner = max(round(shape[0] * scale), 1), max(round(shape[1] * scale), 1)
    free_y, free_x = size[0] - inner[0], size[1] - inner[1]
    if rectangle:
        free_y, free_x = free_y % stride, free_x % stride
    left, top = round(free_x / 2 - 0.1), round(free_y / 2 - 0.1)
    return inner, (left, top, free_x - left, free_y - top)


def letterbox(pictures: Sequence[np.ndarray], size: Size, *, stride: int, like: Tensor, square: bool = False) -> Inputs:
    """A letterboxed batch for detectors.

    Args:
        pictures: each (H, W, 3) RGB bytes, of any sizes.
        size: (h, w) of the input at most.
        stride: the model's coarsest.
        like: a tensor of the dtype and device wanted.
        square: pad to ``size`` even where all pictures have one shape.

    Raises:
        InputError: something that is no such picture.
    """
    from ultralytics.data.augment import LetterBox

    _check(pictures)
    rectangle = not square and len({p.shape for p in pictures}) == 1
    box = LetterBox(size, auto=rectangle, stride=stride)
    frames = []
    for p in pictures:
        inner, pads = letterbox_pads((p.shape[0], p.shape[1]), size, stride=stride, rectangle=rectangle)
        frames.append(Frame.identity((p.shape[0], p.shape[1])).resized(inner).padded(*pads))
    return Inputs(
        to_tensor([box(image=p) for p in pictures], like), Frame.stack(frames), blank=like.new_full((3,), GREY)
    )


def stretch(pictures: Sequence[np.ndarray], size: Size, *, stride: int, like: Tensor) -> Inputs:
    """A batch stretched to ``size`` for RT-DETR; arguments as in :func:`letterbox`."""
    from ultralytics.data.augment import LetterBox

    _check(pictures)
    box = LetterBox(size, auto=False, scale_fill=True, stride=stride)
    frames = [Frame.resize((p.shape[0], p.shape[1]), size) for p in pictures]
    return Inputs(
        to_tensor([box(image=p) for p in pictures], like), Frame.stack(frames), blank=like.new_full((3,), GREY)
    )


def middle(pictures: Sequence[np.ndarray], size: Size, *, transforms: Any, like: Tensor) -> Inputs:
    """A batch of centre crops for classifiers; arguments as in :func:`letterbox`.

    Args:
        transforms: the model's own torchvision transforms, used when they are of ``size``; otherwise the package's.
    """
    from PIL import Image
    from ultralytics.data.augment import classify_transforms

    _check(pictures)
    own = getattr(transforms, "transforms", None)
    of_size = getattr(own[0], "size", None) if own else None
    of_size = (of_size, of_size) if isinstance(of_size, int) else of_size
    steps: Any = own if of_size is not None and tuple(of_size) == tuple(size) else classify_transforms(size).transforms
    names = [type(step).__name__ for step in steps]
    if names != ["Resize", "CenterCrop", "ToTensor", "Normalize"]:
        raise OptionError(
            f"the model's transforms are {names}, so it is not known which pixels they come from; set model.transforms = None"
        )
    frames, tensors = [], []
    for p in pictures:
        scaled = steps[0](Image.fromarray(p))
        cropped = steps[1](scaled)
        tensors.append(np.asarray(cropped))
        left, top = _crop_corner(scaled.width, cropped.width), _crop_corner(scaled.height, cropped.height)
        frame = Frame.resize((p.shape[0], p.shape[1]), (scaled.height, scaled.width))
        frames.append(frame.cropped((left, top, left + cropped.width, top + cropped.height)))
    blank = steps[3](torch.tensor(IMAGENET_MEAN)[:, None, None]).flatten()
    tensor = steps[3](to_tensor(tensors, like))
    return Inputs(tensor, Frame.stack(frames), blank=blank.to(like))


def to_tensor(arrays: Sequence[np.ndarray], like: Tensor) -> Tensor:
    """(h, w, 3) RGB bytes -> (b, 3, h, w) in [0, 1], rounded as the package rounds."""
    batch = torch.from_numpy(np.ascontiguousarray(np.stack(arrays))).to(like.device).permute(0, 3, 1, 2).contiguous()
    if like.dtype == torch.float16:
        return batch.half().div_(255)  # half before the division, as predict does
    return batch.float().div_(255).to(like.dtype)


def _crop_corner(whole: int, part: int) -> int:
    return round((whole - part) / 2.0)


def _check(pictures: Sequence[np.ndarray]) -> None:
    if not pictures:
        raise InputError("there is no picture to prepare: the list is empty")
    for p in pictures:
        if p.dtype != np.uint8 or p.ndim != 3 or p.shape[2] != 3 or min(p.shape[:2]) < 1:
            raise InputError(
                f"a picture has shape {p.shape} and dtype {p.dtype}; expected (height, width, 3) RGB bytes"
            )
