"""The clips of a recipe: what to train on, what to validate on, what to judge finished models on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from isotherm.data.anticipation.classes import Classes
from isotherm.errors import InputError, OptionError
from isotherm.progress import Say, silent
from isotherm.train.anticipation.clip_data import ClipData
from isotherm.train.anticipation.generated import GeneratedClips
from isotherm.train.anticipation.source import ClipsChoice
from isotherm.train.anticipation.tables import joined_tables, tables_of, words_of
from isotherm.train.anticipation.videos import VideoClips


def read_clips(
    choice: ClipsChoice, *, root: Path, skip_bad: bool = False, say: Say = silent
) -> tuple[ClipData, ClipData | None]:
    """(clips to train on, clips to validate on or None).

    Args:
        choice: of a recipe.
        root: where relative paths start.
        skip_bad: leave out what cannot be read, with a message each.
        say: is told how far it is, what is missing and what was left out.

    Raises:
        InputError: file and line of what cannot be read, or the path of a video.
    """
    if choice.generated:
        return GeneratedClips(choice.train), GeneratedClips(choice.validation) if choice.validation else None
    training = VideoClips(choice.train, choice, root=root, skip_bad=skip_bad, say=say)
    if not choice.validation:
        return training, None
    return training, VideoClips(choice.validation, choice, root=root, classes=training.kept, skip_bad=skip_bad, say=say)


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
        InputError: the tables of the training have other classes than the model.
    """
    sources = choice.held_out or choice.validation
    if not sources:
        raise OptionError("nothing is held out and nothing validates; give data.held_out, or data.validation")
    if not choice.held_out:
        say("nothing is held out (data.held_out): models are judged on the clips that chose them, which flatters them")
    if choice.generated:
        return GeneratedClips(sources)
    kept = Classes.of(joined_tables(tables_of(choice.train, root=root, skip_bad=skip_bad)))
    if {name: list(words) for name, words in words_of(kept).items()} != {n: list(w) for n, w in classes.items()}:
        raise InputError(
            f"the model has {len(classes['action'])} actions and {', '.join(s.file for s in choice.train)} has {len(kept.actions)}, or others; "
            "give the tables that it was trained with"
        )
    return VideoClips(sources, choice, root=root, classes=kept, skip_bad=skip_bad, say=say)
