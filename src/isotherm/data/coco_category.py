"""Which categories of a COCO keypoint file are read, and what they say of their points.

Real files depart from the format in the same few ways (the samples of public sets that mmpose's tests read, in
tests/data of open-mmlab/mmpose): what can be read is read, what was assumed is a remark, and what decides otherwise is
named in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isotherm.data.annotation_files import Entry, Remarks, above_zero, number, part_of, shown, text_of
from isotherm.errors import InputError, OptionError

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


@dataclass(frozen=True)
class ReadCategories:
    """What of a file is read.

    Args:
        ids: of the categories, with their names.
        others: annotations of categories that the file does not list are read as well, if they have as many points.
        listed: ids of all categories of the file.
        names: of the points.
        relations: what is said of the points together; keys are those of KeypointSet.
    """

    ids: dict[int, str]
    others: bool
    listed: frozenset[int]
    names: tuple[str, ...]
    relations: dict[str, Any]


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


def read_categories(
    entries: list[Entry],
    annotations: list[Entry],
    fpath: Path,
    *,
    category: str | int | None,
    names: Sequence[str] | None,
    remarks: Remarks,
) -> ReadCategories:
    """The category that was asked for, or all that have the same points.

    Args:
        entries: the file's categories.
        annotations: the file's, from which the number of points is known where no category names them.
        fpath: the file, for messages.
        category: name or id; None: all with keypoints, whose names must be the same.
        names: of the points, where the file does not say them or says fewer than there are; None: the file's.
        remarks: is told what was assumed.

    Raises:
        InputError: something that is not as the format says.
        OptionError: a category that is not there, or several with different points.
    """
    known = [
        (part_of(e.value, "id", e.where, int, "a whole number"), part_of(e.value, "name", e.where, str, "text"), e)
        for e in entries
    ]
    if len({identity for identity, _, _ in known}) < len(known):
        raise InputError(f"{fpath}: two categories have the same id; expected one each")
    counts = _counts(annotations)
    # a file says the names in its category, or its annotations alone have points
    named = [one for one in known if one[2].value.get("keypoints")]
    pointed = named or [one for one in known if counts.get(one[0])]
    chosen = pointed if category is None else [one for one in known if category in one[:2]]
    listed = ", ".join(f"{name} ({identity})" for identity, name, _ in pointed) or "none"
    if not chosen or (category is not None and len(chosen) != 1):
        what = f"category {category!r} is {'no' if not chosen else 'more than one'} category"
        raise OptionError(
            f"{fpath}: {'no category has keypoints' if category is None else what}; those with keypoints: {listed}. Give one as category"
        )
    if chosen[0] not in pointed and not counts.get(chosen[0][0]):
        raise OptionError(f"{fpath}: the category {category!r} has no keypoints; those with keypoints: {listed}")
    orders = [_names(entry, counts.get(identity), names, remarks) for identity, _, entry in chosen]
    if len(set(orders)) > 1:
        raise OptionError(
            f"{fpath}: there is more than one category, and their points differ; those with keypoints: {listed}. Give one as category"
        )
    if len(chosen) > 1:
        remarks.add(
            str(fpath), f"all {len(chosen)} categories are read, whose points are the same (category chooses one)"
        )
    relations = _relations(chosen[0][2], orders[0], remarks)
    ids = {identity: name for identity, name, _ in chosen}
    return ReadCategories(ids, category is None, frozenset(one[0] for one in known), orders[0], relations)


def _counts(annotations: list[Entry]) -> dict[int, int]:
    """How many points the first annotation of each category has that has any; what is wrong is refused later."""
    counts: dict[int, int] = {}
    for entry in annotations:
        value = entry.value
        flat = flat_points(value.get("keypoints")) if isinstance(value, dict) else None
        if isinstance(flat, list) and flat and len(flat) % 3 == 0 and type(value.get("category_id")) is int:
            counts.setdefault(value["category_id"], len(flat) // 3)
    return counts


def flat_points(points: Any) -> Any:
    """The numbers of a list of points [x, y, v], as some files have them; anything else as it is.

    Example:
        >>> flat_points([[1, 2, 2], [3, 4, 1]]), flat_points([1, 2, 2])
        ([1, 2, 2, 3, 4, 1], [1, 2, 2])
    """
    apart = isinstance(points, list) and points and all(isinstance(p, list) and len(p) == 3 for p in points)
    return [number for point in points for number in point] if apart else points


def _names(category: Entry, count: int | None, wanted: Sequence[str] | None, remarks: Remarks) -> tuple[str, ...]:
    value, where = category.value, category.where
    if wanted is not None:
        names = list(wanted)
    elif value.get("keypoints"):
        names = part_of(value, "keypoints", where, list, "a list of names")
    else:
        assert count is not None  # or the category was refused
        names = [f"point_{i + 1}" for i in range(count)]
        remarks.add(where, f"the category names no keypoints, so its {count} points are called point_1 and so on (names says others)")  # fmt: skip
    for i, name in enumerate(names):
        text_of(name, where, f"name {i} of the keypoints")
    if len(set(names)) < len(names):
        raise InputError(f"{where}: two keypoints have the same name: {', '.join(names)}")
    return tuple(names)


def _relations(category: Entry, names: tuple[str, ...], remarks: Remarks) -> dict[str, Any]:
    """What the category says of its points together; keys are those of KeypointSet."""
    value, where, n = category.value, category.where, len(names)

    def indices(entries: Any, what: str, *, length: int | None = None) -> tuple[int, ...]:
        fits = isinstance(entries, list) and all(type(i) is int and 0 <= i < n for i in entries)
        if not fits or len(set(entries)) < len(entries) or (length is not None and len(entries) != length):
            raise InputError(
                f"{where}: {what} has {shown(entries)}; expected {length or 'some'} different points, numbered 0 to {n - 1}"
            )
        return tuple(entries)

    def each(key: str) -> Iterator[Any]:
        yield from part_of({key: []} | value, key, where, list, "a list")

    if "lines" in value:
        pairs = part_of(value, "lines", where, dict, "an object of pairs of points")
        lines = {name: indices(pair, f"the line {name!r}", length=2) for name, pair in pairs.items()}
    else:
        bones = _bones(list(each("skeleton")), n, where, remarks)
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


def _bones(bones: list[Any], n: int, where: str, remarks: Remarks) -> list[tuple[int, int]]:
    """Pairs of a skeleton, from 0: the format counts from 1, and some files from 0.

    A skeleton is drawn and nothing else, so what of it cannot be meant is left out with a remark.
    """
    pairs = [tuple(b) for b in bones if isinstance(b, list) and len(b) == 2 and all(type(i) is int for i in b)]
    first = 0 if any(0 in pair for pair in pairs) else 1
    if first == 0:
        remarks.add(where, "the skeleton is numbered from 0, where the format counts from 1")
    kept = [(i - first, j - first) for i, j in pairs if i != j and all(first <= k < n + first for k in (i, j))]
    for _ in range(len(bones) - len(kept)):
        remarks.add(where, f"a line of the skeleton is no pair of two of the {n} points and is left out")
    return kept
