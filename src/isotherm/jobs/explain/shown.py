"""A job's ``--like``: the opened model, looking for what boxes on the first picture show, or the likeness to a
picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from isotherm.cam.view import ShownView
from isotherm.data.pictures import read_picture
from isotherm.data.sources import Item, ReadPicture
from isotherm.errors import InputError, OptionError
from isotherm.explaining import ExplainOptions
from isotherm.jobs.explain.like import check_within, parse_like
from isotherm.likeness import likeness
from isotherm.models.choose import OpenModel
from isotherm.vlm.view import LanguageView


def made_alike(
    like: str, explaining: ExplainOptions, opened: OpenModel, items: Iterator[Item], read: ReadPicture = read_picture
) -> tuple[ExplainOptions, OpenModel, Iterator[Item]]:
    """What to explain, the model and all items, as ``--like`` has them.

    The embedding of a picture to be like is made once, for all items.

    Args:
        like: as ``--like`` takes it.
        explaining: what to explain, with ``like`` where that is a picture.
        opened, items, read: as of :func:`shown_model`.

    Raises:
        OptionError, InputError: as of :func:`shown_model`; a model that answers questions.
        TargetError: a model without an embedding.
    """
    if explaining.like is None:
        return explaining, *shown_model(like, opened, items, read)
    if isinstance(opened.view, LanguageView):
        raise OptionError(f"--like: {opened.view.name} answers questions; ask it with --prompt, and leave --like out")
    return replace(explaining, like=None, target=likeness(opened.view, explaining.like)), opened, items


def shown_model(
    boxes: str, opened: OpenModel, items: Iterator[Item], read: ReadPicture = read_picture
) -> tuple[OpenModel, Iterator[Item]]:
    """The model looking for what boxes on the first item show, and all items.

    The embedding of what the boxes show is made once, from the first item, and looked for in all items.

    Args:
        boxes: as ``--like`` takes them.
        opened: a model that can be shown things.
        items: at least one.
        read: reads a picture's file.

    Raises:
        OptionError: a model that cannot be shown anything, or a box that is not on the picture.
        InputError: the first item cannot be read.
    """
    if not isinstance(opened.view, ShownView):
        raise OptionError(
            f"--like: {opened.view.name} cannot be shown what to look for; take a YOLOE, yoloe-11s-seg.pt"
        )
    first = next(items)
    try:
        picture = first.load(read)
    except InputError as error:
        raise InputError(f"--like: its boxes lie on {first.name}, which cannot be read: {error}") from error
    like = parse_like(boxes)
    check_within(like, *picture.array.shape[:2], picture=first.name)
    view = opened.view.shown(picture.array, like)
    what = f"{', '.join(like)}, as shown by {sum(map(len, like.values()))} box(es) on {first.name}"
    kept = replace(first, _load=lambda _: picture)
    return OpenModel(view, f"{opened.reason}; it looks for {what}"), chain([kept], items)
