"""Boxes of heads from a file, as any detector or person may have written them: CSV or JSON."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from isotherm import limits
from isotherm.data.names import near_names
from isotherm.data.orientation import Turn
from isotherm.errors import InputError
from isotherm.untrusted.plain import read_json, reads

COLUMNS = ("frame", "x0", "y0", "x1", "y1")


@reads()
def read_head_boxes(fpath: str | os.PathLike[str]) -> dict[int, Float64[np.ndarray, "_ 5"]]:
    """Boxes by the number of their frame, from 0: x0, y0, x1, y1 in pixels of the video and a score, 1 where there is
    none.

    Read are CSV with the columns frame, x0, y0, x1, y1 and, if it likes, score; and JSON, either a list of objects with
    these names, or an object whose keys are numbers of frames and whose values are lists of [x0, y0, x1, y1] or
    [x0, y0, x1, y1, score].

    Args:
        fpath: ends in .csv or .json.

    Raises:
        InputError: missing, of another form, or a box that is none; the message names the place.
    """
    path = Path(fpath)
    if path.suffix.lower() not in (".csv", ".json"):
        raise InputError(f"{path} is no file of boxes; expected .csv or .json")
    if not path.is_file():
        raise InputError(f"there is no file of boxes {path}{near_names(path)}")
    boxes: dict[int, list[list[float]]] = {}
    try:
        rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path)
        for where, frame, numbers in rows:
            boxes.setdefault(frame, []).append(_box(numbers, f"{path}, {where}"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error})") from error
    return {frame: np.array(some, np.float64) for frame, some in boxes.items()}


def turned_rows(rows: Float64[np.ndarray, "n 5"], turn: Turn) -> Float64[np.ndarray, "n 5"]:
    """Boxes with their scores in the pixels of the upright picture.

    Args:
        rows: x0, y0, x1, y1 in stored pixels, and a score.
        turn: of the video.
    """
    corners = turn.points(torch.from_numpy(rows[:, :4].reshape(-1, 2, 2))).numpy()
    return np.concatenate([corners.min(1), corners.max(1), rows[:, 4:]], -1)


def _csv_rows(path: Path) -> Iterator[tuple[str, int, list[Any]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise InputError(
                f"{path} has the columns {', '.join(rows.fieldnames or ()) or 'none'}; expected {', '.join(COLUMNS)} and perhaps score"
            )
        for row in rows:
            where = f"line {rows.line_num}"
            yield (
                where,
                _frame(row["frame"], f"{path}, {where}"),
                [row[n] for n in COLUMNS[1:]] + [row.get("score") or 1],
            )


def _json_rows(path: Path) -> Iterator[tuple[str, int, list[Any]]]:
    content = read_json(path, most=limits.ANNOTATION_BYTES, advice="expected boxes of heads")
    if isinstance(content, Mapping):
        for key, some in content.items():
            where = f"frame {key}"
            if not isinstance(some, list) or not all(isinstance(box, list) and len(box) in (4, 5) for box in some):
                raise InputError(f"{path}, {where}: expected a list of [x0, y0, x1, y1] or [x0, y0, x1, y1, score]")
            for box in some:
                yield where, _frame(key, f"{path}, {where}"), [*box[:4], box[4] if len(box) == 5 else 1]
        return
    if not isinstance(content, list):
        raise InputError(f"{path} holds a {type(content).__name__}; expected a list of boxes or an object of frames")
    for i, row in enumerate(content):
        where = f"entry {i}"
        if not isinstance(row, Mapping) or not set(COLUMNS) <= set(row):
            raise InputError(f"{path}, {where}: expected an object with {', '.join(COLUMNS)}")
        yield where, _frame(row["frame"], f"{path}, {where}"), [row[n] for n in COLUMNS[1:]] + [row.get("score", 1)]


def _frame(value: Any, where: str) -> int:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 <= number < 1 << 53 or number != int(number):
        raise InputError(f"{where}: the frame is {value!r}; expected its number, from 0")
    return int(number)


def _box(numbers: list[Any], where: str) -> list[float]:
    try:
        x0, y0, x1, y1, score = (float(n) for n in numbers)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{where}: {numbers[:4]} is no box; expected four numbers in pixels of the video") from None
    if not (math.isfinite(x0 + y0 + x1 + y1) and x0 < x1 and y0 < y1):
        raise InputError(f"{where}: {numbers[:4]} is no box; x0 must be less than x1 and y0 less than y1")
    if not 0 <= score <= 1:
        raise InputError(f"{where}: the score is {score}; expected a number from 0 to 1")
    return [x0, y0, x1, y1, score]
