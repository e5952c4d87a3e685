"""A request for a run -> a run: a new one, or the one that was done before on the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isotherm.studio.requests import check_classes, file_names, key_of, options_of
from isotherm.studio.studio import Studio


def submit(studio: Studio, job: str, pictures: Sequence[str], options: Mapping[str, Any]) -> tuple[str, bool]:
    """Take in a run.

    Args:
        studio: that does it.
        job: explain or count.
        pictures: their ids.
        options: that differ from their defaults.

    Returns:
        Its id, and whether it was done before.

    Raises:
        NotThere: a picture that there is not.
        OptionError: options that there are not, or that a request may not set.
        QueueFull: too many are waiting.
    """
    names = file_names([studio.history.picture_name(picture_id) for picture_id in pictures])
    asks = options_of(job, options, names, models=studio.models, devices=studio.devices)
    check_classes(asks, studio.facts.get("models", ()))
    key = key_of(asks, pictures)
    if (there := studio.history.same(key)) is not None:
        return there.id, True
    title = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    pairs = list(zip(pictures, names, strict=True))
    return studio.room.submit(asks, key=key, title=title, pictures=pairs), False
