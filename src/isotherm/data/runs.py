"""A run: one folder that holds what was made, from what, and what failed, readable at any moment.

``run.json`` says how the run was started and, at its end, how it went; it is written whole or not at all.
``items.jsonl`` gains one line per item as soon as that item is done, so a run that is killed keeps its work.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import shlex
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from isotherm.atomic import atomic_write
from isotherm.data.names import Stems, shortened
from isotherm.errors import InputError, IsothermError, OptionError
from isotherm.frame import Frame
from isotherm.version import __version__

FORMAT = "isotherm.run/1"
RUN_FILE, ITEMS_FILE = "run.json", "items.jsonl"
_PACKAGES = (
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


@dataclass(frozen=True)
class Summary:
    """How a run went.

    Args:
        dpath: its folder.
        done: items that came through.
        failed: (name, reason) of each that did not.
        seconds: wall time.
    """

    dpath: Path
    done: int
    failed: tuple[tuple[str, str], ...]
    seconds: float

    def __str__(self) -> str:
        lines = [f"{self.done} done, {len(self.failed)} failed in {self.seconds:.1f} s; results in {self.dpath}"]
        return "\n".join(lines + [f"  failed: {name}: {reason}" for name, reason in self.failed])


MOST_PART_BYTES = 80
"""Of a part in a file's name; with the stem and the suffix that stays below what file systems take."""


class Run:
    """A run's folder while it is being filled.

    Use as a context manager: the end is recorded also when an error or Ctrl-C ends it.

    Args:
        job: what is done, the first half of the folder's name: ``runs/explain-001``.
        root: where numbered folders go.
        out: a folder of the user's choice instead of a numbered one.
        overwrite: allow ``out`` to hold something already: files of the same name are replaced, others stay.
        command: the command line as a list of words; of this process by default.
        **facts: what else the record shall hold: model, method, target, layers, anything that JSON can hold, and
            paths, tensors, arrays, frames.

    Raises:
        OptionError: ``out`` is not a folder, or holds something and ``overwrite`` is off.
        InputError: the folder cannot be made.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> with Run("explain", root=root, model="resnet50") as run:
        ...     _ = run.fpath("a/cat.jpg", ".txt").write_text("warm")
        ...     run.done("a/cat.jpg", score=0.5)
        >>> [r["name"] for r in read_items(run.dpath)], read_run(run.dpath)["status"], run.summary().done
        (['a/cat.jpg'], 'finished', 1)
    """

    def __init__(
        self,
        job: str,
        *,
        root: str | os.PathLike[str] = "runs",
        out: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        command: Iterable[str] | None = None,
        **facts: Any,
    ) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", job):
            raise OptionError(f"a run's job is {job!r}; expected lower-case letters, digits and hyphens")
        words = list(sys.argv if command is None else command)
        self._record: dict[str, Any] = {
            "format": FORMAT,
            "job": job,
            "status": "running",
            "command": shlex.join(words),
            "directory": str(Path.cwd()),
            "started": _now(),
            "versions": versions(),
            **to_json(facts),
        }
        self.dpath = numbered(Path(root), job) if out is None else _chosen(Path(out), overwrite)
        self._stems, self._claimed = Stems(), dict[str, str]()
        self._done, self._failed, self._start = 0, list[tuple[str, str]](), time.monotonic()
        self._save()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0)
        self._items = os.open(self.dpath / ITEMS_FILE, flags, 0o644)
        self._open = True

    def note(self, **facts: Any) -> None:
        """Add facts to ``run.json`` that became known later, such as the layers that were chosen."""
        self._record.update(to_json(facts))
        self._save()

    def fpath(self, name: str, suffix: str, *, part: str = "") -> Path:
        """Where an item's output goes: its own stem, a part, a suffix, never that of another item.

        Args:
            name: the item's name; the same name gives the same stem for the whole run.
            suffix: with its dot, ``".png"``.
            part: which of several outputs of one item, ``"box2"``; a long one, such as a whole answer, is shortened.
        """
        if name not in self._claimed:
            self._claimed[name] = self._stems.claim(name)
        middle = shortened(re.sub(r"[^\w-]+", "_", part), MOST_PART_BYTES)
        return self.dpath / f"{self._claimed[name]}{'.' + middle if middle else ''}{suffix}"

    def done(self, name: str, **facts: Any) -> None:
        """Record that an item came through, with whatever belongs to it; on disk when this returns."""
        self._append({"name": name, "status": "done", **facts})
        self._done += 1

    def failed(self, name: str, reason: str | BaseException, **facts: Any) -> None:
        """Record that an item did not, and why."""
        words = str(reason) if isinstance(reason, (str, IsothermError)) else f"{type(reason).__name__}: {reason}"
        self._append({"name": name, "status": "failed", "reason": words, **facts})
        self._failed.append((name, words))

    def summary(self) -> Summary:
        """How it went so far."""
        return Summary(self.dpath, self._done, tuple(self._failed), time.monotonic() - self._start)

    def finish(self, status: str = "finished") -> Summary:
        """Write the end into ``run.json``; a second call changes nothing."""
        summary = self.summary()
        if self._open:
            self._open = False
            os.fsync(self._items)
            os.close(self._items)
            failed = [{"name": name, "reason": reason} for name, reason in self._failed]
            self._record |= {"status": status, "ended": _now(), "seconds": round(summary.seconds, 3)}
            self._record["summary"] = {"done": self._done, "failed": failed}
            self._save()
        return summary

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if kind is None:
            self.finish()
        elif issubclass(kind, (KeyboardInterrupt, SystemExit)):
            self.finish("interrupted")
        else:
            self.finish(f"stopped: {kind.__name__}: {error}")

    def _append(self, facts: Mapping[str, Any]) -> None:
        if not self._open:
            raise OptionError(f"the run {self.dpath} has ended; start another to record more")
        line = json.dumps({**to_json(facts), "time": _now()}, ensure_ascii=False, allow_nan=False) + "\n"
        data = line.encode(errors="backslashreplace")  # a file name that is not UTF-8 becomes a JSON escape
        while data:  # one call writes a whole line; the loop is for a disk that takes part of it
            data = data[os.write(self._items, data) :]

    def _save(self) -> None:
        with atomic_write(self.dpath / RUN_FILE) as file:
            file.write(
                json.dumps(self._record, indent=2, ensure_ascii=False, allow_nan=False).encode(
                    errors="backslashreplace"
                )
                + b"\n"
            )


def read_run(dpath: str | os.PathLike[str]) -> dict[str, Any]:
    """The record of a run; ``status`` is ``"running"`` where it was killed.

    Raises:
        InputError: the folder holds no run of this program.
    """
    fpath = Path(dpath) / RUN_FILE
    try:
        record = json.loads(fpath.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{dpath} holds no {RUN_FILE}; expected the folder of a run") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{fpath} cannot be read ({type(error).__name__}: {error})") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(f"{fpath} is not the record of a run; expected the format {FORMAT!r}")
    return record


def read_items(dpath: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The items of a run, also of one that was killed: a last line without an end is left out.

    Raises:
        InputError: the file is missing, or a whole line of it is not JSON.
    """
    fpath = Path(dpath) / ITEMS_FILE
    try:
        *lines, _ = fpath.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"{fpath} cannot be read ({error.strerror or error}); expected the folder of a run") from error
    items = []
    for number, line in enumerate(lines, 1):
        try:
            items.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{fpath}, line {number}: not JSON ({error}); the file was changed by something else"
            ) from error
    return items


def versions() -> dict[str, str]:
    """Versions of isotherm, Python and of the packages that shape a result, as far as installed."""
    found = {"isotherm": __version__, "python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            # a module that is loaded knows its build as well (torch: +cu132), its package does not
            found[package] = str(getattr(sys.modules.get(package), "__version__", "")) or metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


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
    if isinstance(value, Frame):
        return frame_to_json(value)
    if hasattr(value, "tolist"):  # tensors, arrays and their scalars
        return to_json(value.detach().cpu().tolist() if hasattr(value, "detach") else value.tolist())
    raise TypeError(f"a record cannot hold a {type(value).__name__}; pass text, numbers, lists or a frame")


def numbered(root: Path, job: str) -> Path:
    """A new folder ``root/job-001`` and so on, made so that no two processes get the same.

    Raises:
        InputError: it cannot be made.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        pattern = re.compile(rf"{re.escape(job)}-([0-9]+)")
        number = 1 + max((int(m[1]) for e in root.iterdir() if (m := pattern.fullmatch(e.name))), default=0)
        while True:
            dpath = root / f"{job}-{number:03d}"
            try:
                dpath.mkdir()  # fails where another process was faster: no two runs share a folder
                return dpath
            except FileExistsError:
                number += 1
    except OSError as error:
        raise InputError(
            f"no run folder can be made in {root} ({error.strerror or error}); give another with --out"
        ) from error


def _chosen(out: Path, overwrite: bool) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
        holds = sorted(entry.name for entry in out.iterdir())
    except FileExistsError:
        raise OptionError(f"--out {out} is a file; expected a folder") from None
    except OSError as error:
        raise OptionError(f"--out {out} cannot be used ({error.strerror or error})") from error
    if holds and not overwrite:
        what = (
            "an earlier run"
            if RUN_FILE in holds
            else "other files (" + ", ".join(holds[:3]) + (", ...)" if len(holds) > 3 else ")")
        )
        raise OptionError(f"--out {out} holds {what}; give an empty folder, or --overwrite to write among them")
    return out


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
