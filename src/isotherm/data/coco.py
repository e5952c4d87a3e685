"""COCO's keypoint annotations, read.

The format: https://cocodataset.org/#format-data, section 2, Keypoint Detection.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from isotherm.data.annotation_files import (
    Entry,
    Remarks,
    Skipped,
    above_zero,
    number,
    part_of,
    read_json,
    shown,
    text_of,
)
from isotherm.data.coco_category import ReadCategories, flat_points, read_categories
from isotherm.data.keypoints import KeypointRecord, KeypointSet
from isotherm.data.orientation import Orientation
from isotherm.data.picture_folder import FoundPicture, PictureFolder, folder_beside, states_in
from isotherm.errors import InputError, OptionError
from isotherm.points import State, from_coco_visibility
from isotherm.untrusted.plain import reads

PixelOrigin = Literal["centre", "edge"]


def pixel_shift(pixel: PixelOrigin) -> float:
    """What to add to an annotation's coordinates to have them count from the picture's edge.

    Raises:
        OptionError: neither "centre" nor "edge".
    """
    if pixel not in ("centre", "edge"):
        raise OptionError(
            f"pixel is {pixel!r}; expected 'centre' (0 is the centre of the first pixel) or 'edge' (0 is the picture's edge)"
        )
    return 0.5 if pixel == "centre" else 0.0


@reads()
def read_coco(
    json_fpath: str | os.PathLike[str],
    images_dpath: str | os.PathLike[str] | None = None,
    *,
    category: str | int | None = None,
    names: Sequence[str] | None = None,
    pixel: PixelOrigin = "centre",
    orientation: Orientation | None = None,
    skip_bad: bool = False,
) -> KeypointSet:
    """The objects of one category in a COCO keypoint file, or of all that have the same points, one record each.

    Args:
        json_fpath: the annotations, at most 1 GB.
        images_dpath: the folder that the file names of the pictures are relative to; None: that of the file, or its
            folder of images, or the same of the two folders above, whichever has the first picture; which is said.
        category: name or id; None: all that have keypoints, if these have the same names; the record's group is then
            the category's name, unless the file has groups.
        names: of the points, in order, where the file does not name them or names fewer than there are.
        pixel: what the annotations' 0 means. COCO counts pixels from 0, so "centre": x = 0 is the centre of the first
            pixel and becomes 0.5. With "edge" coordinates stay as they are. Boxes reach from edge to edge in both.
        orientation: in which pixels places in turned pictures are, see :mod:`isotherm.data.orientation`; None: upright,
            which is said in ``notes``.
        skip_bad: leave out bad annotations, and those of missing pictures, with a message each in ``skipped``.

    Returns:
        Records named "file#id" with ``origin`` "file:line". v = 0, 1, 2 become UNLABELLED, OCCLUDED, LABELLED; known
        points outside of the picture OUT_OF_FRAME. The skeleton is in ``lines``, left and right of equal names are in
        ``swaps``, COCO's own OKS constants in ``oks_sigmas`` where the points are COCO's 17 of a person. Crowds, and
        objects without any labelled point, are left out and named in ``skipped``. What was assumed is in ``notes``: an
        area or a box of 0, which says nothing, points without names, more points than names, of which the first are
        read, a skeleton that counts from 0. What :func:`write_coco` adds to the format is read too.

    Raises:
        InputError: anything that is not as the format says; a picture that is missing, is not one, or has another size
            than the file says.
        OptionError: category, pixel or orientation; categories whose points differ, and none was chosen.
    """
    json_fpath, shift, skipped = Path(json_fpath), pixel_shift(pixel), Skipped(allowed=skip_bad)
    whole = read_json(json_fpath)
    sections = {key: _entries(whole, key, json_fpath) for key in ("categories", "images", "annotations")}
    remarks = Remarks()
    kinds = read_categories(
        sections["categories"], sections["annotations"], json_fpath, category=category, names=names, remarks=remarks
    )
    if images_dpath is None:
        images_dpath = folder_beside(json_fpath, [entry.value for entry in sections["images"]], remarks)
    pictures = _Pictures(sections["images"], PictureFolder(images_dpath, orientation), skipped)
    records, unlabelled, seen = [], 0, set[int]()
    for entry in sections["annotations"]:
        with skipped.one():
            made = _record(entry, kinds, pictures, seen, shift, skipped, remarks)
            if made is not None and bool((made.state == int(State.UNLABELLED)).all()):
                unlabelled += 1
            elif made is not None:
                records.append(made)
    if unlabelled:
        skipped.messages.append(f"{json_fpath}: {unlabelled} annotations without any labelled point were left out")
    return KeypointSet(
        records=records,
        names=kinds.names,
        skipped=tuple(skipped.messages),
        notes=(*remarks.lines, *pictures.folder.turns.notes),
        **kinds.relations,
    )


def _entries(whole: Any, key: str, fpath: Path) -> list[Entry]:
    entries = whole.get(key) if isinstance(whole, dict) else None
    if not isinstance(entries, list):
        raise InputError(
            f"{fpath}: there is no list {key!r} in it; expected COCO's JSON with images, annotations and categories"
        )
    return entries


class _Pictures:
    """The pictures of a file by id; each is looked for when the first annotation asks."""

    def __init__(self, entries: list[Entry], folder: PictureFolder, skipped: Skipped) -> None:
        self.folder = folder
        self.entries: dict[int, Entry] = {}
        twice = set()
        for entry in entries:
            with skipped.one():
                identity = part_of(entry.value, "id", entry.where, int, "a whole number")
                if identity in self.entries:
                    twice.add(identity)
                    raise InputError(
                        f"{entry.where}: image {identity}: the id occurs twice; which one is meant cannot be known"
                    )
                self.entries[identity] = entry
        for identity in twice:
            del self.entries[identity]

    def find(self, image_id: int, where: str) -> tuple[FoundPicture, str]:
        entry = self.entries.get(image_id)
        if entry is None:
            raise InputError(f"{where}: there is no image {image_id} among the file's images; expected the id of one")
        name = text_of(
            part_of(entry.value, "file_name", entry.where, str, "the name of a file"), entry.where, "'file_name'"
        )
        match = self.folder.find(name, where)
        match.check_size(entry.value, where, name)
        return match, name


def _record(
    entry: Entry,
    kinds: ReadCategories,
    pictures: _Pictures,
    seen: set[int],
    shift: float,
    skipped: Skipped,
    remarks: Remarks,
) -> KeypointRecord | None:
    value, where, names = entry.value, entry.where, kinds.names
    kind = part_of(value, "category_id", where, int, "the id of a category")
    if kind not in kinds.ids:
        flat = flat_points(value.get("keypoints"))
        listed = kind in kinds.listed or not kinds.others or not isinstance(flat, list)
        if listed or len(flat) != 3 * len(names):
            return None
        remarks.add(where, f"the category {kind} is not among the file's, and is read as it has as many points")
    identity = part_of(value, "id", where, int, "a whole number")
    where = f"{where}: annotation {identity}"
    if identity in seen:
        raise InputError(f"{where}: the id occurs twice; expected one annotation for each")
    seen.add(identity)
    crowd = value.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise InputError(f"{where}: 'iscrowd' is {shown(crowd)}; expected 0 or 1")
    if crowd:
        skipped.messages.append(f"{where}: a crowd, whose points are of nobody, was left out")
        return None
    match, name = pictures.find(part_of(value, "image_id", where, int, "the id of an image"), where)
    flat = flat_points(part_of(value, "keypoints", where, list, f"{3 * len(names)} numbers"))
    if len(flat) > 3 * len(names) and len(flat) % 3 == 0:
        kind_of = f"there are {len(flat) // 3} points and {len(names)} names, and the first {len(names)} are read (names says all)"
        remarks.add(where, kind_of)
        flat = flat[: 3 * len(names)]
    if len(flat) != 3 * len(names):
        raise InputError(
            f"{where}: 'keypoints' has {len(flat)} numbers; expected {3 * len(names)}, x, y and v of each: {', '.join(names)}"
        )
    if not (
        set(map(type, flat)) <= {int, float} and all(-1e30 < k < 1e30 for k in flat)
    ):  # one by one only where something is odd
        for i, k in enumerate(flat):
            number(k, where, f"{'xyv'[i % 3]} of {names[i // 3]}")
    xyv = np.array(flat, dtype=np.float64).reshape(-1, 3)
    if not set(flat[2::3]) <= {0, 1, 2}:
        i = next(i for i, v in enumerate(flat[2::3]) if v not in (0, 1, 2))
        raise InputError(
            f"{where}: v of {names[i]} is {xyv[i, 2]:g}; expected 0 (not labelled), 1 (hidden) or 2 (visible)"
        )
    state = from_coco_visibility(torch.from_numpy(xyv[:, 2]).long())
    points = match.turn.points(torch.from_numpy(xyv[:, :2] + shift)).float()
    points[state == int(State.UNLABELLED)] = torch.nan
    area, box = _area(value, where, remarks), _box(value, where, remarks)
    scale = value.get("px_per_cm")
    group = text_of(value["group"], where, "'group'") if "group" in value else ""
    return KeypointRecord(
        picture=match.fpath,
        points=points,
        state=states_in(match.size, points, state),
        box=None if box is None else match.turn.box(box),
        area=area,
        px_per_cm=None if scale is None else above_zero(number(scale, where, "'px_per_cm'"), where, "'px_per_cm'"),
        group=group or (kinds.ids.get(kind, f"category {kind}") if len(kinds.ids) > 1 else ""),
        name=f"{name}#{identity}",
        origin=entry.where,
    )


def _area(value: dict[str, Any], where: str, remarks: Remarks) -> float | None:
    if "area" not in value:
        return None
    area = number(value["area"], where, "'area'")
    if area > 0:
        return area
    remarks.add(where, f"an area of {'0' if area == 0 else 'less than 0'} is taken for one that is not known")
    return None


def _box(value: dict[str, Any], where: str, remarks: Remarks) -> tuple[float, float, float, float] | None:
    if "bbox" not in value:
        return None
    corners = part_of(value, "bbox", where, list, "[x, y, width, height]")
    if len(corners) != 4:
        raise InputError(f"{where}: 'bbox' is {shown(corners)}; expected [x, y, width, height]")
    x, y, w, h = (number(k, where, "a number of 'bbox'") for k in corners)
    if x < x + w and y < y + h:
        return x, y, x + w, y + h
    remarks.add(where, "an empty box is taken for one that is not known")
    return None
