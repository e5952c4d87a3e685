"""Instructions in JSON Lines: an object per line with a picture, words, and the place that they mean."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, get_args

import torch

from isotherm.data.annotation_files import Skipped, known_keys, number, read_text, shown, text_of
from isotherm.data.grounding.cameras import Box, ViewCamera, box_from, camera_from, numbers
from isotherm.data.grounding.records import GroundingRecord, GroundingSet, Place
from isotherm.data.orientation import Orientation, Turn
from isotherm.data.picture_folder import PictureFolder
from isotherm.errors import AnnotationError, InputError, OptionError
from isotherm.targets.annotation import BoxFormat, Flag, parse_annotation
from isotherm.untrusted.plain import reads

STEP_KEYS = ("annotation", "flag", "normalised", "box_format", "point", "angle_deg", "width_px")
"""What a place is said by: in the row itself, or in every one of its ``steps``."""
KEYS = ("picture", "pictures", "text", "steps", "views", "cameras", "bounds", "name", *STEP_KEYS)


@reads()
def read_jsonl(
    fpath: str | os.PathLike[str],
    images_dpath: str | os.PathLike[str] | None = None,
    *,
    orientation: Orientation | None = None,
    skip_bad: bool = False,
) -> GroundingSet:
    """The instructions of a JSON Lines file.

    A line is an object with ``picture`` (a path) or ``pictures`` (a list, one for every view), ``text``, and the place:
    ``annotation`` (``"[0.4, 0.6]"``, of several views a list of such, null where nothing is known) with its ``flag``
    (:data:`isotherm.targets.annotation.Flag`), in shares of the picture unless ``"normalised": false``; or ``point``,
    [x, y, z] in the world, with ``cameras``. A grasp has ``angle_deg`` (clockwise as seen, from the x axis) and
    ``width_px``, a number or one for every point. A sequence has ``steps``, a list of such places. ``views`` are names,
    ``cameras`` and ``bounds`` as of :func:`isotherm.data.grounding.camera_from`. Other keys are left alone.

    Args:
        fpath: the file.
        images_dpath: the folder that pictures are named relative to; None: that of the file.
        orientation: in which pixels places in turned pictures are, see :mod:`isotherm.data.orientation`; None: upright,
            which is said in ``notes``.
        skip_bad: leave out what is wrong, with a message each in ``skipped``.

    Raises:
        InputError: file, line and what is wrong there.
    """
    fpath = Path(fpath)
    folder = PictureFolder(fpath.parent if images_dpath is None else images_dpath, orientation)
    skipped, records = Skipped(allowed=skip_bad), list[GroundingRecord]()
    for i, line in enumerate(read_text(fpath).splitlines(), 1):
        if line.strip():
            with skipped.one():
                records.append(_record(line, f"{fpath}:{i}", folder))
    if not records and not skipped.messages:
        raise InputError(f"{fpath} has no lines; expected one object for every instruction")
    return GroundingSet(records=records, skipped=tuple(skipped.messages), notes=folder.turns.notes)


def _record(line: str, where: str, folder: PictureFolder) -> GroundingRecord:
    row = _object(line, where)
    known_keys(row, KEYS, where)
    if ("picture" in row) == ("pictures" in row):
        raise InputError(f"{where}: expected either 'picture', a path, or 'pictures', a list of paths")
    names = _listed([row["picture"]] if "picture" in row else row["pictures"], where, "pictures")
    looked_at = [folder.find(text_of(name, where, "a picture"), where) for name in names]
    turns = [match.turn for match in looked_at]
    bounds = box_from(row["bounds"], where) if "bounds" in row else None
    cameras = tuple(
        camera_from(value, where, bounds=bounds) for value in _listed(row.get("cameras", []), where, "cameras", True)
    )
    if cameras and len(cameras) != len(turns):
        raise InputError(f"{where}: there are {len(cameras)} cameras for {len(turns)} pictures; give one for each")
    if cameras and any(turn.turned for turn in turns):
        raise InputError(
            f"{where}: cameras of the stored pixels of a turned picture do not go with it as it is read, upright; save the picture upright, with its cameras"
        )
    steps = _listed(row["steps"], where, "steps") if "steps" in row else [row]
    if "steps" in row and (
        both := [key for key in STEP_KEYS if key in row and key not in ("normalised", "flag", "box_format")]
    ):
        raise InputError(f"{where}: {both[0]!r} stands beside 'steps'; put it into the steps")
    shared: dict[str, Any] = {key: row[key] for key in ("flag", "normalised", "box_format") if key in row}
    places = []
    for k, step in enumerate(steps):
        at = f"{where}: step {k + 1}" if "steps" in row else where
        if not isinstance(step, dict):
            raise InputError(f"{at} is {shown(step)}; expected an object with an annotation and its flag")
        if "steps" in row:
            known_keys(step, STEP_KEYS, at)
        places.append(_places(shared | step, at, turns, cameras, bounds))
    views = tuple(text_of(v, where, "a name of a view") for v in _listed(row.get("views", []), where, "views", True))
    text = text_of(row.get("text"), where, "text")
    return GroundingRecord(
        pictures=tuple(match.fpath for match in looked_at),
        text=text,
        places=tuple(places),
        views=views,
        cameras=cameras,
        name=str(row.get("name") or f"{names[0]}: {text}"),
        origin=where,
    )


def _object(line: str, where: str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            raise InputError(f"{where}: a key occurs twice in one object; keep one")
        return members

    try:
        row = json.loads(line, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where}: column {error.colno}: not JSON: {error.msg}; expected one object on every line"
        ) from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"{where}: not JSON that can be read ({error})") from error
    if not isinstance(row, dict):
        raise InputError(f"{where}: found {shown(row)}; expected an object with picture, text and annotation")
    return row


def _listed(value: Any, where: str, what: str, empty: bool = False) -> list[Any]:
    if not isinstance(value, list) or not (value or empty):
        raise InputError(f"{where}: {what} is {shown(value)}; expected a list")
    return value


def _places(
    step: dict[str, Any], where: str, turns: list[Turn], cameras: tuple[ViewCamera, ...], bounds: Box | None
) -> tuple[Place | None, ...]:
    if ("annotation" in step) == ("point" in step):
        raise InputError(
            f"{where}: expected either 'annotation', such as \"[0.5, 0.5]\" with its 'flag', or 'point', [x, y, z] with 'cameras'"
        )
    if "point" in step:
        if not cameras:
            raise InputError(f"{where}: a point of the world needs the cameras of its pictures; give 'cameras'")
        point = numbers(step["point"], (3,), where, "point")
        seen = [
            turn.points(camera.project(point, turn.stored).float()) for camera, turn in zip(cameras, turns, strict=True)
        ]
        return tuple(Place(xy[None]) if bool(torch.isfinite(xy).all()) else None for xy in seen)
    flag: Any = step.get("flag")
    if flag not in get_args(Flag):
        raise InputError(f"{where}: flag is {shown(flag)}; expected one of {', '.join(get_args(Flag))}")
    form = step.get("box_format")
    if form is not None and form not in get_args(BoxFormat):
        raise InputError(f"{where}: box_format is {shown(form)}; expected one of {', '.join(get_args(BoxFormat))}")
    normalised = step.get("normalised", True)
    if not isinstance(normalised, bool):
        raise InputError(f"{where}: normalised is {shown(normalised)}; expected true or false")
    texts = [step["annotation"]] if len(turns) == 1 else _listed(step["annotation"], where, "annotation")
    if len(texts) != len(turns):
        raise InputError(
            f"{where}: there are {len(texts)} annotations for {len(turns)} pictures; give one for each, or null"
        )
    places: list[Place | None] = []
    for text, turn in zip(texts, turns, strict=True):
        if text is None:
            places.append(None)
            continue
        written = text if isinstance(text, str) else json.dumps(text)
        try:
            read = parse_annotation(written, flag, normalised=normalised, size=turn.stored, box_format=form)
        except (AnnotationError, OptionError) as error:
            raise InputError(f"{where}: annotation: {error}") from error
        place = _grasped(read.points, step, where)
        angles = None if place.angle_rad is None else turn.angles(place.angle_rad)
        places.append(Place(turn.points(place.points), angles, place.width_px))
    return tuple(places)


def _grasped(points: torch.Tensor, step: dict[str, Any], where: str) -> Place:
    parts = {}
    for key in ("angle_deg", "width_px"):
        if key in step:
            value = step[key]
            several = value if isinstance(value, list) else [value] * len(points)
            if len(several) != len(points):
                raise InputError(
                    f"{where}: {key} has {len(several)} numbers for {len(points)} points; give one, or one for each"
                )
            parts[key] = torch.tensor([number(v, where, key) for v in several])
    if len(parts) == 1:
        raise InputError(f"{where}: a grasp has 'angle_deg' and 'width_px'; {next(iter(parts))!r} stands alone")
    if not parts:
        return Place(points)
    if bool((parts["width_px"] < 0).any()):
        raise InputError(f"{where}: width_px is {shown(step['width_px'])}; expected at least 0")
    return Place(points, parts["angle_deg"] * (math.pi / 180), parts["width_px"])
