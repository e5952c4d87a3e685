"""The tables of actions of several sources as one, and its classes in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from isotherm.data.anticipation.actions import ActionTable, VideoFacts
from isotherm.data.anticipation.classes import Classes
from isotherm.data.anticipation.read import TableFormat, read_actions
from isotherm.errors import InputError
from isotherm.train.anticipation.source import ClipSource


def tables_of(sources: Sequence[ClipSource], *, root: Path, skip_bad: bool = False) -> list[ActionTable]:
    """The tables of sources.

    Args:
        sources: with files.
        root: where relative paths start.
        skip_bad: leave out rows that cannot be read.
    """
    return [read_actions(root / s.file, format=cast("TableFormat", s.format), skip_bad=skip_bad) for s in sources]


def joined_tables(tables: Sequence[ActionTable]) -> ActionTable:
    """Several tables as one.

    Args:
        tables: of actions.

    Raises:
        InputError: an id has two names.
    """
    verbs: dict[int, str] = {}
    nouns: dict[int, str] = {}
    videos: dict[str, VideoFacts] = {}
    for table in tables:
        for kind, names, more in (("verb", verbs, table.verbs), ("noun", nouns, table.nouns)):
            for number, name in more.items():
                if names.setdefault(number, name) != name:
                    raise InputError(
                        f"the {kind} {number} is {names[number]!r} in one table and {name!r} in another; join tables of one set of classes only"
                    )
        videos |= dict(table.videos)
    actions = tuple(action for table in tables for action in table)
    notes = tuple(dict.fromkeys(note for table in tables for note in table.notes))
    return ActionTable(actions, verbs, nouns, videos, notes, tuple(line for table in tables for line in table.skipped))


def words_of(classes: Classes) -> dict[str, tuple[str, ...]]:
    """The classes of every head in words, in the order of their numbers.

    Args:
        classes: of a training.

    Example:
        >>> words_of(Classes((3,), (7, 8), ((3, 8),), {3: "open"}))
        {'verb': ('open',), 'noun': ('7', '8'), 'action': ('open 8',)}
    """
    return {
        "verb": tuple(classes.verb_names.get(v, str(v)) for v in classes.verbs),
        "noun": tuple(classes.noun_names.get(n, str(n)) for n in classes.nouns),
        "action": tuple(classes.label(i) for i in range(len(classes.actions))),
    }
