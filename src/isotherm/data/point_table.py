"""Tables of points: long (a row for each point), wide (a row for each picture), and DeepLabCut's; CSV or Parquet.

The columns are in :func:`read_point_table`. What a table cannot say (pairs that swap, lines to be measured) is added to
the set afterwards with ``dataclasses.replace``.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from isotherm.atomic import atomic_write
from isotherm.data.annotation_files import Remarks, Skipped, above_zero, shown, text_of
from isotherm.data.coco import PixelOrigin, pixel_shift
from isotherm.data.coco_category import left_right_swaps
from isotherm.data.coco_writer import name_in_folder
from isotherm.data.keypoints import KeypointRecord, KeypointSet
from isotherm.data.orientation import Orientation
from isotherm.data.picture_folder import PictureFolder, states_in
from isotherm.data.table_forms import BOX, EXTRA, Row, read_table
from isotherm.errors import InputError, OptionError
from isotherm.points import State
from isotherm.untrusted.plain import reads


@reads()
def read_point_table(
    fpath: str | os.PathLike[str],
    images_dpath: str | os.PathLike[str] | None = None,
    *,
    names: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    pixel: PixelOrigin | None = None,
    orientation: Orientation | None = None,
    skip_bad: bool = False,
) -> KeypointSet:
    """A table of points; its header says which of three forms it has.

    - long: ``picture, point, x, y`` and, where wanted, ``state``; a point without a row is UNLABELLED.
    - wide: ``picture`` and ``<name>_x, <name>_y`` for every point, and, where wanted, ``<name>_state``.
    - DeepLabCut's CSV of one animal: three header rows ``scorer``, ``bodyparts``, ``coords``; the picture's path in one
      or three columns, relative to the project. CSV only.

    Long and wide tables may have the columns ``group``, ``px_per_cm``, ``area`` (pixels squared), ``box_x0, box_y0,
    box_x1, box_y1`` and, where a picture has several objects, ``object``; in a long table all rows of a record say the
    same.

    Args:
        fpath: .csv, or .parquet, for which pyarrow, polars or pandas is needed.
        images_dpath: the folder that pictures are named relative to; None: that of the table.
        names: of the points, in the order wanted; None: as they appear. A point that is not among them is an error.
        ignore: columns to pass over. Others that are not named above are refused, since a misspelt one would be lost.
        pixel: what 0 means: "edge", or "centre" of the first pixel, which adds 0.5 to points (boxes reach from edge to
            edge in both). None: "edge", and for DeepLabCut "centre", because its labelling tools draw pixel i around i.
        orientation: in which pixels places in turned pictures are, see :mod:`isotherm.data.orientation`; None: upright,
            which is said in ``notes``.
        skip_bad: leave out bad records, with a message each in ``skipped``. A bad row spoils its record.

    Returns:
        Records named "picture" or "picture#object". x and y both empty: UNLABELLED. ``state`` is the name of a
        :class:`isotherm.points.State` in small letters; empty: labelled. Known points outside of the picture are
        OUT_OF_FRAME. Left and right of equal names are in ``swaps``.

    Raises:
        InputError: file:line and column of what is wrong, or a picture that is missing or not one.
        OptionError: names or pixel.
        MissingExtraError: Parquet, and none of its readers.
    """
    fpath = Path(fpath)
    if names is not None and (isinstance(names, str) or len(set(names)) < len(names)):
        raise OptionError(f"names is {shown(names)}; expected different names of points")
    table = read_table(fpath, ignore)
    shift = pixel_shift(pixel or ("centre" if table.deeplabcut else "edge"))
    folder = PictureFolder(fpath.parent if images_dpath is None else images_dpath, orientation)
    skipped, remarks = Skipped(allowed=skip_bad), Remarks()
    point_names: Sequence[str]
    if table.point_names is None:
        drafts, point_names = _long_drafts(table.rows, names, skipped, remarks)
    else:
        drafts, point_names = _wide_drafts(table.rows, table.point_names, skipped, remarks), table.point_names
    order = _order(fpath, point_names, names)
    records = []
    for draft in drafts:
        with skipped.one():
            records.append(draft.record(order, folder, shift))
    return KeypointSet(
        records=records,
        names=order,
        swaps=left_right_swaps(order),
        skipped=tuple(skipped.messages),
        notes=(*remarks.lines, *folder.turns.notes),
    )


def write_point_table(
    data: KeypointSet, fpath: str | os.PathLike[str], *, images_dpath: str | os.PathLike[str] | None = None
) -> None:
    """The records of a set as a long table in CSV, whole or not at all; coordinates count from the edge.

    Args:
        data: its records are of picture files.
        fpath: the CSV file to write.
        images_dpath: the folder that pictures are named relative to; None: that of the table.

    Raises:
        InputError: a record holds its picture in memory, or the picture lies outside of the folder.
    """
    root = Path(fpath).parent if images_dpath is None else images_dpath
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("picture", "object", "point", "x", "y", "state", *EXTRA[1:]))
    for i, record in enumerate(data):
        picture = name_in_folder(record, root)
        further = [
            "" if value is None else value
            for value in (record.group, record.px_per_cm, record.area, *(record.box or [None] * 4))
        ]
        for name, xy, state in zip(data.names, record.points.tolist(), record.state.tolist(), strict=True):
            known = state not in (State.UNLABELLED, State.ABSENT)
            writer.writerow((picture, i + 1, name, *(xy if known else ("", "")), State(state).name.lower(), *further))
    with atomic_write(fpath) as file:
        file.write(text.getvalue().encode())


# --- records -------------------------------------------------------------------------------------------------


def _order(fpath: Path, point_names: Sequence[str], names: Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return tuple(point_names)
    unknown = [name for name in point_names if name not in names]
    if unknown:
        raise InputError(f"{fpath}: it has the point {unknown[0]!r}, which is not among names: {', '.join(names)}")
    return tuple(names)


@dataclass
class _Draft:
    """A record as its rows say it, before the picture is looked for."""

    picture: str
    item: str
    where: str
    further: dict[str, Any]
    places: dict[str, tuple[float, float, State, str]] = field(default_factory=dict)
    spoilt: bool = False

    @property
    def who(self) -> str:
        return f"{self.picture}#{self.item}" if self.item else self.picture

    @property
    def advice(self) -> str:
        return "expected one" if self.item else "give a column 'object' where a picture has several"

    def record(self, names: tuple[str, ...], folder: PictureFolder, shift: float) -> KeypointRecord:
        match = folder.find(self.picture, self.where)
        size = match.size
        unknown = (math.nan, math.nan, State.UNLABELLED, "")
        places = [self.places.get(name, unknown) for name in names]
        points = torch.tensor([place[:2] for place in places], dtype=torch.float64).view(-1, 2) + shift
        points = match.turn.points(points).float()
        state = torch.tensor([int(place[2]) for place in places], dtype=torch.long)
        seen = states_in(size, points, torch.where(state == int(State.OUT_OF_FRAME), int(State.LABELLED), state))
        wrong = (state == int(State.OUT_OF_FRAME)) & (seen != state)
        if bool(wrong.any()):
            i = int(wrong.long().argmax())
            raise InputError(
                f"{places[i][3]}: {names[i]} is out_of_frame at {tuple(points[i].tolist())}, which is within the picture, {size[1]} x {size[0]}; expected labelled"
            )
        further = self.further | ({"box": match.turn.box(self.further["box"])} if "box" in self.further else {})
        return KeypointRecord(
            picture=match.fpath, points=points, state=seen, origin=self.where, name=self.who, **further
        )


def _wide_drafts(rows: list[Row], names: Sequence[str], skipped: Skipped, remarks: Remarks) -> list[_Draft]:
    drafts: dict[tuple[str, str], _Draft] = {}
    for row in rows:
        with skipped.one():
            draft = _draft(row, remarks)
            first = drafts.setdefault((draft.picture, draft.item), draft)
            if first is not draft:
                first.spoilt = True
                raise InputError(f"{row.where}: {draft.who} has a row already, {first.where}; {draft.advice}")
            draft.spoilt = True
            draft.places = {name: _place(row, (f"{name}_x", f"{name}_y", f"{name}_state")) for name in names}
            draft.spoilt = False
    return [draft for draft in drafts.values() if not draft.spoilt]


def _long_drafts(
    rows: list[Row], wanted: Sequence[str] | None, skipped: Skipped, remarks: Remarks
) -> tuple[list[_Draft], list[str]]:
    drafts: dict[tuple[str, str], _Draft] = {}
    names: dict[str, None] = {}
    for row in rows:
        with skipped.one():
            key = str(row.cells["picture"]), _item(row)
            try:
                draft = _draft(row, remarks)
                first = drafts.setdefault(key, draft)
                for what in (*first.further, *draft.further):
                    if first.further.get(what) != draft.further.get(what):
                        raise InputError(
                            f"{row.where}: {what} of {draft.who} is {draft.further.get(what)}, but {first.further.get(what)} at {first.where}; expected the same"
                        )
                point = text_of(row.cells["point"], row.where, "column 'point'")
                if wanted is not None and point not in wanted:
                    raise InputError(
                        f"{row.where}: column 'point' is {point!r}, which is not among names: {', '.join(wanted)}"
                    )
                names.setdefault(point)
                if point in first.places:
                    raise InputError(
                        f"{row.where}: {point} of {draft.who} has a row already, {first.places[point][3]}; {draft.advice}"
                    )
                first.places[point] = _place(row, ("x", "y", "state"))
            except InputError:
                # a record without one of its points would say that the point is not labelled
                drafts.setdefault(key, _Draft(*key, row.where, {})).spoilt = True
                raise
    return [draft for draft in drafts.values() if not draft.spoilt], list(names)


def _item(row: Row) -> str:
    item = row.cells.get("object")
    return "" if item is None else str(item)


def _draft(row: Row, remarks: Remarks) -> _Draft:
    cells, where = row.cells, row.where
    picture = text_of(cells["picture"], where, "column 'picture'")
    further: dict[str, Any] = {}
    if cells.get("group") is not None:
        further["group"] = text_of(cells["group"], where, "column 'group'")
    if (scale := row.number("px_per_cm")) is not None:
        further["px_per_cm"] = above_zero(scale, where, "column 'px_per_cm'")
    if (area := row.number("area")) is not None:
        if area > 0:
            further["area"] = area
        else:
            remarks.add(where, f"an area of {'0' if area == 0 else 'less than 0'} is taken for one that is not known")
    corners = [row.number(column) for column in BOX]
    numbers = [corner for corner in corners if corner is not None]
    if numbers:
        if len(numbers) < 4:
            raise InputError(f"{where}: {', '.join(BOX)} have {len(numbers)} numbers; expected all four, or none")
        x0, y0, x1, y1 = numbers
        if x0 < x1 and y0 < y1:
            further["box"] = (x0, y0, x1, y1)
        elif x0 == x1 or y0 == y1:
            remarks.add(where, "an empty box is taken for one that is not known")
        else:
            raise InputError(
                f"{where}: the box {(x0, y0, x1, y1)} has its corners in another order; expected box_x0 < box_x1 and box_y0 < box_y1"
            )
    return _Draft(picture, _item(row), where, further)


def _place(row: Row, columns: tuple[str, str, str]) -> tuple[float, float, State, str]:
    where = row.where
    x, y = (row.number(column) for column in columns[:2])
    if (x is None) != (y is None):
        filled, empty = columns[:2] if y is None else (columns[1], columns[0])
        raise InputError(
            f"{where}: column {empty!r} is empty and {filled!r} is not; expected both, or neither where the point is not known"
        )
    state_cell = row.cells.get(columns[2])
    try:
        state = (
            State[str(state_cell).upper()]
            if state_cell is not None
            else (State.UNLABELLED if x is None else State.LABELLED)
        )
    except KeyError:
        raise InputError(
            f"{where}: column {columns[2]!r} is {shown(state_cell)}; expected {', '.join(one.name.lower() for one in State)}, or nothing"
        ) from None
    known = state not in (State.UNLABELLED, State.ABSENT)
    if known != (x is not None):
        raise InputError(
            f"{where}: column {columns[2]!r} is {state_cell}, and there is {'no' if x is None else 'a'} place; expected one without the other"
        )
    return (math.nan, math.nan, state, where) if x is None or y is None else (x, y, state, where)
