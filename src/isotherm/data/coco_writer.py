"""COCO's keypoint annotations, written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from isotherm.atomic import atomic_write
from isotherm.data.keypoints import KeypointRecord, KeypointSet
from isotherm.data.pictures import read_picture_size
from isotherm.errors import InputError
from isotherm.points import State


def write_coco(
    data: KeypointSet, fpath: str | os.PathLike[str], *, images_dpath: str | os.PathLike[str] | None = None
) -> None:
    """A set as a COCO keypoint file, one annotation a line, whole or not at all.

    COCO has no place for some of what a set knows, so an annotation gets the further keys ``px_per_cm`` and ``group``,
    and the category ``exchangeable``, ``swaps``, ``lines`` and ``oks_sigmas``; other readers pass over them. Three
    states are lost: ABSENT becomes v = 0, and OUT_OF_FRAME v = 1, which is read as OCCLUDED if the point lies within
    the picture after all.

    Args:
        data: its records are of picture files.
        fpath: the JSON file to write.
        images_dpath: the folder that file names are relative to; None: that of the JSON file.

    Raises:
        InputError: a record holds its picture in memory, or the picture lies outside of the folder or cannot be read.
    """
    root = Path(fpath).parent if images_dpath is None else images_dpath
    images: dict[str, dict[str, Any]] = {}
    annotations = []
    for i, record in enumerate(data):
        name = name_in_folder(record, root)
        if name not in images:
            assert isinstance(record.picture, Path)
            h, w = read_picture_size(record.picture)
            images[name] = {"id": len(images) + 1, "file_name": name, "width": w, "height": h}
        annotations.append(_annotation(record, i + 1, images[name]["id"]))
    category = {
        "id": 1,
        "name": "object",
        "keypoints": list(data.names),
        "skeleton": [[i + 1, j + 1] for i, j in data.lines.values()],
        "exchangeable": data.exchangeable,
        "swaps": data.swaps,
        "lines": data.lines,
    }
    if data.oks_sigmas is not None:
        category["oks_sigmas"] = data.oks_sigmas
    sections = {"categories": [category], "images": list(images.values()), "annotations": annotations}
    lists = (
        f"{json.dumps(key)}: [\n" + ",\n".join(json.dumps(one, allow_nan=False) for one in ones) + "\n]"
        for key, ones in sections.items()
    )
    with atomic_write(fpath) as file:
        file.write(("{\n" + ",\n".join(lists) + "\n}\n").encode())


def name_in_folder(record: KeypointRecord, root: str | os.PathLike[str]) -> str:
    """The name of a record's picture relative to a folder, with / between its parts.

    Raises:
        InputError: the picture is in memory, or outside of the folder.
    """
    who = record.origin or record.name or "a record"
    if not isinstance(record.picture, Path):
        raise InputError(
            f"{who}: its picture is in memory; save it to a file first, so that the annotations can name it"
        )
    name = os.path.relpath(record.picture, root)
    if Path(name).parts[0] == "..":
        raise InputError(
            f"{who}: its picture {record.picture} lies outside of {root}; give a folder as images_dpath that all pictures are in"
        )
    return Path(name).as_posix()


def _annotation(record: KeypointRecord, identity: int, image_id: int) -> dict[str, Any]:
    v = {State.LABELLED: 2, State.OCCLUDED: 1, State.OUT_OF_FRAME: 1}
    keypoints: list[float] = []
    labelled = 0
    for (x, y), state in zip(record.points.tolist(), record.state.tolist(), strict=True):
        visibility = v.get(State(state), 0)
        labelled += visibility > 0
        keypoints += [x - 0.5, y - 0.5, visibility] if visibility else [0, 0, 0]
    made: dict[str, Any] = {
        "id": identity,
        "image_id": image_id,
        "category_id": 1,
        "iscrowd": 0,
        "num_keypoints": labelled,
        "keypoints": keypoints,
    }
    if record.box is not None:
        x0, y0, x1, y1 = record.box
        made["bbox"] = [x0, y0, x1 - x0, y1 - y0]
    further = {"area": record.area, "px_per_cm": record.px_per_cm, "group": record.group or None}
    return made | {key: value for key, value in further.items() if value is not None}


# --- the parts of a file -------------------------------------------------------------------------------------
