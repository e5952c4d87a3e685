"""``run.json``: how a run was started, with what, and how it went; one schema for everything that is run.

| key | what it holds |
|---|---|
| format | ``isotherm.run/1`` |
| job | what is done: ``explain``, ``count``, ``predict``, ``eval``, ``train``, ``sweep``, ``demo`` |
| status | ``running`` (also of a run that was killed), ``finished``, ``interrupted``, ``cancelled``, or ``stopped: `` and why |
| command, directory | the command line that asks for the same, and where it was given |
| started, ended, seconds | the first start, the last end, and the wall time of all starts together |
| versions | of what it was last started with |
| starts | every start: when, by which command, with which versions, how it went; more than one where a run was gone on with |
| summary | how many items are done, and which failed and why; where a run has items |

Everything else is the job's own: options, model, method, data.
"""

from __future__ import annotations

import math
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isotherm.atomic import atomic_write
from isotherm.errors import InputError, JobCancelled, OptionError
from isotherm.ops.shell import shell_line
from isotherm.ops.visible import readable_json
from isotherm.untrusted.plain import read_json
from isotherm.version import __version__

if TYPE_CHECKING:
    from isotherm.frame import Frame

FORMAT = "isotherm.run/1"
RUN_FILE = "run.json"
PACKAGES = (
    "torch",
    "numpy",
    "pillow",
    "torchvision",
    "timm",
    "transformers",
    "ultralytics-opencv-headless",
    "ultralytics",
    "av",
)
"""Packages whose versions shape a result."""


class RunFile:
    """The ``run.json`` of a folder while its run is at work; on disk, whole, behind every call.

    Args:
        dpath: the run's folder, which exists. A record of the same job in it is gone on with: this is another start.
        job: what is done.
        command: the command line, as its words or as one line.
        write: False in processes that only help another one, which writes.
        start: facts of this start alone, such as threads and device.
        **facts: of the run: anything that JSON can hold, and paths, tensors, arrays, frames.

    Raises:
        OptionError: another run took the folder since it was looked into.
        InputError: the record that is there is damaged.
    """

    def __init__(
        self,
        dpath: Path,
        job: str,
        *,
        command: Sequence[str] | str,
        write: bool = True,
        start: dict[str, Any] | None = None,
        **facts: Any,
    ) -> None:
        self._fpath, self._write, self._began = dpath / RUN_FILE, write, time.monotonic()
        line = command if isinstance(command, str) else shell_line(command)
        moment, made_with = now(), versions()
        is_free = not os.path.lexists(self._fpath)
        before = _before(self._fpath, job)
        self._before_s = float(before.get("seconds", 0.0))
        self.record: dict[str, Any] = {
            "format": FORMAT,
            "job": job,
            "status": "running",
            "command": line,
            "directory": str(Path.cwd()),
            "started": before.get("started", moment),
            "versions": made_with,
            "starts": [
                *before.get("starts", []),
                {
                    "started": moment,
                    "command": line,
                    "versions": made_with,
                    "status": "running",
                    **to_json(start or {}),
                },
            ],
            **to_json(facts),
        }
        try:
            self._save(replace=not is_free)
        except FileExistsError:
            raise OptionError(
                f"another run has just begun in {dpath}; give another folder with --out, or wait for its end"
            ) from None

    def note(self, **facts: Any) -> None:
        """Add facts that became known later, such as the layers that were chosen."""
        self.record.update(to_json(facts))
        self._save()

    def end(self, status: str, **facts: Any) -> None:
        """Write how this start ended."""
        moment, seconds = now(), time.monotonic() - self._began
        self.record["starts"][-1] |= {"status": status, "ended": moment, "seconds": round(seconds, 3)}
        self.record |= {"status": status, "ended": moment, "seconds": round(self._before_s + seconds, 3)}
        self.note(**facts)

    @property
    def seconds(self) -> float:
        """Wall time of this start so far."""
        return time.monotonic() - self._began

    def _save(self, *, replace: bool = True) -> None:
        if self._write:
            content = readable_json(self.record, indent=2)
            with atomic_write(self._fpath, replace=replace) as file:
                file.write(content + b"\n")


def ending(kind: type[BaseException] | None, error: BaseException | None) -> str:
    """The status of a run that a ``with`` block left so."""
    if kind is None:
        return "finished"
    if issubclass(kind, JobCancelled):
        return "cancelled"
    return "interrupted" if issubclass(kind, (KeyboardInterrupt, SystemExit)) else f"stopped: {kind.__name__}: {error}"


def now() -> str:
    """The time of day, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _before(fpath: Path, job: str) -> dict[str, Any]:
    """What the folder's record says so far; nothing where there is none, or one of another job, whose folder is used
    again.

    Raises:
        InputError: the file is damaged, so that nobody knows what the folder holds.
    """
    try:
        record = read_json(fpath, advice="move it away, or give another folder")
    except FileNotFoundError:
        return {}
    if not (isinstance(record, dict) and record.get("format") == FORMAT and record.get("job") == job):
        return {}
    seconds, starts = record.get("seconds", 0.0), record.get("starts", [])
    if not isinstance(starts, list) or type(seconds) not in (int, float) or not abs(seconds) < 1e15:
        raise InputError(f"{fpath} is damaged: its starts or seconds are none; move it away, or give another folder")
    return record


def frame_to_json(frame: Frame) -> dict[str, Any]:
    """A frame's matrix (cells to source pixels) and both sizes (h, w), as lists."""
    return {"to_source": frame.to_source.tolist(), "size": list(frame.size), "source_size": frame.source_size.tolist()}


def to_json(value: Any) -> Any:
    """A value as JSON can hold it: paths as text, tensors and arrays as lists, numbers that JSON lacks as words.

    Raises:
        TypeError: a value without such a form, named by its type.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): to_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(inner) for inner in value]
    if isinstance(value, (set, frozenset)):
        return sorted(to_json(inner) for inner in value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if (frames := sys.modules.get("isotherm.frame")) is not None and isinstance(value, frames.Frame):
        return frame_to_json(value)  # there is none before its module, which needs torch and reading a record does not
    if hasattr(value, "tolist"):  # tensors, arrays and their scalars
        return to_json(value.detach().cpu().tolist() if hasattr(value, "detach") else value.tolist())
    raise TypeError(f"a record cannot hold a {type(value).__name__}; pass text, numbers, lists or a frame")


def versions(*, builds: bool = True) -> dict[str, str]:
    """Versions of isotherm, Python and of the packages that shape a result, as far as installed.

    Args:
        builds: tell the builds of modules that are loaded as well; without them, every process tells the same.
    """
    made_with = {"isotherm": __version__, "python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        # a module that is loaded knows its build as well (torch: +cu132), its package does not
        build = getattr(sys.modules.get(package), "__version__", "") if builds else ""
        if version := str(build) or _installed(package):
            made_with[package] = version
    return made_with


@cache
def _installed(package: str) -> str:
    """The version of a package, read from the disk once for all runs of a process; empty where there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
