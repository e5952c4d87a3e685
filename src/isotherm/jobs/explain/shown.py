"""A job's ``--like``: the opened model, looking for what boxes on the first picture show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from isotherm.cam.view import ShownView
from isotherm.data.sources import Item
from isotherm.errors import InputError, OptionError
from isotherm.jobs.explain.like import check_within, parse_like
from isotherm.jobs.explain.options import ExplainJob
from isotherm.models.choose import OpenModel


def shown_model(options: ExplainJob, opened: OpenModel, items: Iterator[Item]) -> tuple[OpenModel, Iterator[Item]]:
    """The model as a job's options have it look at things, and all items: without ``like`` both as they are.

    The embedding of what the boxes show is made once, from the first item, and looked for in all items.

    Raises:
        OptionError: a model that cannot be shown anything, or a box that is not on the picture.
        InputError: the first item cannot be read.
    """
    if options.like is None:
        return opened, items
    if not isinstance(opened.view, ShownView):
        raise OptionError(
            f"--like: {opened.view.name} cannot be shown what to look for; take a YOLOE, yoloe-11s-seg.pt"
        )
    first = next(items)
    try:
        picture = first.load()
    except InputError as error:
        raise InputError(f"--like: its boxes lie on {first.name}, which cannot be read: {error}") from error
    like = parse_like(options.like)
    check_within(like, *picture.array.shape[:2], picture=first.name)
    view = opened.view.shown(picture.array, like)
    what = f"{', '.join(like)}, as shown by {sum(map(len, like.values()))} box(es) on {first.name}"
    kept = replace(first, _load=lambda: picture)
    return OpenModel(view, f"{opened.reason}; it looks for {what}"), chain([kept], items)
