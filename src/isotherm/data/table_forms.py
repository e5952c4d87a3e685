"""The forms that a table of points may have, told apart by the header, and the two kinds of file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from isotherm.data.annotation_files import Entry, number, number_in_text, read_csv, shown
from isotherm.data.pictures import check_regular_file
from isotherm.errors import InputError, MissingExtraError

BOX = ("box_x0", "box_y0", "box_x1", "box_y1")
EXTRA = ("object", "group", "px_per_cm", "area", *BOX)
"""Columns that a long and a wide table may have: of the record, not of a point."""
LONG = ("picture", "point", "x", "y")


@dataclass(frozen=True)
class Row:
    """One row by column, None where a cell is empty. typed: the file tells numbers from text, as CSV does not."""

    cells: dict[str, Any]
    where: str
    typed: bool = False

    def number(self, column: str) -> float | None:
        """The number in a column, or None where there is none."""
        cell = self.cells.get(column)
        if cell is None:
            return None
        return (number if self.typed else number_in_text)(cell, self.where, f"column {column!r}")


@dataclass(frozen=True)
class Table:
    """A table with one header. point_names: of a wide table, in order; None: the table is long."""

    rows: list[Row]
    point_names: tuple[str, ...] | None
    deeplabcut: bool = False


def read_table(fpath: Path, ignore: Sequence[str]) -> Table:
    """Header and rows of a CSV or Parquet file of points.

    Args:
        fpath: ends in .csv, .parquet or .pq.
        ignore: columns to pass over.

    Raises:
        InputError: another kind of file, columns that fit no form or two, or that are not known.
        MissingExtraError: Parquet, and none of its readers is installed.
    """
    suffix = fpath.suffix.lower()
    if suffix not in (".csv", ".parquet", ".pq"):
        raise InputError(
            f"{fpath}: a table of points ends in .csv or .parquet, this one in {suffix!r}; name or export it so"
        )
    typed = suffix != ".csv"
    header, *entries = _read_parquet(fpath) if typed else read_csv(fpath)
    deeplabcut = not typed and header.value[0] == "scorer"
    if deeplabcut:
        header, entries = _deeplabcut(header, entries)
    columns = [column.strip() for column in header.value]
    kept = [column for column in columns if column not in ignore]
    names = _names(kept, header.where)
    known = {"picture", *EXTRA}
    known |= {*LONG, "state"} if names is None else {f"{name}_{part}" for name in names for part in ("x", "y", "state")}
    for column in kept:
        if column not in known:
            raise InputError(
                f"{header.where}: column {column!r} is not known; expected {', '.join(sorted(known))}. Pass over it with ignore=[{column!r}]"
            )
    rows = []
    for entry in entries:
        cells = dict(zip(columns, entry.value, strict=True))
        rows.append(Row({column: _or_none(cells[column]) for column in kept}, entry.where, typed))
    return Table(rows, names, deeplabcut)


def _or_none(cell: Any) -> Any:
    return None if isinstance(cell, str) and not cell.strip() else cell


def _names(columns: list[str], where: str) -> tuple[str, ...] | None:
    twice = {column for column in columns if columns.count(column) > 1}
    if twice:
        raise InputError(f"{where}: the column {min(twice)!r} occurs twice; expected each once")
    long_ones = [column for column in LONG[1:] if column in columns]
    wide_ones = tuple(
        column[:-2] for column in columns if len(column) > 2 and column.endswith("_x") and f"{column[:-2]}_y" in columns
    )
    if long_ones and wide_ones:
        raise InputError(
            f"{where}: the header could be a long table ({', '.join(long_ones)}) or a wide one ({wide_ones[0]}_x, {wide_ones[0]}_y); keep the columns of one"
        )
    if "picture" not in columns or not (wide_ones or len(long_ones) == 3):
        hint = "; separate columns by commas" if len(columns) == 1 and any(sign in columns[0] for sign in ";\t") else ""
        raise InputError(
            f"{where}: the header has the columns {', '.join(columns)}; expected picture, point, x, y (long), or picture, <name>_x, <name>_y (wide), "
            f"or DeepLabCut's scorer, bodyparts, coords{hint}"
        )
    return wide_ones or None


def _deeplabcut(header: Entry, rows: list[Entry]) -> tuple[Entry, list[Entry]]:
    """DeepLabCut's three header rows as the one of a wide table."""
    kinds = [row.value[0] for row in rows[:2]]
    if kinds != ["bodyparts", "coords"]:
        several = " Several animals are not read: export one" if "individuals" in kinds else ""
        raise InputError(
            f"{header.where}: the header rows begin with {', '.join(['scorer', *kinds])}; expected scorer, bodyparts, coords.{several}"
        )
    scorers, parts, coords = header.value, rows[0].value, rows[1].value
    if "likelihood" in coords:
        raise InputError(
            f"{rows[1].where}: there are likelihoods, so these are predictions; expected labels (CollectedData_<scorer>.csv)"
        )
    lead = next((i for i, kind in enumerate(coords) if kind in ("x", "y")), len(coords))
    if len(set(scorers[lead:])) > 1:
        raise InputError(f"{header.where}: several scorers, {', '.join(sorted(set(scorers[lead:])))}; keep one")
    if (
        lead not in (1, 3)
        or (len(coords) - lead) % 2
        or coords[lead:] != ["x", "y"] * ((len(coords) - lead) // 2)
        or parts[lead::2] != parts[lead + 1 :: 2]
    ):
        raise InputError(
            f"{rows[1].where}: coords are {shown(','.join(coords))}; expected x, y of one part after another, after 1 or 3 columns of the path"
        )
    columns = ["picture", *(f"{part}_{coord}" for part, coord in zip(parts[lead:], coords[lead:], strict=True))]
    if len(set(columns)) < len(columns):
        raise InputError(f"{rows[0].where}: a body part occurs twice; expected each once")
    return Entry(columns, header.where), [
        Entry(["/".join(row.value[:lead]), *row.value[lead:]], row.where) for row in rows[2:]
    ]


def _read_parquet(fpath: Path) -> list[Entry]:
    check_regular_file(fpath, "annotation file")
    # the first that is there; each names columns and gives Python's own values
    readers: tuple[tuple[str, str, Any], ...] = (
        ("pyarrow", "pyarrow.parquet", lambda module: module.read_table(fpath).to_pydict()),
        ("polars", "polars", lambda module: module.read_parquet(fpath).to_dict(as_series=False)),
        ("pandas", "pandas", lambda module: module.read_parquet(fpath).to_dict(orient="list")),
    )
    for _, module_name, read in readers:
        try:
            module = import_module(module_name)
        except ImportError:
            continue
        try:
            columns = read(module)
        except Exception as error:  # three libraries, no common error
            raise InputError(
                f"{fpath} is not Parquet that {module_name} can read ({type(error).__name__}: {error})"
            ) from error
        rows = zip(*columns.values(), strict=True)
        return [
            Entry(list(columns), f"{fpath}: header"),
            *(Entry(list(row), f"{fpath}: row {i + 1}") for i, row in enumerate(rows)),
        ]
    raise MissingExtraError("polars", "all", "reading a Parquet table")
