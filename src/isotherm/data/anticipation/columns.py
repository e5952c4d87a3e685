"""Rows of tables by the names of their columns, with the line of each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from isotherm.data.annotation_files import number_in_text, read_csv, shown, text_of
from isotherm.errors import InputError

_CLOCK = re.compile(r"(\d+):([0-5]\d):([0-5]\d(?:\.\d*)?)")
_WHOLE = re.compile(r"\d+")


@dataclass(frozen=True)
class Row:
    """One row by column.

    Args:
        cells: by column.
        where: "file:line".
    """

    cells: dict[str, str]
    where: str

    def text(self, column: str) -> str:
        """What a column says, which may not be nothing.

        Args:
            column: its name.
        """
        return text_of(self.cells[column], self.where, column).strip()

    def whole(self, column: str) -> int:
        """A whole number of at least 0.

        Args:
            column: its name.
        """
        return whole(self.cells[column], self.where, column)

    def number(self, column: str) -> float:
        """A finite number.

        Args:
            column: its name.
        """
        return number_in_text(self.cells[column], self.where, column)

    def clock(self, column: str) -> float:
        """Seconds of a time such as 00:01:02.50.

        Args:
            column: its name.
        """
        match = _CLOCK.fullmatch(self.cells[column].strip())
        if match is None:
            raise InputError(
                f"{self.where}: {column} is {shown(self.cells[column])}; expected hours:minutes:seconds such as 00:01:02.50"
            )
        return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])


def whole(text: str, where: str, what: str) -> int:
    """A whole number of at least 0, from text.

    Args:
        text: such as "12".
        where: "file:line", for the message.
        what: its name, for the message.

    Raises:
        InputError: it is none.
    """
    if not _WHOLE.fullmatch(text.strip()) or len(text) > 15:
        raise InputError(f"{where}: {what} is {shown(text)}; expected a whole number of at least 0")
    return int(text)


def rows_of(fpath: Path, columns: Sequence[str], *, delimiter: str = ",") -> Iterator[Row]:
    """The rows of a table with a header.

    Args:
        fpath: the file.
        columns: that it must have; it may have others.
        delimiter: between cells.

    Raises:
        InputError: a column is missing or there twice, or it is not such a file.
    """
    header, *entries = read_csv(fpath, delimiter=delimiter)
    names = [name.strip().removeprefix("#").strip() for name in header.value]
    for column in columns:
        if names.count(column) != 1:
            raise InputError(
                f"{header.where}: the column {column!r} is there {names.count(column)} times, of {', '.join(map(repr, names))}; expected it once"
            )
    for entry in entries:
        yield Row(dict(zip(names, entry.value, strict=True)), entry.where)
