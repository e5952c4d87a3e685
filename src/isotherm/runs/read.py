"""Runs read back from their folders: one, its items, and all that lie below a folder."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, overload

from isotherm import limits
from isotherm.errors import InputError
from isotherm.runs.file import FORMAT, RUN_FILE
from isotherm.runs.record import ITEMS_FILE
from isotherm.untrusted.plain import content_of, json_of, read_json


@dataclass(frozen=True, kw_only=True)
class RunEntry:
    """A run in a list of runs: what its ``run.json`` says, in short.

    Args:
        dpath: its folder.
        job: what was done, such as ``explain``.
        command: the command line that asks for the same.
        started: the first start.
        status: ``running`` (also of a run that was killed), ``finished``, ``interrupted``, ``cancelled``, or ``stopped:
            `` and why.
        done, failed: how many items came through and how many did not; None where the run has none, or has not ended.
        seconds: wall time of all starts together; None where it has not ended.
    """

    dpath: Path
    job: str
    command: str
    started: datetime
    status: str
    done: int | None = None
    failed: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class RunList(Sequence[RunEntry]):
    """Runs, the newest first, and what was passed over.

    Args:
        entries: the runs.
        skipped: (folder, reason) of each folder that holds no run, or one that cannot be read.
    """

    entries: tuple[RunEntry, ...]
    skipped: tuple[tuple[Path, str], ...]

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> RunEntry: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[RunEntry, ...]: ...

    def __getitem__(self, index: int | slice) -> RunEntry | tuple[RunEntry, ...]:
        return self.entries[index]


def read_run(dpath: str | os.PathLike[str]) -> dict[str, Any]:
    """The record of a run; ``status`` is ``"running"`` where it was killed.

    Raises:
        InputError: the folder holds no run of this program.
    """
    fpath = _folder(dpath) / RUN_FILE
    try:
        record = read_json(fpath, advice="expected the record of a run")
    except FileNotFoundError:
        raise InputError(f"{dpath} holds no {RUN_FILE}; expected the folder of a run") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(f"{fpath} is not the record of a run; expected the format {FORMAT!r}")
    return record


def list_runs(dpath: str | os.PathLike[str] = "runs") -> RunList:
    """The runs in a folder and in the folders below it, a sweep's trials included, the newest first.

    Of each run only ``run.json`` is read. Hidden folders are not looked into, and none is looked into twice, whatever
    links lead to it.

    Args:
        dpath: where to look; it may be the folder of a run itself.

    Returns:
        The runs; and in ``skipped`` what is damaged or cannot be read, and which folders directly below ``dpath`` hold
        no run.

    Raises:
        InputError: ``dpath`` is no folder, or cannot be looked into.

    Example:
        >>> from isotherm.runs.record import Run
        >>> with Run("explain", root=tmp_path, command=["isotherm", "explain", "cat.jpg"]) as run:
        ...     _ = run.done("cat.jpg")
        >>> runs = list_runs(tmp_path)
        >>> runs[0].command, runs[0].status, runs[0].done, runs[0].failed
        ('isotherm explain cat.jpg', 'finished', 1, 0)
    """
    top = _folder(dpath)
    if not top.is_dir():
        raise InputError(f"there is no folder {top}; expected one with runs in it, such as runs")
    walk = _Walk(top)
    empty = [child for child in walk.children if child not in walk.fruitful]
    skipped = (*walk.skipped, *((child, f"it holds no {RUN_FILE}, nor does a folder in it") for child in empty))
    return RunList(tuple(sorted(walk.entries, key=lambda entry: entry.started, reverse=True)), skipped)


def read_items(dpath: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The items of a run, also of one that was killed: a last line without an end is left out.

    Raises:
        InputError: the file is missing, or a whole line of it is not JSON.
    """
    fpath = _folder(dpath) / ITEMS_FILE
    try:
        *lines, _ = content_of(fpath, most=limits.TABLE_BYTES).split(b"\n")
    except FileNotFoundError as error:
        raise InputError(f"{fpath} cannot be read ({error.strerror or error}); expected the folder of a run") from error
    items = []
    for number, line in enumerate(lines, 1):
        items.append(json_of(line, f"{fpath}, line {number}", advice="the file was changed by something else"))
    return items


def _folder(dpath: object) -> Path:
    """The path of a folder, also where its record is named; raises InputError for what is no path."""
    if not isinstance(dpath, str | os.PathLike):
        raise InputError(f"the folder is {dpath!r:.80}; expected a path, such as 'runs/explain-001'")
    path = Path(dpath)
    return path.parent if path.name in (RUN_FILE, ITEMS_FILE) and path.is_file() else path


class _Walk:
    """A walk through a folder and all below it, with what was met on it.

    Links come last, so that a run stands under its own name.

    Attributes:
        entries, skipped: as of a :class:`RunList`. children: the folders directly below. fruitful: those with a run in
            them, damaged or not.

    Raises:
        InputError: the folder itself cannot be looked into.
    """

    def __init__(self, top: Path) -> None:
        self.entries: list[RunEntry] = []
        self.skipped: list[tuple[Path, str]] = []
        self.fruitful: set[Path] = set()
        self._seen: set[tuple[int, int]] = set()
        self._links: deque[tuple[Path, Path]] = deque()
        """(child, link): a link to a folder, and the child of the top below which it lies."""
        self._is_new(top)
        self._look(top, top)
        self.children = self._folders(top, None)
        for child in self.children:
            self._descend(child, child)
        while self._links:
            child, link = self._links.popleft()
            if self._is_new(link):
                self._descend(link, child)
                if link == child:
                    self.children.append(child)

    def _descend(self, dpath: Path, child: Path) -> None:
        queue = deque([dpath])
        while queue:
            folder = queue.popleft()
            self._look(folder, child)
            try:
                queue.extend(self._folders(folder, child))
            except InputError as error:
                self._skip(folder, str(error), child)

    def _look(self, dpath: Path, child: Path) -> None:
        if not os.path.lexists(dpath / RUN_FILE):
            return
        try:
            self.entries.append(_entry(dpath, read_run(dpath)))
            self.fruitful.add(child)
        except InputError as error:
            self._skip(dpath, str(error), child)

    def _skip(self, dpath: Path, reason: str, child: Path) -> None:
        self.skipped.append((dpath, reason))
        self.fruitful.add(child)

    def _folders(self, dpath: Path, child: Path | None) -> list[Path]:
        """The new folders in a folder, by name; links to folders are put aside."""
        folders: list[Path] = []
        try:
            with os.scandir(dpath) as listing:
                below = sorted((e.name, e.is_symlink()) for e in listing if e.name[0] != "." and e.is_dir())
        except OSError as error:
            raise InputError(f"{dpath} cannot be looked into ({error.strerror or error})") from error
        for name, is_link in below:
            path = dpath / name
            if is_link:
                self._links.append((child or path, path))
            elif self._is_new(path):
                folders.append(path)
        return folders

    def _is_new(self, dpath: Path) -> bool:
        """Whether a folder was not seen yet; from now on it was."""
        try:
            status = dpath.stat()
        except OSError:  # gone meanwhile
            return False
        identity = (status.st_dev, status.st_ino)
        is_new = identity not in self._seen
        self._seen.add(identity)
        return is_new


def _entry(dpath: Path, record: dict[str, Any]) -> RunEntry:
    summary = record.get("summary")
    try:
        started = datetime.fromisoformat(record["started"])
        return RunEntry(
            dpath=dpath,
            job=str(record["job"]),
            command=str(record["command"]),
            started=started if started.tzinfo is not None else started.replace(tzinfo=UTC),
            status=str(record["status"]),
            done=None if summary is None else int(summary["done"]),
            failed=None if summary is None else len(summary["failed"]),
            seconds=None if record.get("seconds") is None else float(record["seconds"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{dpath / RUN_FILE} is damaged ({type(error).__name__}: {error})") from error
