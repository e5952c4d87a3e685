"""Annotation files as plain values, each with the line that it stands in, for the readers beside this file.

Everything wrong with a file is an :class:`isotherm.errors.InputError` that says where. What is wrong with the file as a
whole (its encoding, its syntax) always raises; what is wrong with one entry may be left out by :class:`Skipped`.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isotherm import limits
from isotherm.data.pictures import check_regular_file
from isotherm.errors import InputError

MAX_BYTES = limits.ANNOTATION_BYTES
"""Largest annotation file that is read: a picture or a disk image given by mistake must not fill the memory."""
_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Entry:
    """One entry of a file. where: "file:line" of its first character, for messages."""

    value: Any
    where: str


class Skipped:
    """What to do with bad entries: raise at the first, or leave them out and keep the messages.

    Example:
        >>> skipped = Skipped(allowed=True)
        >>> with skipped.one():
        ...     raise InputError("a.json:3: no picture")
        >>> skipped.messages
        ['a.json:3: no picture']
    """

    def __init__(self, *, allowed: bool) -> None:
        self.allowed = allowed
        self.messages: list[str] = []

    @contextmanager
    def one(self) -> Iterator[None]:
        """Around the work on one entry."""
        try:
            yield
        except InputError as error:
            if not self.allowed:
                raise
            self.messages.append(str(error))


class Remarks:
    """What was assumed of entries: one line for each kind, with how many there are and where the first stands.

    Example:
        >>> remarks = Remarks()
        >>> remarks.add("a.json:3: annotation 7", "an area of 0 is taken for none")
        >>> remarks.add("a.json:9: annotation 8", "an area of 0 is taken for none")
        >>> remarks.lines
        ('an area of 0 is taken for none: 2 times, first at a.json:3: annotation 7',)
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, str]] = {}

    def add(self, where: str, kind: str) -> None:
        """One more of a kind."""
        count, first = self._seen.get(kind, (0, where))
        self._seen[kind] = (count + 1, first)

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each kind."""
        return tuple(
            f"{kind}: {'once' if count == 1 else f'{count} times, first'} at {where}"
            for kind, (count, where) in self._seen.items()
        )


def read_text(fpath: Path) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises:
        InputError: missing, empty, no file, over :data:`MAX_BYTES`, or not UTF-8.
    """
    check_regular_file(fpath, "annotation file")
    size = fpath.stat().st_size
    if size > MAX_BYTES:
        raise InputError(
            f"{fpath} has {size / 1e9:.2f} GB; at most {MAX_BYTES / 1e9:g} GB of annotations are read: split it"
        )
    try:
        return fpath.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{fpath}:{line}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except OSError as error:
        raise InputError(f"{fpath} cannot be opened ({error.strerror or error}); check its permissions") from error


def read_json(fpath: Path) -> dict[str, Any] | list[Entry]:
    """A JSON file: a list as entries, or an object in which every list is one of entries.

    The two outer levels are walked here, because the standard library forgets where an item stood; all within is its
    work.

    Raises:
        InputError: no such file, or not JSON; the message has line and column.
    """
    text = read_text(fpath)
    try:
        return _Walk(fpath, text).whole()
    except json.JSONDecodeError as error:
        raise InputError(
            f"{fpath}:{error.lineno}: column {error.colno}: not JSON: {error.msg}; check the file with a JSON editor"
        ) from error
    except RecursionError:
        raise InputError(f"{fpath}: its lists lie too deep within one another; expected annotations") from None
    except ValueError as error:  # a number of thousands of digits
        raise InputError(f"{fpath}: not JSON that can be read ({error})") from error


class _Walk:
    def __init__(self, fpath: Path, text: str) -> None:
        self.fpath, self.text = fpath, text
        self.at = self.line_at = 0
        self.line = 1
        self.decode = json.JSONDecoder(object_pairs_hook=self.once).raw_decode

    def once(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise InputError(f"{self.where()}: the key {twice!r} occurs twice in one object; keep one")
        return members

    def whole(self) -> dict[str, Any] | list[Entry]:
        start = self.peek()
        if start == "[":
            value: dict[str, Any] | list[Entry] = self.items()
        elif start == "{":
            value = self.members()
        else:
            raise InputError(
                f"{self.where()}: begins with {self.text[self.at : self.at + 20]!r}; expected a JSON object or list"
            )
        if self.peek():
            raise json.JSONDecodeError("Extra data", self.text, self.at)
        return value

    def members(self) -> dict[str, Any]:
        pairs: list[tuple[str, Any]] = []
        for _ in self.between("{", "}"):
            if self.peek() != '"':
                raise json.JSONDecodeError("Expecting property name enclosed in double quotes", self.text, self.at)
            key, self.at = self.decode(self.text, self.at)
            self.expect(":")
            pairs.append((key, self.items() if self.peek() == "[" else self.value()))
        return self.once(pairs)

    def items(self) -> list[Entry]:
        # where() before value(): evaluated from left to right
        return [Entry(where=self.where(), value=self.value()) for _ in self.between("[", "]")]

    def between(self, start: str, end: str) -> Iterator[None]:
        self.expect(start)
        if self.peek() == end:
            self.at += 1
            return
        while True:
            self.peek()
            yield
            if self.peek() == end:
                self.at += 1
                return
            self.expect(",")

    def value(self) -> Any:
        entry, self.at = self.decode(self.text, self.at)
        return entry

    def peek(self) -> str:
        space = _SPACE.match(self.text, self.at)
        self.at = space.end() if space else self.at
        return self.text[self.at : self.at + 1]

    def expect(self, sign: str) -> None:
        if self.peek() != sign:
            raise json.JSONDecodeError(f"Expecting {sign!r} delimiter", self.text, self.at)
        self.at += 1

    def where(self) -> str:
        self.line += self.text.count("\n", self.line_at, self.at)
        self.line_at = self.at
        return f"{self.fpath}:{self.line}"


def read_csv(fpath: Path, *, delimiter: str = ",") -> list[Entry]:
    """The rows of a CSV file, blank ones left out; the value of each is a list of str.

    Args:
        fpath: the file.
        delimiter: between cells; spaces behind another one than a comma are no part of a cell.

    Raises:
        InputError: no such file, bad quotes, or a row that has more or fewer columns than the first.
    """
    text = io.StringIO(read_text(fpath), newline="")
    reader = csv.reader(text, strict=True, delimiter=delimiter, skipinitialspace=delimiter != ",")
    rows: list[Entry] = []
    line = 1
    try:
        for row in reader:
            where = f"{fpath}:{line}"
            line = reader.line_num + 1
            if not any(cell.strip() for cell in row):
                continue
            if rows and len(row) != len(rows[0].value):
                raise InputError(
                    f"{where}: {len(row)} columns; the first row has {len(rows[0].value)}. Put quotes around cells with {delimiter!r}"
                )
            rows.append(Entry(row, where))
    except csv.Error as error:
        raise InputError(f"{fpath}:{line}: not CSV: {error}") from error
    if not rows:
        raise InputError(f"{fpath} has no rows; expected a header and one row for each entry")
    return rows


# --- single values -------------------------------------------------------------------------------------------


def number(value: Any, where: str, what: str) -> float:
    """A finite number that the file wrote as a number. what: its name, for the message."""
    if type(value) not in (int, float):
        raise InputError(f"{where}: {what} is {shown(value)}; expected a number")
    try:
        number_read = float(value)
    except OverflowError:
        number_read = math.inf
    if not math.isfinite(number_read):
        raise InputError(f"{where}: {what} is {number_read}; expected a finite number")
    return number_read


def number_in_text(text: str, where: str, what: str) -> float:
    """A finite number written in decimal, such as a CSV cell holds."""
    if not _NUMBER.fullmatch(text := text.strip(" \t")):
        raise InputError(
            f"{where}: {what} is {shown(text)}; expected a number such as 12.5, or nothing where it is not known"
        )
    return number(float(text), where, what)


def above_zero(value: float, where: str, what: str) -> float:
    """The same number, if it is above 0."""
    if not value > 0:
        raise InputError(f"{where}: {what} is {value:g}; expected a number above 0")
    return value


def text_of(value: Any, where: str, what: str) -> str:
    """A string with something in it."""
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{where}: {what} is {'empty' if value is None else shown(value)}; expected text")
    return value


def part_of(value: Any, key: str, where: str, kind: type, expected: str) -> Any:
    """``value[key]`` of a JSON object, if it is there and of its kind; bool is not int."""
    if not isinstance(value, dict):
        raise InputError(f"{where}: found {shown(value)}; expected an object with the key {key!r}")
    if key not in value:
        raise InputError(f"{where}: there is no {key!r}; expected {expected}")
    part = value[key]
    if not isinstance(part, kind) or (isinstance(part, bool) and kind is not bool):
        raise InputError(f"{where}: {key!r} is {shown(part)}; expected {expected}")
    return part


def known_keys(row: Mapping[str, Any], keys: Sequence[str], where: str) -> None:
    """Refuse a key that is nearly one of ours; others belong to whoever made the file.

    Raises:
        InputError: the key, and the one that may be meant.
    """
    for key in row:
        near = difflib.get_close_matches(key, keys, n=1, cutoff=0.75)
        if key not in keys and near:
            raise InputError(f"{where}: there is no key {key!r}; did you mean {near[0]!r}?")


def shown(value: Any) -> str:
    """A value as a message shows it: short."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
