"""Tensors that are already what a model eats, and several inputs at once: rows of a batch, each with the picture
that its map is drawn on.

A picture says of itself how its numbers become light; a tensor does not. So it is drawn from its least to its
largest value, unless the user gives the picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.view import Inputs, Picture
from isotherm.data.pictures import as_picture
from isotherm.errors import InputError, OptionError
from isotherm.frame import Frame
from isotherm.models.shared.calling import also
from isotherm.models.shared.classifier import where_it_lives

Channels = int | Sequence[int] | None
"""Which channel, or which three, of a tensor are drawn; None: the first three, or the only one or the first of two."""


@dataclass(frozen=True, eq=False)
class Row:
    """One row of what a model is fed.

    Args:
        inputs: of one row.
        picture: what its map is drawn on.
        notes: what a person should know about that picture.
        words: what was fed, where it was no picture.
    """

    inputs: Inputs
    picture: Picture
    notes: tuple[str, ...] = ()
    words: str = ""


def is_batch(image: Any) -> bool:
    """Whether something is a tensor or an array of four dimensions of real numbers: what a model eats.

    Example:
        >>> is_batch(torch.zeros(2, 12, 8, 8)), is_batch(torch.zeros(3, 8, 8))
        (True, False)
    """
    if isinstance(image, np.ndarray):
        return image.ndim == 4 and image.dtype.kind == "f"
    return isinstance(image, Tensor) and image.ndim == 4 and image.is_floating_point()


def rows_of(view: Any, image: Any, *, picture: Any = None, channels: Channels = None) -> list[Row]:
    """The rows of a tensor (b, c, h, w) that is already what the model eats.

    Args:
        view: of the model; its device and number type are taken.
        image: the tensor, or an array.
        picture: what to draw on: one picture, or a list of b; the tensor is taken to show all of it.
        channels: which of the tensor's are drawn where no picture is given.

    Raises:
        InputError: this kind of model prepares pictures by itself, or there are not as many pictures as rows.
    """
    if not getattr(view, "eats_tensors", False):
        raise InputError(
            f"a tensor {tuple(image.shape)} was given, but {view.name} prepares its input by itself; give pictures: paths, PIL images, or arrays (H, W, 3)"
        )
    device, dtype = where_it_lives(view.model)
    tensor = torch.as_tensor(image).detach().to(device=device, dtype=dtype)
    if 0 in tensor.shape:
        raise InputError(f"a tensor of shape {tuple(tensor.shape)} has nothing in it")
    pictures = list(picture) if isinstance(picture, list | tuple) else None if picture is None else [picture]
    if pictures is not None and len(pictures) != len(tensor):
        raise InputError(
            f"picture= has {len(pictures)} picture(s) for a tensor of {len(tensor)} rows; give one per row"
        )
    size = (int(tensor.shape[-2]), int(tensor.shape[-1]))
    rows = []
    words = f"a tensor ({', '.join(map(str, tensor.shape))})"
    notes: tuple[str, ...]
    for i in range(len(tensor)):
        if pictures is None:
            shown, note = drawn(tensor[i], channels)
            notes = (note,)
            frame = Frame.identity(size)
        else:
            shown, notes = as_picture(pictures[i]).array, ()
            frame = Frame.identity((int(shown.shape[0]), int(shown.shape[1]))).resized(size)
        rows.append(Row(Inputs(tensor[i : i + 1], Frame.stack([frame]), blank=_blank(tensor)), shown, notes, words))
    return rows


def several(view: Any, image: Sequence[Any], *, over: int = 0, picture: Any = None, channels: Channels = None) -> Row:
    """The one row of several inputs, each a picture, which the view prepares, or a tensor (1, ...) as the model eats
    it.

    Args:
        view: of the model.
        image: the inputs, in the order of the forward pass.
        over: which of them is explained, from 0.
        picture: what to draw on, as in :func:`rows_of`.
        channels: as there.

    Raises:
        OptionError: there is no such input.
        InputError: a batch of several rows, or a number where the map should lie.
    """
    if not isinstance(over, int) or not 0 <= over < len(image):
        raise OptionError(
            f"over is {over!r}; it is which of the {len(image)} inputs the map lies over, from 0 to {len(image) - 1}"
        )
    device, dtype = where_it_lives(view.model)
    explained: Row | None = None
    extra: dict[str, Any] = {}
    for i, one in enumerate(image):
        if i == over:
            (explained, *others) = (
                rows_of(view, one, picture=picture, channels=channels) if is_batch(one) else [_prepared(view, one)]
            )
            if others:
                raise InputError(
                    f"input {i} has {len(others) + 1} rows; give several inputs for one picture at a time, (1, ...)"
                )
        elif isinstance(one, Tensor) and (one.ndim != 3 or is_batch(one)):
            extra[also(i)] = one.to(device=device, dtype=dtype if one.is_floating_point() else one.dtype)
        elif isinstance(one, bool | int | float):
            extra[also(i)] = one
        else:
            extra[also(i)] = _prepared(view, one).inputs.tensor
    assert explained is not None
    inputs = explained.inputs
    note = f"the map lies over input {over} of {len(image)}; over= chooses another"
    return Row(
        Inputs(inputs.tensor, inputs.frame, extra, inputs.blank),
        explained.picture,
        (*explained.notes, note),
        explained.words,
    )


def given_items(
    view: Any, images: Iterable[Any], titles: Iterator[str], *, picture: Any = None, channels: Channels = None
) -> Iterator[tuple[str, Row | Picture]]:
    """What is explained one after another, with its title: a picture, or a row of what the model eats.

    A tuple is the inputs of a model of several; a list is several pictures, a tensor (b, c, h, w) several rows.

    Args:
        view: of the model.
        images: as a caller gives them.
        titles: one for each of the images; of several rows each gets its number.
        picture, channels: see :func:`rows_of`.

    Raises:
        OptionError: there is a picture to draw on, or channels to be drawn, and no tensor.
    """
    calling = getattr(view, "calling", None)
    for image, title in zip(images, titles, strict=False):
        many: list[Row | Picture]
        if isinstance(image, tuple) and calling is not None and calling.count > 1:
            if len(image) != calling.count:
                raise InputError(
                    f"{len(image)} inputs were given for a model of {calling.count}; give a tuple with one for each"
                )
            many = [several(view, image, over=calling.over, picture=picture, channels=channels)]
        elif is_batch(image):
            many = list(rows_of(view, image, picture=picture, channels=channels))
        elif picture is not None or channels is not None:
            option = "picture" if picture is not None else "channels"
            raise OptionError(
                f"{option}= says how a tensor (b, c, h, w) is drawn, and what is explained is a picture; leave it out"
            )
        else:
            many = [as_picture(one).array for one in (image if isinstance(image, list) else [image])]
        for i, one in enumerate(many):
            yield (title if len(many) == 1 else f"{title} {i}"), one


def fed_with(view: Any, group: Sequence[Any]) -> tuple[Inputs, list[Any], list[Row]]:
    """The inputs of a group of pictures, clips or rows; what maps are drawn on; and its rows, none where there are
    none.
    """
    if not any(isinstance(one, Row) for one in group):
        pictures = [one for one in group if not isinstance(one, Row)]
        return view.prepare(pictures), pictures, []
    rows = [one if isinstance(one, Row) else _prepared(view, one) for one in group]
    return joined(rows), [row.picture for row in rows], rows


def joined(rows: Sequence[Row]) -> Inputs:
    """The rows as one batch. Raises InputError where they are of different sizes."""
    sizes = sorted({tuple(row.inputs.tensor.shape[1:]) for row in rows})
    if len(sizes) > 1:
        raise InputError(
            f"the inputs have {len(sizes)} shapes ({', '.join(map(str, sizes))}); explain them one at a time (batch=1)"
        )
    if len(rows) == 1:
        return rows[0].inputs
    blank = rows[0].inputs.blank
    return Inputs(
        torch.cat([row.inputs.tensor for row in rows]), Frame.cat([row.inputs.frame for row in rows]), blank=blank
    )


def drawn(tensor: Float[Tensor, "c h w"], channels: Channels = None) -> tuple[Picture, str]:
    """A picture of a tensor, from the least to the largest value of what is drawn, and how it was made.

    Example:
        >>> picture, note = drawn(torch.rand(12, 4, 5), [3, 2, 1])
        >>> picture.shape, note
        ((4, 5, 3), 'drawn: channels 3, 2, 1 of 12, from their least to their largest value')
    """
    count = int(tensor.shape[0])
    chosen = (
        list(range(3 if count >= 3 else 1))
        if channels is None
        else [channels]
        if isinstance(channels, int)
        else list(channels)
    )
    if len(chosen) not in (1, 3) or not all(isinstance(c, int) and -count <= c < count for c in chosen):
        raise OptionError(f"channels is {channels!r}; expected one or three of the {count} channels, numbered from 0")
    values = tensor[chosen].detach().float().cpu()
    values = torch.nan_to_num(values - values.amin())
    least = float(values.amax())
    scaled = (values / (least if least > 0 else 1.0) * 255).round().to(torch.uint8)
    names = ", ".join(str(c % count) for c in chosen)
    which = f"channel {names}" if len(chosen) == 1 else f"channels {names}"
    note = f"drawn: {which} of {count}, from {'its' if len(chosen) == 1 else 'their'} least to {'its' if len(chosen) == 1 else 'their'} largest value"
    return np.ascontiguousarray(scaled.expand(3, -1, -1).permute(1, 2, 0).numpy()), note


def _prepared(view: Any, image: Any) -> Row:
    picture = as_picture(image).array
    return Row(view.prepare([picture]), picture)


def _blank(tensor: Float[Tensor, "b c h w"]) -> Float[Tensor, " c"]:
    """What stands for "nothing there": 0, the mean of a normalised input, where each channel has values on both
    sides of it, else the channel's mean.
    """
    mean = tensor.float().mean((0, 2, 3))
    around = (tensor.amin((0, 2, 3)) < 0) & (tensor.amax((0, 2, 3)) > 0)
    return torch.where(around, torch.zeros_like(mean), mean).to(tensor)
