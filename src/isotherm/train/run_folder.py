"""The folder of a training run: its recipe, its figures, its checkpoint. Killed at any moment, it can be gone on
from.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock, Timeout

from isotherm import limits
from isotherm.atomic import atomic_write
from isotherm.errors import InputError, OptionError, WeightsError
from isotherm.runs.file import RunFile, ending, to_json
from isotherm.train.older_recipe import Complete, differences, refused, shortened
from isotherm.untrusted.plain import content_of, read_json, reading

FORMAT = "isotherm.training/1"
UNDECIDING = ("wall_hours", "memory_mb", "disk_mb")
"""Options of a recipe that decide no numbers: a run may be gone on with under others."""


class RunFolder:
    """A folder that holds ``recipe.json``, ``metrics.csv``, ``checkpoint.pt``, and ``run.json`` (:meth:`started`).

    A loop that leaves a run before its end, to be gone on with, writes the reason into ``left``; ``run.json`` says it.

    Args:
        dpath: made if it is not there.
        recipe: everything that decides the numbers of the run, as JSON.
        complete: makes a recipe that an earlier version has written into the folder one with every option that there
            is now; None: what is there must be the same as it is.

    Raises:
        OptionError: the folder holds a run of another recipe, or other files; it is left as it is.
        InputError: it cannot be made.
    """

    def __init__(
        self, dpath: str | os.PathLike[str], recipe: Mapping[str, Any], *, complete: Complete | None = None
    ) -> None:
        self.dpath = Path(dpath)
        self.left: str | None = None
        self.also: Callable[[Mapping[str, float]], None] = lambda row: None
        try:
            self.dpath.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the folder {self.dpath} cannot be made ({error.strerror})") from error
        content = json.loads(json.dumps(to_json({"format": FORMAT, **recipe})))
        there = self.dpath / "recipe.json"
        if there.is_file():
            before, content = deciding(_read(there)), deciding(content)
            if before != content and complete is not None:
                try:
                    before = deciding(json.loads(json.dumps(to_json(complete(before)))))
                except OptionError as error:
                    raise refused(self.dpath, error) from error
            if before != content:
                changed = differences(before, content)
                if all(line.startswith("instructions ") for line in changed):
                    raise OptionError(
                        f"{self.dpath} holds a run on other instructions: what the files of its data hold has changed since; put them back as they were, or choose another folder"
                    )
                raise OptionError(
                    f"{self.dpath} holds a run of another recipe (they differ in {shortened(changed)}); choose another folder, or go on with the recipe in {there}"
                )
        else:
            others = sorted(f.name for f in self.dpath.iterdir() if not f.name.startswith("."))
            if others:
                raise OptionError(
                    f"{self.dpath} holds other files ({', '.join(others[:3])}) and no run; give an empty folder, or one that does not exist"
                )
            with atomic_write(there) as file:
                file.write(json.dumps(content, indent=1, allow_nan=False).encode())

    @contextmanager
    def started(
        self, job: str, *, command: str = "", write: bool = True, start: dict[str, Any] | None = None, **facts: Any
    ) -> Iterator[RunFile]:
        """While the block runs, the folder's ``run.json`` says so, and no other run may start in it; behind it, how it
        ended.

        Args:
            job, write, start, facts: as of :class:`isotherm.runs.file.RunFile`. Of several processes of one run, the
                one that writes holds the folder for all.
            command: the command line that asks for the run.

        Raises:
            OptionError: another process runs in the folder.
        """
        with self._alone() if write else nullcontext():
            file = RunFile(self.dpath, job, command=command, write=write, start=start, **facts)
            try:
                yield file
            except BaseException as error:
                file.end(ending(type(error), error))
                raise
            file.end("finished" if self.left is None else f"stopped: {self.left}; it can be gone on with")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two that go on with one run would write over each other. A killed process loses its lock by itself."""
        lock = FileLock(self.dpath / ".lock")
        try:
            with suppress(NotImplementedError):  # a folder that is mounted without locks
                lock.acquire(timeout=0)
        except Timeout as error:
            raise OptionError(
                f"another process runs in {self.dpath}, and two would write over each other; wait until it has ended, end it, "
                "or choose another folder"
            ) from error
        try:
            yield
        finally:
            lock.release()

    @property
    def checkpoint(self) -> Path:
        """The last kept state."""
        return self.dpath / "checkpoint.pt"

    def keep(self, state: Mapping[str, Any]) -> None:
        """Write the state whole or not at all."""
        with atomic_write(self.checkpoint) as file:
            torch.save(dict(state), file)

    def kept(self) -> dict[str, Any] | None:
        """The last state that was kept, or None.

        Raises:
            WeightsError: the file is damaged; it is never overwritten because of that.
        """
        if not self.checkpoint.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        except Exception as error:
            raise WeightsError(
                f"{self.checkpoint} cannot be read ({type(error).__name__}); move it away to start anew"
            ) from error
        return state

    def log(self, row: Mapping[str, float]) -> None:
        """A line of figures; a column that is new rewrites the file with it. ``also`` is told of it."""
        self.also(row)
        fpath = self.dpath / "metrics.csv"
        columns = _columns(fpath)
        if set(row) <= set(columns):
            with fpath.open("a", newline="") as file:
                csv.DictWriter(file, columns, lineterminator="\n").writerow(
                    {key: _shown(value) for key, value in row.items()}
                )
            return
        rows = self.figures()
        self._write([*columns, *(key for key in row if key not in columns)], [*rows, dict(row)])

    def figures(self) -> list[dict[str, float]]:
        """All lines so far; what is not known in a line is left out of it."""
        return read_figures(self.dpath / "metrics.csv")

    def keep_best(
        self, figure: str, value: float, *, step: int, last: str, best: str, better: Literal["less", "more"] = "less"
    ) -> None:
        """Copy the last model's file to that of the best one, whole or not at all, if no earlier validation was better.

        Args:
            figure: of a validation.
            value: what it is now.
            step: of this validation, whose own row may be there already from before an interruption.
            last, best: names of the files.
            better: whether less or more of the figure is.
        """
        name, sign = validation_column(figure), 1 if better == "less" else -1
        before = [sign * row[name] for row in self.figures() if name in row and row["step"] < step]
        if sign * value < min(before, default=math.inf):
            with (self.dpath / last).open("rb") as source, atomic_write(self.dpath / best) as copy:
                shutil.copyfileobj(source, copy)

    def write_parquet(self) -> Path | None:
        """All figures as ``metrics.parquet``, or None where pyarrow is not installed."""
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            return None
        rows, columns = self.figures(), _columns(self.dpath / "metrics.csv")
        table = pyarrow.table({key: [row.get(key) for row in rows] for key in columns})
        with atomic_write(self.dpath / "metrics.parquet") as file:
            pyarrow.parquet.write_table(table, file)
        return self.dpath / "metrics.parquet"

    def forget_after(self, step: int) -> None:
        """Drop lines of steps that come after a checkpoint, which are about to be made again; a line cut short goes
        too.
        """
        fpath = self.dpath / "metrics.csv"
        if not fpath.is_file():
            return
        columns = _columns(fpath)
        rows = [row for _, row in _lines(fpath) if _is_step(row.get("step") or "") and int(row["step"]) <= step]
        self._write(columns, [{key: value for key, value in row.items() if key and value} for row in rows])

    def _write(self, columns: list[str], rows: list[dict[str, Any]]) -> None:
        lines = [",".join(columns), *(",".join(_shown(row.get(column, "")) for column in columns) for row in rows)]
        with atomic_write(self.dpath / "metrics.csv") as file:
            file.write(("\n".join(lines) + "\n").encode())


def validation_column(figure: str) -> str:
    """The column of ``metrics.csv`` that holds a figure of validations; those of a group name it too.

    Example:
        >>> validation_column("point_err_px"), validation_column("val/hawaii/point_err_cm")
        ('validation point_err_px', 'val/hawaii/point_err_cm')
    """
    return figure if figure.startswith("val/") else f"validation {figure}"


def deciding(recipe: Any) -> Any:
    """A recipe without what decides no numbers.

    Args:
        recipe: as plain data; what is no mapping stays as it is.
    """
    if not isinstance(recipe, dict):
        return recipe
    return {key: deciding(value) for key, value in recipe.items() if key not in UNDECIDING}


def _read(fpath: Path) -> dict[str, Any]:
    content = read_json(fpath, error=OptionError, advice="choose another folder")
    if not isinstance(content, dict):
        raise OptionError(f"{fpath} holds no recipe; choose another folder")
    return content


def read_figures(fpath: Path) -> list[dict[str, float]]:
    """The lines of a ``metrics.csv``; none where there is no file.

    Raises:
        InputError: it is damaged, or holds something else; file and line.
    """
    rows = []
    for number, row in _lines(fpath):
        with reading(f"{fpath}, line {number}", advice="expected figures; take the line out"):
            figures = {key: _number(value) for key, value in row.items() if key and value}
            if not isinstance(figures.get("step", 0), int):
                raise ValueError(f"the step is {row['step']!r:.40}")
            rows.append(figures)
    return rows


def _lines(fpath: Path) -> list[tuple[int, dict[str, str]]]:
    """(number, cells by column) of every line below the names of the columns."""
    if not fpath.is_file():
        return []
    with reading(fpath, advice="expected a table of figures"):
        text = io.StringIO(content_of(fpath, most=limits.TABLE_BYTES).decode(), newline="")
        rows = csv.DictReader(text)
        return [(rows.line_num, row) for row in rows]


def _columns(fpath: Path) -> list[str]:
    if not fpath.is_file():
        return []
    with reading(fpath, advice="expected a table of figures"), fpath.open(newline="") as file:
        return next(csv.reader(file), [])


def _number(text: str) -> float:
    return int(text) if _is_step(text) else float(text)


def _is_step(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _shown(value: Any) -> str:
    """Exact: reading it back gives the same number."""
    return str(int(value)) if isinstance(value, int | bool) else repr(value) if isinstance(value, float) else str(value)
