"""Beetles with the ends of their wing cases marked: lengths and widths of elytra, and a scale bar that makes them
centimetres.

There is no one published form of these annotations, so this file defines two, JSON and CSV, and refuses all others.
Converters from further forms belong here.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import torch

from isotherm.data.annotation_files import (
    Entry,
    Skipped,
    above_zero,
    number,
    number_in_text,
    part_of,
    read_csv,
    read_json,
    shown,
    text_of,
)
from isotherm.data.coco import PixelOrigin, pixel_shift
from isotherm.data.keypoints import KeypointRecord, KeypointSet
from isotherm.data.orientation import Orientation
from isotherm.data.picture_folder import PictureFolder, states_in
from isotherm.errors import InputError, OptionError
from isotherm.points import State
from isotherm.untrusted.plain import reads

NAMES = ("width_p0", "width_p1", "length_p0", "length_p1")
LINES = {"width": (0, 1), "length": (2, 3)}
EXCHANGEABLE = ((0, 1), (2, 3))
"""Which end of a line is the first is chance: the annotators were not told."""
GROUPS = {"Hawaii": ("width", "length"), "BeetlePalooza": ("length",), "BioRepo": ("width", "length")}
"""The collections, with the lines that every one of their pictures must have."""
COLUMNS = ("picture", "group", "scale_bar", "scale_bar_cm", "width", "length")
Ends = tuple[tuple[float, float], tuple[float, float]]


@reads()
def read_beetles(
    fpath: str | os.PathLike[str],
    images_dpath: str | os.PathLike[str],
    *,
    group: str | None = None,
    pixel: PixelOrigin = "edge",
    orientation: Orientation | None = None,
    skip_bad: bool = False,
) -> KeypointSet:
    r"""Pictures of single beetles with the ends of their elytra's width and length.

    JSON is a list of objects, one for each picture, and no picture twice::

        [{"picture": "hawaii/a.png", "group": "Hawaii",
          "scale_bar": {"points": [[10, 90], [110, 90]], "cm": 1},
          "lines": {"length": [[20, 40], [80, 40]], "width": [[50, 30], [51, 40], [50, 50]]}}]

    CSV has the columns ``picture, group, scale_bar, scale_bar_cm, width, length``, a polyline written "x y; x y"; what
    is empty is not there. In both, a polyline has at least two points, and its two ends count. BeetlePalooza has no
    widths: those two points are UNLABELLED there, and a missing line is an error in the other groups. Without a scale
    bar there are no centimetres.

    Args:
        fpath: .json or .csv, at most 1 GB.
        images_dpath: the folder that pictures are named relative to.
        group: keep only Hawaii, BeetlePalooza or BioRepo; None: all.
        pixel: what 0 means: the picture's "edge", or the "centre" of the first pixel, which adds 0.5.
        orientation: in which pixels places in turned pictures are, see :mod:`isotherm.data.orientation`; None: upright,
            which is said in ``notes``.
        skip_bad: leave out bad entries, with a message each in ``skipped``.

    Returns:
        Records named as their pictures, with width_p0, width_p1, length_p0 and length_p1, the ends of each line
        exchangeable, and the lines "width" and "length" to be measured. Ends outside of the picture are OUT_OF_FRAME.

    Raises:
        InputError: file:line of anything that is not as above, or a picture that is missing or not one.
        OptionError: group or pixel.
    """
    fpath, shift, skipped = Path(fpath), pixel_shift(pixel), Skipped(allowed=skip_bad)
    if group is not None and group not in GROUPS:
        raise OptionError(f"group is {group!r}; expected one of {', '.join(GROUPS)}, or None for all")
    folder = PictureFolder(images_dpath, orientation)
    records, seen = [], dict[Path, str]()
    for entry in _entries(fpath, skipped):
        with skipped.one():
            where = entry.where
            its_group = text_of(
                part_of(entry.value, "group", where, str, f"one of {', '.join(GROUPS)}"), where, "'group'"
            )
            if its_group not in GROUPS:
                raise InputError(f"{where}: 'group' is {its_group!r}; expected one of {', '.join(GROUPS)}")
            if group in (None, its_group):
                records.append(_record(entry, its_group, folder, seen, shift))
    return KeypointSet(
        notes=folder.turns.notes,
        records=records,
        names=NAMES,
        exchangeable=EXCHANGEABLE,
        lines=LINES,
        skipped=tuple(skipped.messages),
    )


def _entries(fpath: Path, skipped: Skipped) -> list[Entry]:
    """The entries as the JSON form has them, whichever form the file has."""
    suffix = fpath.suffix.lower()
    if suffix == ".json":
        whole = read_json(fpath)
        if not isinstance(whole, list):
            raise InputError(
                f"{fpath}: it is an object; expected a list of objects with picture, group, scale_bar and lines"
            )
        return whole
    if suffix != ".csv":
        raise InputError(
            f"{fpath}: annotations of beetles end in .json or .csv, these in {suffix!r}; name or convert them so"
        )
    header, *rows = read_csv(fpath)
    if sorted(header.value) != sorted(COLUMNS):
        raise InputError(
            f"{header.where}: the header has the columns {', '.join(header.value)}; expected {', '.join(COLUMNS)}"
        )
    entries = []
    for row in rows:
        with skipped.one():
            entries.append(Entry(_from_cells(dict(zip(header.value, row.value, strict=True)), row.where), row.where))
    return entries


def _from_cells(cells: dict[str, str], where: str) -> dict[str, Any]:
    filled = {column: cell for column, cell in cells.items() if cell.strip()}
    lines = {name: _polyline(filled[name], where, name) for name in LINES if name in filled}
    made: dict[str, Any] = {key: filled[key] for key in ("picture", "group") if key in filled} | {"lines": lines}
    if ("scale_bar" in filled) != ("scale_bar_cm" in filled):
        raise InputError(f"{where}: one of 'scale_bar' and 'scale_bar_cm' is empty; expected both, or neither")
    if "scale_bar" in filled:
        made["scale_bar"] = {
            "points": _polyline(filled["scale_bar"], where, "scale_bar"),
            "cm": number_in_text(filled["scale_bar_cm"], where, "column 'scale_bar_cm'"),
        }
    return made


def _polyline(text: str, where: str, column: str) -> list[list[float]]:
    what = f"column {column!r}"
    return [[number_in_text(part, where, what) for part in point.split()] for point in text.split(";")]


def _ends(points: Any, where: str, what: str) -> Ends:
    """The first and the last point of a polyline whose every point is checked."""
    if not isinstance(points, list) or len(points) < 2 or any(not isinstance(p, list) or len(p) != 2 for p in points):
        raise InputError(f"{where}: {what} is {shown(points)}; expected at least two points, each of x and y")
    (x0, y0), *_, (x1, y1) = [tuple(number(k, where, f"a coordinate of {what}") for k in point) for point in points]
    if (x0, y0) == (x1, y1):
        raise InputError(f"{where}: {what} ends where it begins, at {(x0, y0)}; expected two ends")
    return (x0, y0), (x1, y1)


def _refuse_unknown(value: dict[str, Any], known: tuple[str, ...], where: str, what: str) -> None:
    for key in value:
        if key not in known:
            raise InputError(f"{where}: {what} has the key {key!r}; expected {', '.join(known)}")


def _record(entry: Entry, group: str, folder: PictureFolder, seen: dict[Path, str], shift: float) -> KeypointRecord:
    value, where = entry.value, entry.where
    _refuse_unknown(value, ("picture", "group", "scale_bar", "lines"), where, "the entry")
    name = text_of(part_of(value, "picture", where, str, "the name of a file"), where, "'picture'")
    match = folder.find(name, where)
    fpath = match.fpath
    if fpath in seen:
        raise InputError(
            f"{where}: the picture {name} has an entry already, {seen[fpath]}; expected one beetle and one entry for each picture"
        )
    lines = part_of(value, "lines", where, dict, json.dumps({"length": [["x", "y"], ["x", "y"]]}))
    _refuse_unknown(lines, tuple(LINES), where, "'lines'")
    for needed in GROUPS[group]:
        if needed not in lines:
            raise InputError(
                f"{where}: there is no line {needed!r} in 'lines'; every beetle of {group} has {' and '.join(GROUPS[group])}"
            )
    points = torch.full((len(NAMES), 2), torch.nan, dtype=torch.float64)
    state = torch.full((len(NAMES),), int(State.UNLABELLED), dtype=torch.long)
    for line, polyline in lines.items():
        points[list(LINES[line])] = (
            torch.tensor(_ends(polyline, where, f"the line {line!r}"), dtype=torch.float64) + shift
        )
        state[list(LINES[line])] = int(State.LABELLED)
    px_per_cm = _px_per_cm(value, where)
    seen[fpath] = where
    points = match.turn.points(points).float()
    return KeypointRecord(
        picture=fpath,
        points=points,
        state=states_in(match.size, points, state),
        px_per_cm=px_per_cm,
        group=group,
        name=name,
        origin=where,
    )


def _px_per_cm(value: dict[str, Any], where: str) -> float | None:
    if "scale_bar" not in value:
        return None
    bar = part_of(value, "scale_bar", where, dict, json.dumps({"points": [["x", "y"], ["x", "y"]], "cm": 1}))
    _refuse_unknown(bar, ("points", "cm"), where, "'scale_bar'")
    start, end = _ends(part_of(bar, "points", where, list, "a polyline"), where, "the scale bar")
    if "cm" not in bar:
        raise InputError(f"{where}: there is no 'cm' in 'scale_bar'; expected its length in centimetres")
    cm = above_zero(number(bar["cm"], where, "'cm' of the scale bar"), where, "'cm' of the scale bar")
    return math.dist(start, end) / cm
