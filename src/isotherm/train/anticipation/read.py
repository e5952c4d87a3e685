"""The clips of a recipe, read: what to train on and what to validate on."""

from __future__ import annotations

from pathlib import Path

from isotherm.progress import Say, silent
from isotherm.train.anticipation.clip_data import ClipData
from isotherm.train.anticipation.generated import GeneratedClips
from isotherm.train.anticipation.source import ClipsChoice


def read_clips(
    choice: ClipsChoice, *, root: Path, skip_bad: bool = False, say: Say = silent
) -> tuple[ClipData, ClipData | None]:
    """(clips to train on, clips to validate on or None).

    Args:
        choice: of a recipe.
        root: where relative paths start.
        skip_bad: leave out what cannot be read, with a message each.
        say: is told how far it is.

    Raises:
        InputError: file and line of what cannot be read.
    """
    training: ClipData = GeneratedClips(choice.train)
    validation: ClipData | None = GeneratedClips(choice.validation) if choice.validation else None
    return training, validation
