"""EGTEA Gaze+: the splits (train_split1.txt and its like) and the raw annotations (action_labels.csv).

Source: Li, Liu and Rehg, "In the eye of beholder", 2018; the forms as their files have them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from isotherm.data.annotation_files import Skipped, read_text, shown
from isotherm.data.anticipation.actions import Action, ActionTable
from isotherm.data.anticipation.columns import Row, rows_of, whole
from isotherm.errors import InputError
from isotherm.untrusted.plain import reads

PREFIX = re.compile(r"(?P<session>.+)-(?P<start>\d+)-(?P<stop>\d+)(?:-F(?P<first>\d+)-F(?P<last>\d+))?")
RAW = (
    "Clip Prefix (Unique)",
    "Video Session",
    "Starting Time (ms)",
    "Ending Time (ms)",
    "Action Label",
    "Verb Label",
    "Noun Label(s)",
)
_INDEX = re.compile(r"(.*\S)\s+(\d+)")


@reads()
def read_egtea_split(
    fpath: str | os.PathLike[str],
    *,
    verbs: str | os.PathLike[str] | None = None,
    nouns: str | os.PathLike[str] | None = None,
    skip_bad: bool = False,
) -> ActionTable:
    """The actions of a split: the name of a clip, then the ids of action, verb and nouns, counted from 1.

    Times are the milliseconds in the clip's name, since the frame numbers there are up to seconds off. Of several nouns
    the first is taken, as is usual.

    Args:
        fpath: such as train_split1.txt.
        verbs, nouns: verb_idx.txt and noun_idx.txt, a name and its id in each line; None: those beside the file, where
            they are there.
        skip_bad: leave out lines that cannot be read, with a message each, instead of raising.

    Raises:
        InputError: file, line and what is wrong there.
    """
    fpath = Path(fpath)
    tables = {
        usual: Path(path) if path is not None else fpath.parent / usual if (fpath.parent / usual).is_file() else None
        for usual, path in (("verb_idx.txt", verbs), ("noun_idx.txt", nouns))
    }
    skipped, actions, several = Skipped(allowed=skip_bad), list[Action](), 0
    for i, line in enumerate(read_text(fpath).splitlines(), 1):
        if line.strip():
            with skipped.one():
                actions.append(_action(line.split(), f"{fpath}:{i}"))
                several += len(line.split()) > 4
    if not actions and not skipped.messages:
        raise InputError(f"{fpath} has no lines; expected the name of a clip and its ids in each")
    notes = [f"no {usual}" for usual, path in tables.items() if path is None]
    if several:
        notes.append(f"of the nouns of {several} actions the first was taken")
    verb_names, noun_names = ({} if path is None else read_index(path) for path in tables.values())
    return ActionTable(tuple(actions), verb_names, noun_names, {}, tuple(notes), tuple(skipped.messages))


def _action(words: list[str], where: str) -> Action:
    if len(words) < 4:
        raise InputError(
            f"{where}: {len(words)} words; expected the name of a clip and the ids of action, verb and nouns"
        )
    session, start_s, stop_s, first, last = _prefix(words[0], where)
    ids = [whole(word, where, what) for word, what in zip(words[1:4], ("action", "verb", "noun"), strict=True)]
    if min(ids) < 1:
        raise InputError(f"{where}: the ids are {ids}; they count from 1")
    return Action(
        video=session,
        start_s=start_s,
        stop_s=stop_s,
        verb=ids[1],
        noun=ids[2],
        name=words[0],
        start_frame=first,
        stop_frame=last,
        where=where,
    )


def _prefix(name: str, where: str) -> tuple[str, float, float, int | None, int | None]:
    match = PREFIX.fullmatch(name)
    if match is None or any(len(number) > 15 for number in match.group("start", "stop", "first", "last") if number):
        raise InputError(
            f"{where}: the clip is called {shown(name)}; expected a session and two times in milliseconds, such as "
            "OP01-R01-PastaSalad-66680-68130-F001597-F001639"
        )
    first, last = (None if match[group] is None else int(match[group]) for group in ("first", "last"))
    return match["session"], int(match["start"]) / 1000, int(match["stop"]) / 1000, first, last


@reads()
def read_index(fpath: str | os.PathLike[str]) -> dict[int, str]:
    """Names by ids, of a file with a name and its id in each line.

    Args:
        fpath: such as verb_idx.txt.

    Raises:
        InputError: file, line and what is wrong there; an id that occurs twice.
    """
    names: dict[int, str] = {}
    for i, line in enumerate(read_text(Path(fpath)).splitlines(), 1):
        if not line.strip():
            continue
        match = _INDEX.fullmatch(line.strip())
        if match is None or len(match[2]) > 15 or int(match[2]) in names:
            raise InputError(f"{fpath}:{i}: found {shown(line)}; expected a name and an id that no other line has")
        names[int(match[2])] = match[1]
    return names


@reads()
def read_egtea_raw(fpath: str | os.PathLike[str], *, skip_bad: bool = False) -> ActionTable:
    """The actions of the raw annotations, in words; verbs and nouns get ids in the order of the alphabet.

    Args:
        fpath: action_labels.csv, with semicolons between columns.
        skip_bad: leave out rows that cannot be read, with a message each, instead of raising.

    Raises:
        InputError: file, line and what is wrong there.
    """
    rows = list(rows_of(Path(fpath), RAW, delimiter=";"))
    skipped, drafts = Skipped(allowed=skip_bad), list[tuple[Row, str, list[str], float, float]]()
    for row in rows:
        with skipped.one():
            nouns = [noun.strip() for noun in row.text("Noun Label(s)").split(",")]
            start, stop = (row.number(column) / 1000 for column in ("Starting Time (ms)", "Ending Time (ms)"))
            drafts.append((row, row.text("Verb Label"), nouns, start, stop))
    verbs = {name: i for i, name in enumerate(sorted({verb for _, verb, _, _, _ in drafts}))}
    nouns_by_name = {name: i for i, name in enumerate(sorted({nouns[0] for _, _, nouns, _, _ in drafts}))}
    actions = list[Action]()
    for row, verb, nouns, start, stop in drafts:
        with skipped.one():
            actions.append(
                Action(
                    video=row.text("Video Session"),
                    start_s=start,
                    stop_s=stop,
                    verb=verbs[verb],
                    noun=nouns_by_name[nouns[0]],
                    narration=row.text("Action Label"),
                    name=row.text("Clip Prefix (Unique)"),
                    where=row.where,
                )
            )
    several = sum(len(nouns) > 1 for _, _, nouns, _, _ in drafts)
    return ActionTable(
        tuple(actions),
        {i: name for name, i in verbs.items()},
        {i: name for name, i in nouns_by_name.items()},
        {},
        (f"of the nouns of {several} actions the first was taken",) if several else (),
        tuple(skipped.messages),
    )
