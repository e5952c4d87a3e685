"""EPIC-KITCHENS-100: actions, classes, videos, and the rows whose narration has no time, as the tables are published.

Source: Damen et al., "Rescaling egocentric vision", 2022; the repository epic-kitchens/epic-kitchens-100-annotations.
"""

from __future__ import annotations

import os
from pathlib import Path

from isotherm.data.annotation_files import Skipped, above_zero
from isotherm.data.anticipation.actions import Action, ActionTable, VideoFacts
from isotherm.data.anticipation.columns import Row, rows_of, whole
from isotherm.errors import InputError
from isotherm.untrusted.plain import reads

TIMES = ("narration_id", "video_id", "start_timestamp", "stop_timestamp", "start_frame", "stop_frame")
CLASSES = ("narration", "verb_class", "noun_class")
VERB_CLASSES, NOUN_CLASSES, VIDEO_INFO = (
    "EPIC_100_verb_classes.csv",
    "EPIC_100_noun_classes.csv",
    "EPIC_100_video_info.csv",
)
"""Names of the tables that are read where they lie beside the actions."""


@reads()
def read_epic_kitchens(
    fpath: str | os.PathLike[str],
    *,
    verbs: str | os.PathLike[str] | None = None,
    nouns: str | os.PathLike[str] | None = None,
    videos: str | os.PathLike[str] | None = None,
    skip_bad: bool = False,
) -> ActionTable:
    """The actions of a table such as EPIC_100_validation.csv.

    Times are the timestamps. The columns of frames are kept as they are: in videos of EPIC-KITCHENS-55 they count 60
    frames a second, whatever the video has (:func:`isotherm.data.anticipation.leak.frame_clocks`).

    Args:
        fpath: of the actions; a test table without classes gives actions without verb and noun.
        verbs, nouns: tables of class names; None: those of the usual names beside the file, where they are there.
        videos: the table of frame rates; None: likewise.
        skip_bad: leave out rows that cannot be read, with a message each, instead of raising.

    Raises:
        InputError: file, line and what is wrong there; or an action of a video that the table of videos has not.
    """
    fpath = Path(fpath)
    rows = list(rows_of(fpath, TIMES))
    if not rows:
        raise InputError(f"{fpath} has a header and no rows; expected an action in each row")
    labelled = "verb_class" in rows[0].cells
    if labelled:
        next(rows_of(fpath, CLASSES))  # a test table has none of these columns, any other table all
    notes = [] if labelled else [f"{fpath.name} has no classes: its actions have neither verb nor noun"]
    tables = {
        name: Path(path) if path is not None else fpath.parent / usual if (fpath.parent / usual).is_file() else None
        for name, path, usual in (
            ("verbs", verbs, VERB_CLASSES),
            ("nouns", nouns, NOUN_CLASSES),
            ("videos", videos, VIDEO_INFO),
        )
    }
    notes += [f"no table of {name}" for name, path in tables.items() if path is None]
    facts = {} if tables["videos"] is None else read_video_info(tables["videos"])
    skipped, actions = Skipped(allowed=skip_bad), list[Action]()
    for row in rows:
        with skipped.one():
            action = _action(row, labelled=labelled)
            if facts and action.video not in facts:
                raise InputError(f"{row.where}: the video {action.video!r} is not in {tables['videos']}")
            actions.append(action)
    return ActionTable(
        tuple(actions),
        {} if tables["verbs"] is None else read_class_names(tables["verbs"]),
        {} if tables["nouns"] is None else read_class_names(tables["nouns"]),
        facts,
        tuple(notes),
        tuple(skipped.messages),
    )


def _action(row: Row, *, labelled: bool) -> Action:
    return Action(
        video=row.text("video_id"),
        start_s=row.clock("start_timestamp"),
        stop_s=row.clock("stop_timestamp"),
        verb=row.whole("verb_class") if labelled else None,
        noun=row.whole("noun_class") if labelled else None,
        narration=row.cells["narration"] if labelled else "",
        name=row.text("narration_id"),
        start_frame=row.whole("start_frame"),
        stop_frame=row.whole("stop_frame"),
        where=row.where,
    )


@reads()
def read_class_names(fpath: str | os.PathLike[str]) -> dict[int, str]:
    """The names of classes by their ids, of a table with the columns id and key.

    Args:
        fpath: such as EPIC_100_verb_classes.csv.

    Raises:
        InputError: file, line and what is wrong there; an id that occurs twice.
    """
    names: dict[int, str] = {}
    for row in rows_of(Path(fpath), ("id", "key")):
        number = row.whole("id")
        if number in names:
            raise InputError(f"{row.where}: the id {number} occurs twice; keep one")
        names[number] = row.text("key")
    return names


@reads()
def read_video_info(fpath: str | os.PathLike[str]) -> dict[str, VideoFacts]:
    """Frame rate, length and size of videos, of a table with the columns video_id, duration, fps and resolution.

    Args:
        fpath: such as EPIC_100_video_info.csv.

    Raises:
        InputError: file, line and what is wrong there; a video that occurs twice.
    """
    facts: dict[str, VideoFacts] = {}
    for row in rows_of(Path(fpath), ("video_id", "duration", "fps", "resolution")):
        name, size = row.text("video_id"), row.text("resolution").lower().split("x")
        if name in facts:
            raise InputError(f"{row.where}: the video {name!r} occurs twice; keep one")
        if len(size) != 2:
            raise InputError(f"{row.where}: resolution is {row.text('resolution')!r}; expected such as 1920x1080")
        w, h = (whole(text, row.where, "resolution") for text in size)
        facts[name] = VideoFacts(
            above_zero(row.number("fps"), row.where, "fps"),
            above_zero(row.number("duration"), row.where, "duration"),
            (h, w),
        )
    return facts


@reads()
def read_missing_timestamps(fpath: str | os.PathLike[str]) -> frozenset[str]:
    """The names of actions whose narration has no time, of a table with the column narration_id.

    Args:
        fpath: such as EPIC_100_validation_missing_timestamp_narrations.csv.

    Raises:
        InputError: file, line and what is wrong there.
    """
    return frozenset(row.text("narration_id") for row in rows_of(Path(fpath), ("narration_id",)))
