"""Tables with named columns, read strictly: every error has the file, the line and the column."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from isotherm.data.annotation_files import read_text, shown
from isotherm.errors import InputError

KNOWN = {
    "ego4d": {"canonical_timestamp_s", "norm_pos_x", "norm_pos_y"},
    "pupil-core": {"gaze_timestamp", "world_index", "norm_pos_x", "norm_pos_y"},
    "neon": {"timestamp [ns]", "gaze x [px]", "gaze y [px]"},
    "aria": {"tracking_timestamp_us", "pitch_rads_cpf"},
    "ego-exo4d": {"frame_num", "x", "y"},
}
"""Columns by which a table of another format is known, for the error alone."""


@dataclass(frozen=True, eq=False)
class Table:
    """The cells of some columns.

    Args:
        path: of the file.
        cells: of every column that was asked for and is there, its texts.
        lines: (n,) the line of the file at which each row ends.
    """

    path: Path
    cells: Mapping[str, Sequence[str]]
    lines: Sequence[int]

    def __len__(self) -> int:
        return len(self.lines)

    def __contains__(self, column: str) -> bool:
        return column in self.cells

    def numbers(self, column: str, *, empty: bool = False) -> Float64[np.ndarray, " n"]:
        """A column of numbers.

        Args:
            column: its name.
            empty: nothing, nan and NaN are NaN; else they are errors.

        Raises:
            InputError: a cell is no finite number.
        """
        texts = self.cells[column]
        try:
            values = np.array([text or "nan" for text in texts], np.float64)
        except ValueError:
            self._refuse(column, lambda text: not _is_number(text))
        if np.isinf(values).any():
            self._refuse(column, lambda text: "inf" in text.lower())
        if not empty and np.isnan(values).any():
            self._refuse(column, lambda text: not text or text.lower() == "nan")
        return values

    def certainties(self, column: str, *, empty: bool = False) -> Float64[np.ndarray, " n"]:
        """A column of confidences.

        Args:
            column: its name.
            empty: whether cells may be empty or NaN.

        Raises:
            InputError: a cell is no number, or above 1, as where per cent are counted.
        """
        values = self.numbers(column, empty=empty)
        if (values > 1).any():
            self._refuse(column, lambda text: bool(text) and float(text) > 1, "a share from 0 to 1")
        return values

    def whole(self, column: str) -> Int64[np.ndarray, " n"]:
        """A column of whole numbers, to the last digit.

        Args:
            column: its name.

        Raises:
            InputError: a cell is none.
        """
        texts = self.cells[column]
        if not all(re.fullmatch(r"-?[0-9]{1,18}|-?[0-9]{19}", text) for text in texts):
            self._refuse(column, lambda text: not re.fullmatch(r"-?[0-9]{1,19}", text), "a whole number")
        try:
            return np.array([int(text) for text in texts], np.int64)
        except OverflowError as error:
            raise InputError(f"{self.path}: a number of the column {column!r} has too many digits") from error

    def _refuse(self, column: str, bad: object, expected: str = "a finite number") -> None:
        assert callable(bad)
        row = next((i for i, text in enumerate(self.cells[column]) if bad(text)), 0)
        raise InputError(
            f"{self.path}:{self.lines[row]}: column {column!r} is {shown(self.cells[column][row])}; expected {expected}"
        )


def read_columns(
    path: Path,
    format: str,
    needed: Sequence[str],
    optional: Sequence[str] = (),
    *,
    older: Mapping[str, str] | None = None,
) -> Table:
    """A CSV table's columns by their names, in UTF-8, with or without a byte order mark.

    Args:
        path: of the file.
        format: the name of the format, for messages.
        needed: columns without which it is none.
        optional: columns that are read where they are there.
        older: names that columns had in earlier versions of the format, with what they are called now.

    Raises:
        InputError: missing, not UTF-8, a column that is missing or there twice, a row of another length, or no rows.
    """
    text = read_text(path)
    if "\x00" in text:
        raise InputError(f"{path} is no text (it holds zero bytes); expected a CSV table of the format {format}")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    while not header:
        row = next(_rows(reader, path), None)
        if row is None:
            raise InputError(f"{path} is empty; expected the columns {', '.join(needed)}")
        header = [" ".join(name.replace("\xa0", " ").split()) for name in row]
    header = [(older or {}).get(name, name) for name in header]
    missing = [name for name in needed if name not in header]
    if missing:
        raise InputError(
            f"{path}:{reader.line_num}: there is no column {missing[0]!r}; a file of the format {format} has {', '.join(needed)}, and this one {', '.join(header[:12])}{_other(header, format)}"
        )
    chosen = [name for name in (*needed, *optional) if name in header]
    for name in chosen:
        if header.count(name) > 1:
            raise InputError(f"{path}:{reader.line_num}: there are {header.count(name)} columns {name!r}; expected one")
    places = [header.index(name) for name in chosen]
    cells: list[list[str]] = [[] for _ in chosen]
    lines: list[int] = []
    for row in _rows(reader, path):
        if not row:
            continue
        if len(row) != len(header):
            raise InputError(
                f"{path}:{reader.line_num}: {len(row)} cells; expected {len(header)}, as the header has; is the file cut short?"
            )
        lines.append(reader.line_num)
        for column, place in zip(cells, places, strict=True):
            column.append(row[place].strip())
    if not lines:
        raise InputError(f"{path} has a header and no rows; expected a row for each sample")
    return Table(path, dict(zip(chosen, cells, strict=True)), lines)


def _rows(reader: Any, path: Path) -> Iterator[list[str]]:
    """The rows that are left; what is no CSV is named with its line."""
    try:
        yield from reader
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: not CSV: {error}") from error


def _is_number(text: str) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True


def _other(header: Sequence[str], format: str) -> str:
    names = [name for name, columns in KNOWN.items() if columns <= set(header) and name != format]
    return f"; it looks like {' or '.join(names)}" if names else ""
