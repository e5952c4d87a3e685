"""Ego4D's forecasting benchmark: long-term (fho_lta_*.json) and short-term anticipation (fho_sta_*.json).

Source: Grauman et al., "Ego4D", 2022; the forms as their files have them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from isotherm.data.annotation_files import Entry, Skipped, number, part_of, read_json, shown
from isotherm.data.anticipation.actions import Action, ActionTable, VideoFacts
from isotherm.errors import InputError
from isotherm.untrusted.plain import reads

Clock = Literal["video", "clip"]


@reads()
def read_ego4d(fpath: str | os.PathLike[str], *, clock: Clock = "video", skip_bad: bool = False) -> ActionTable:
    """The actions of a file of long-term or short-term anticipation, which is seen from its keys.

    Of short-term annotations every object is an action: it begins ``time_to_contact`` after the frame that may be seen
    last (:attr:`isotherm.data.anticipation.actions.Action.observed_s`), and ends at once where the file says no more.

    Args:
        fpath: the file.
        clock: name and time are those of the whole 'video', or of the 'clip' that was cut out of it.
        skip_bad: leave out what cannot be read, with a message each, instead of raising.

    Raises:
        InputError: file, line and what is wrong there.
    """
    fpath = Path(fpath)
    whole = read_json(fpath)
    skipped = Skipped(allowed=skip_bad)
    if isinstance(whole, dict) and "clips" in whole:
        return _long_term(_entries(whole, "clips", fpath), clock, skipped)
    if isinstance(whole, dict) and "annotations" in whole:
        return _short_term(_entries(whole, "annotations", fpath), _video_facts(whole, fpath), clock, skipped)
    raise InputError(
        f"{fpath} has neither 'clips' (long-term anticipation) nor 'annotations' (short-term); expected one of Ego4D's fho_lta or fho_sta files"
    )


def _entries(whole: dict[str, Any], key: str, fpath: Path) -> list[Entry]:
    entries = whole[key]
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{fpath}: {key!r} is {shown(entries)}; expected a list of annotations")
    return entries


def _long_term(entries: list[Entry], clock: Clock, skipped: Skipped) -> ActionTable:
    actions, verbs, nouns = list[Action](), dict[int, str](), dict[int, str]()
    for entry in entries:
        with skipped.one():
            value, where = entry.value, entry.where
            start, stop = (_number(value, f"action_clip_{end}_sec", where) for end in ("start", "end"))
            offset = _number(value, "clip_parent_start_sec", where) if clock == "video" else 0.0
            labelled = "verb_label" in value
            verb, noun = (_id(value, f"{of}_label", where) if labelled else None for of in ("verb", "noun"))
            words = [value.get(of) for of in ("verb", "noun")]
            for names, number_of, word in ((verbs, verb, words[0]), (nouns, noun, words[1])):
                if number_of is not None and isinstance(word, str):
                    names[number_of] = word
            index = part_of(value, "action_idx", where, int, "the number of the action in its clip")
            actions.append(
                Action(
                    video=part_of(value, f"{clock}_uid", where, str, "a name"),
                    start_s=offset + start,
                    stop_s=offset + stop,
                    verb=verb,
                    noun=noun,
                    narration=" ".join(word for word in words if isinstance(word, str)),
                    name=f"{part_of(value, 'clip_uid', where, str, 'a name')}_{index}",
                    where=where,
                )
            )
    return ActionTable(tuple(actions), verbs, nouns, {}, (f"times are the {clock}'s",), tuple(skipped.messages))


def _short_term(entries: list[Entry], facts: dict[str, VideoFacts], clock: Clock, skipped: Skipped) -> ActionTable:
    actions, without = list[Action](), 0
    for entry in entries:
        with skipped.one():
            value, where = entry.value, entry.where
            name = part_of(value, "uid", where, str, "a name")
            key = "video_uid" if "video_uid" in value else "video_id"
            source = part_of(value, key, where, str, "the video's name")
            if source not in facts:
                raise InputError(f"{where}: the video {source!r} is not in 'info', so its frame rate is not known")
            column = "frame" if clock == "video" else "clip_frame"
            observed_s = part_of(value, column, where, int, "the number of a frame") / facts[source].rate_hz
            video = source if clock == "video" else part_of(value, "clip_uid", where, str, "a name")
            objects = value.get("objects")
            if not isinstance(objects, list):
                without += 1
                continue
            for i, thing in enumerate(objects):
                start_s = observed_s + _number(thing, "time_to_contact", where)
                stop = value.get("action_end_sec" if clock == "video" else "action_clip_end_sec")
                stop_s = start_s if stop is None else max(start_s, number(stop, where, "the action's end"))
                verb, noun = (_id(thing, f"{of}_category_id", where) for of in ("verb", "noun"))
                actions.append(
                    Action(
                        video=video,
                        start_s=start_s,
                        stop_s=stop_s,
                        verb=verb,
                        noun=noun,
                        name=f"{name}_{i}",
                        observed_s=observed_s,
                        where=where,
                    )
                )
    notes = [f"times are the {clock}'s", *([f"{without} annotations have no objects"] if without else [])]
    # what is known of a whole video holds for the clips that were cut out of it as well, but for their length
    known = facts if clock == "video" else {}
    return ActionTable(tuple(actions), {}, {}, known, tuple(notes), tuple(skipped.messages))


def _video_facts(whole: dict[str, Any], fpath: Path) -> dict[str, VideoFacts]:
    info = whole.get("info")
    metadata = info.get("video_metadata") if isinstance(info, dict) else None
    if not isinstance(metadata, dict):
        raise InputError(f"{fpath}: there is no 'info' with 'video_metadata'; expected frame rates of the videos")
    where = f"{fpath}: info"
    return {
        name: VideoFacts(
            _number(facts, "fps", where),
            None,
            (int(_number(facts, "frame_height", where)), int(_number(facts, "frame_width", where))),
        )
        for name, facts in metadata.items()
    }


def _number(value: Any, key: str, where: str) -> float:
    if not isinstance(value, dict) or key not in value:
        raise InputError(f"{where}: there is no {key!r}; expected a number")
    return number(value[key], where, repr(key))


def _id(value: Any, key: str, where: str) -> int:
    number_read = part_of(value, key, where, int, "the id of a class")
    if number_read < 0:
        raise InputError(f"{where}: {key!r} is {number_read}; expected at least 0")
    return int(number_read)
