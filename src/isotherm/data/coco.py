"""COCO's keypoint annotations, read.

The format: https://cocodataset.org/#format-data, section 2, Keypoint Detection.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from isotherm.data.annotation_files import Entry, Skipped, above_zero, number, part_of, read_json, shown, text_of
from isotherm.data.keypoints import KeypointRecord, KeypointSet
from isotherm.data.picture_folder import PictureFolder, states_in
from isotherm.errors import InputError, OptionError
from isotherm.points import State, from_coco_visibility

PixelOrigin = Literal["centre", "edge"]
_SIGMAS = {
    "nose": 0.026,
    "eye": 0.025,
    "ear": 0.035,
    "shoulder": 0.079,
    "elbow": 0.072,
    "wrist": 0.062,
    "hip": 0.107,
    "knee": 0.087,
    "ankle": 0.089,
}
PERSON_SIGMAS = {
    part if part == "nose" else f"{side}_{part}": k for part, k in _SIGMAS.items() for side in ("left", "right")
}
"""OKS constants of COCO's 17 points of a person (https://cocodataset.org/#keypoints-eval, section 1.3)."""


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


def left_right_swaps(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Pairs of points that change places in a mirrored picture, by their names.

    Args:
        names: of the points; left_eye goes with right_eye, "Ear Left" with "Ear Right", eyeL with nothing.

    Example:
        >>> left_right_swaps(["nose", "left_eye", "right_eye", "left_wing"])
        ((1, 2),)
    """
    at = {name.lower(): i for i, name in enumerate(names)}
    pairs = ((i, at.get(name.replace("left", "right"))) for name, i in at.items() if "left" in name)
    return tuple((i, j) for i, j in pairs if j is not None)


def read_coco(
    json_fpath: str | os.PathLike[str],
    images_dpath: str | os.PathLike[str],
    *,
    category: str | int | None = None,
    pixel: PixelOrigin = "centre",
    skip_bad: bool = False,
) -> KeypointSet:
    """The objects of one category in a COCO keypoint file, one record each.

    Args:
        json_fpath: the annotations, at most 1 GB.
        images_dpath: the folder that the file names of the pictures are relative to.
        category: name or id; None: the only one that has keypoints.
        pixel: what the annotations' 0 means. COCO counts pixels from 0, so "centre": x = 0 is the centre of the first
            pixel and becomes 0.5. With "edge" coordinates stay as they are. Boxes reach from edge to edge in both.
        skip_bad: leave out bad annotations, and those of missing pictures, with a message each in ``skipped``.

    Returns:
        Records named "file#id" with ``origin`` "file:line". v = 0, 1, 2 become UNLABELLED, OCCLUDED, LABELLED; known
        points outside of the picture OUT_OF_FRAME. The skeleton is in ``lines``, left and right of equal names are in
        ``swaps``, COCO's own OKS constants in ``oks_sigmas`` where the points are COCO's 17 of a person. Crowds, and
        objects without any labelled point, are left out and named in ``skipped``. What :func:`write_coco` adds to the
        format is read too.

    Raises:
        InputError: anything that is not as the format says; a picture that is missing, is not one, or has another size
            than the file says.
        OptionError: category or pixel.
    """
    json_fpath, shift, skipped = Path(json_fpath), pixel_shift(pixel), Skipped(allowed=skip_bad)
    whole = read_json(json_fpath)
    sections = {key: _entries(whole, key, json_fpath) for key in ("categories", "images", "annotations")}
    kind = _category(sections["categories"], category, json_fpath)
    names = _names(kind)
    pictures = _Pictures(sections["images"], PictureFolder(images_dpath), skipped)
    records, unlabelled, seen = [], 0, set[int]()
    for entry in sections["annotations"]:
        with skipped.one():
            made = _record(entry, kind.value["id"], names, pictures, seen, shift, skipped)
            if made is not None and bool((made.state == int(State.UNLABELLED)).all()):
                unlabelled += 1
            elif made is not None:
                records.append(made)
    if unlabelled:
        skipped.messages.append(f"{json_fpath}: {unlabelled} annotations without any labelled point were left out")
    return KeypointSet(records=records, names=names, skipped=tuple(skipped.messages), **_relations(kind, names))


def _entries(whole: Any, key: str, fpath: Path) -> list[Entry]:
    entries = whole.get(key) if isinstance(whole, dict) else None
    if not isinstance(entries, list):
        raise InputError(
            f"{fpath}: there is no list {key!r} in it; expected COCO's JSON with images, annotations and categories"
        )
    return entries


def _category(entries: list[Entry], category: str | int | None, fpath: Path) -> Entry:
    known = [
        (part_of(e.value, "id", e.where, int, "a whole number"), part_of(e.value, "name", e.where, str, "text"), e)
        for e in entries
    ]
    if len({identity for identity, _, _ in known}) < len(known):
        raise InputError(f"{fpath}: two categories have the same id; expected one each")
    with_points = [one for one in known if one[2].value.get("keypoints")]
    chosen = with_points if category is None else [one for one in known if category in one[:2]]
    listed = ", ".join(f"{name} ({identity})" for identity, name, _ in with_points) or "none"
    if len(chosen) != 1:
        raise OptionError(
            f"{fpath}: category {category!r} is {'no' if not chosen else 'more than one'} category; those with keypoints: {listed}. Give one as category"
        )
    if chosen[0] not in with_points:
        raise OptionError(f"{fpath}: the category {category!r} has no keypoints; those with keypoints: {listed}")
    return chosen[0][2]


def _names(category: Entry) -> tuple[str, ...]:
    names = part_of(category.value, "keypoints", category.where, list, "a list of names")
    for i, name in enumerate(names):
        text_of(name, category.where, f"name {i} of the keypoints")
    if len(set(names)) < len(names):
        raise InputError(f"{category.where}: two keypoints have the same name: {', '.join(names)}")
    return tuple(names)


def _relations(category: Entry, names: tuple[str, ...]) -> dict[str, Any]:
    """What the category says of its points together; keys are those of KeypointSet."""
    value, where, n = category.value, category.where, len(names)

    def indices(entries: Any, what: str, *, first: int = 0, length: int | None = None) -> tuple[int, ...]:
        fits = isinstance(entries, list) and all(type(i) is int and first <= i < n + first for i in entries)
        if not fits or len(set(entries)) < len(entries) or (length is not None and len(entries) != length):
            raise InputError(
                f"{where}: {what} has {shown(entries)}; expected {length or 'some'} different points, numbered {first} to {n - 1 + first}"
            )
        return tuple(i - first for i in entries)

    def each(key: str) -> Iterator[Any]:
        yield from part_of({key: []} | value, key, where, list, "a list")

    if "lines" in value:
        pairs = part_of(value, "lines", where, dict, "an object of pairs of points")
        lines = {name: indices(pair, f"the line {name!r}", length=2) for name, pair in pairs.items()}
    else:
        bones = [indices(pair, "the skeleton", first=1, length=2) for pair in each("skeleton")]
        lines = {f"{names[i]} to {names[j]}": (i, j) for i, j in bones}
    sigmas = (
        tuple(above_zero(number(k, where, "one of oks_sigmas"), where, "one of oks_sigmas") for k in each("oks_sigmas"))
        or None
    )
    if sigmas is None and set(names) == set(PERSON_SIGMAS):
        sigmas = tuple(PERSON_SIGMAS[name] for name in names)
    if sigmas is not None and len(sigmas) != n:
        raise InputError(f"{where}: oks_sigmas has {len(sigmas)} numbers; expected {n}, one for every point")
    swaps = (
        tuple(indices(pair, "swaps", length=2) for pair in each("swaps"))
        if "swaps" in value
        else left_right_swaps(names)
    )
    return {
        "lines": lines,
        "oks_sigmas": sigmas,
        "swaps": swaps,
        "exchangeable": tuple(indices(group, "exchangeable") for group in each("exchangeable")),
    }


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

    def find(self, image_id: int, where: str) -> tuple[Path, str, tuple[int, int]]:
        entry = self.entries.get(image_id)
        if entry is None:
            raise InputError(f"{where}: there is no image {image_id} among the file's images; expected the id of one")
        name = text_of(
            part_of(entry.value, "file_name", entry.where, str, "the name of a file"), entry.where, "'file_name'"
        )
        fpath, (h, w) = self.folder.find(name, where)
        properties = {
            key: part_of(entry.value, key, entry.where, int, "pixels, a whole number")
            for key in ("width", "height")
            if key in entry.value
        }
        if (properties.get("width", w), properties.get("height", h)) != (w, h):
            turned = (
                " The picture is turned by its EXIF data, the annotations may not be"
                if (properties.get("width"), properties.get("height")) == (h, w)
                else ""
            )
            raise InputError(
                f"{where}: the file says that {name} is {properties.get('width', w)} x {properties.get('height', h)} pixels; upright it is {w} x {h}.{turned}"
            )
        return fpath, name, (h, w)


def _record(
    entry: Entry,
    category_id: int,
    names: tuple[str, ...],
    pictures: _Pictures,
    seen: set[int],
    shift: float,
    skipped: Skipped,
) -> KeypointRecord | None:
    value, where = entry.value, entry.where
    if part_of(value, "category_id", where, int, "the id of a category") != category_id:
        return None
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
    fpath, name, size = pictures.find(part_of(value, "image_id", where, int, "the id of an image"), where)
    flat = part_of(value, "keypoints", where, list, f"{3 * len(names)} numbers")
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
    points = torch.from_numpy(xyv[:, :2] + shift).float()
    points[state == int(State.UNLABELLED)] = torch.nan
    positive = {
        key: above_zero(number(value[key], where, repr(key)), where, repr(key))
        for key in ("area", "px_per_cm")
        if key in value
    }
    return KeypointRecord(
        picture=fpath,
        points=points,
        state=states_in(size, points, state),
        box=_box(value, where),
        group=text_of(value["group"], where, "'group'") if "group" in value else "",
        name=f"{name}#{identity}",
        origin=entry.where,
        **positive,
    )


def _box(value: dict[str, Any], where: str) -> tuple[float, float, float, float] | None:
    if "bbox" not in value:
        return None
    corners = part_of(value, "bbox", where, list, "[x, y, width, height]")
    if len(corners) != 4:
        raise InputError(f"{where}: 'bbox' is {shown(corners)}; expected [x, y, width, height]")
    x, y, w, h = (number(k, where, "a number of 'bbox'") for k in corners)
    if not (x < x + w and y < y + h):
        raise InputError(f"{where}: 'bbox' is {shown(corners)}, which is empty; expected a width and a height above 0")
    return x, y, x + w, y + h
