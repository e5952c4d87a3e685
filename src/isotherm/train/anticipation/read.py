"""The clips of a recipe: what to train on, what to validate on, what to judge finished models on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from isotherm.errors import OptionError
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


def read_judged(
    choice: ClipsChoice, classes: Mapping[str, Sequence[str]], *, root: Path, skip_bad: bool = False, say: Say = silent
) -> ClipData:
    """The clips that finished models are judged on: those held out, or else those of the validation, which is said.

    Args:
        choice: of a recipe.
        classes: of the model.
        root: where relative paths start.
        skip_bad: leave out what cannot be read, with a message each.
        say: is told how far it is.

    Raises:
        OptionError: nothing is held out, and nothing validates.
    """
    sources = choice.held_out or choice.validation
    if not sources:
        raise OptionError("nothing is held out and nothing validates; give data.held_out, or data.validation")
    if not choice.held_out:
        say("nothing is held out (data.held_out): models are judged on the clips that chose them, which flatters them")
    return GeneratedClips(sources)
