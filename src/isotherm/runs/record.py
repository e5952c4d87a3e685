"""A run: one folder that holds what was made, from what, and what failed, readable at any moment.

``run.json`` says how the run was started and, at its end, how it went; it is written whole or not at all.
``items.jsonl`` gains one line per item as soon as that item is done, so a run that is killed keeps its work.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from isotherm.atomic import sweep
from isotherm.errors import InputError, IsothermError, OptionError
from isotherm.ops.visible import readable_json
from isotherm.runs.file import RUN_FILE, RunFile, ending, now, to_json

ITEMS_FILE = "items.jsonl"
RESERVED = frozenset(
    ["run", "items", "index", "report", "con", "prn", "aux", "nul"]
    + [f"{d}{i}" for d in ("com", "lpt") for i in range(10)]
)
"""Stems that the run itself uses, and those that Windows keeps for devices."""
ENDED_EARLY = ("interrupted", "cancelled")
"""How a run ends that somebody ended, and not its items."""
SWEPT = 10
"""Earlier runs whose folders are swept when another is made beside them."""
MOST_STEM_BYTES = 120
"""Of a stem, without its number."""
MOST_PART_BYTES = 80
"""Of a part in a file's name; with the stem and the suffix that stays below what file systems take."""


@dataclass(frozen=True)
class Summary:
    """How a run went.

    Args:
        dpath: its folder.
        done: items that came through.
        failed: (name, reason) of each that did not.
        seconds: wall time.
        status: running, finished, interrupted, cancelled, or stopped and why.
        total: how many items there were to be, None where nobody knew.
    """

    dpath: Path
    done: int
    failed: tuple[tuple[str, str], ...]
    seconds: float
    status: str = "running"
    total: int | None = None

    @property
    def reached(self) -> str:
        """How far the run came: "2 of 5", or "2" where nobody knew how many there would be."""
        tried = self.done + len(self.failed)
        return f"{tried}" if self.total is None else f"{tried} of {self.total}"

    def __str__(self) -> str:
        early = f"{self.status} after {self.reached}: " if self.status in ENDED_EARLY else ""
        lines = [f"{early}{self.done} done, {len(self.failed)} failed in {self.seconds:.1f} s; results in {self.dpath}"]
        return "\n".join(lines + [f"  failed: {failure_line(name, reason)}" for name, reason in self.failed])


def failure_line(name: str, reason: object) -> str:
    """Which item failed and why, with its name once: many a reason begins with it.

    Example:
        >>> failure_line("a.jpg", "a.jpg is empty (0 bytes)"), failure_line("a.jpg", "there is no class 7")
        ('a.jpg is empty (0 bytes)', 'a.jpg: there is no class 7')
    """
    words = str(reason)
    begins = words.startswith((f"{name} ", f"{name}: ")) or words.partition(" ")[0].endswith(f"/{name}")
    return words if begins else f"{name}: {words}"


class Run:
    """A run's folder while it is being filled.

    Use as a context manager: the end is recorded also when an error or Ctrl-C ends it.

    Args:
        job: what is done, the first half of the folder's name: ``runs/explain-001``.
        root: where numbered folders go.
        out: a folder of the user's choice instead of a numbered one.
        overwrite: allow ``out`` to hold something already: files of the same name are replaced, others stay.
        command: the command line as a list of words; of this process by default.
        total: how many items there will be, where that is known.
        **facts: what else the record shall hold: model, method, target, layers, anything that JSON can hold, and
            paths, tensors, arrays, frames.

    Raises:
        OptionError: ``out`` is not a folder, or holds something and ``overwrite`` is off.
        InputError: the folder cannot be made.

    Example:
        >>> import tempfile
        >>> from isotherm.runs.read import read_items, read_run
        >>> root = Path(tempfile.mkdtemp())
        >>> with Run("explain", root=root, model="resnet50") as run:
        ...     _ = run.fpath("a/cat.jpg", ".txt").write_text("warm")
        ...     _ = run.done("a/cat.jpg", score=0.5)
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
        total: int | None = None,
        **facts: Any,
    ) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", job):
            raise OptionError(f"a run's job is {job!r}; expected lower-case letters, digits and hyphens")
        self._is_new = out is None or not Path(out).exists()
        self.dpath = numbered(Path(root), job) if out is None else chosen(Path(out), overwrite)
        if out is not None:
            (self.dpath / RUN_FILE).unlink(missing_ok=True)  # a run is made anew here, not gone on with
        self._file = RunFile(self.dpath, job, command=list(sys.argv if command is None else command), **facts)
        self._stems, self._claimed = Stems(), dict[str, str]()
        self._done, self._failed, self._total = 0, list[tuple[str, str]](), total
        self._unrecorded = dict[str, list[Path]]()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0)
        self._items = os.open(self.dpath / ITEMS_FILE, flags, 0o644)
        self._open, self._ended = True, False

    def note(self, **facts: Any) -> None:
        """Add facts to ``run.json`` that became known later, such as the layers that were chosen."""
        self._file.note(**facts)

    def fpath(self, name: str, suffix: str, *, part: str = "", of_item: bool = True) -> Path:
        """Where an item's output goes: its own stem, a part, a suffix, never that of another item.

        What is written there and never recorded by :meth:`done`, because the run was ended in between, is taken away
        again when the run ends.

        Args:
            name: the item's name; the same name gives the same stem for the whole run.
            suffix: with its dot, ``".png"``.
            part: which of several outputs of one item, ``"box2"``; a long one, such as a whole answer, is shortened.
            of_item: False for what belongs to several items, such as a film, and stays in any case.
        """
        if name not in self._claimed:
            self._claimed[name] = self._stems.claim(name)
        middle = shortened(re.sub(r"[^\w-]+", "_", part), MOST_PART_BYTES)
        fpath = self.dpath / f"{self._claimed[name]}{'.' + middle if middle else ''}{suffix}"
        if of_item and not fpath.exists():  # a file of an earlier run, which may be overwritten, is nobody's half
            self._unrecorded.setdefault(name, []).append(fpath)
        return fpath

    def done(self, name: str, **facts: Any) -> dict[str, Any]:
        """Record that an item came through, with whatever belongs to it; on disk when this returns, which it does with
        the record.
        """
        line = self._append({"name": name, "status": "done", **facts})
        self._unrecorded.pop(name, None)
        self._done += 1
        return line

    def failed(self, name: str, reason: str | BaseException, **facts: Any) -> dict[str, Any]:
        """Record that an item did not, and why; returns the record."""
        words = str(reason) if isinstance(reason, (str, IsothermError)) else f"{type(reason).__name__}: {reason}"
        line = self._append({"name": name, "status": "failed", "reason": words, **facts})
        self._failed.append((name, words))
        return line

    def summary(self) -> Summary:
        """How it went so far."""
        status = self._file.record["status"]
        return Summary(self.dpath, self._done, tuple(self._failed), self._file.seconds, status, self._total)

    def finish(self, status: str = "finished") -> Summary:
        """Write the end into ``run.json``; a second call changes nothing, unless the first was itself interrupted."""
        full = self._close_items()
        if full is not None and status == "finished":
            status = ending(type(full), full)
        if not self._ended:
            for fpath in (one for several in self._unrecorded.values() for one in several):
                if status != "finished" and fpath.is_file():
                    fpath.unlink()
            failed = [{"name": name, "reason": reason} for name, reason in self._failed]
            total = {} if self._total is None else {"total": self._total}
            self._file.end(status, summary={"done": self._done, "failed": failed, **total})
            self._ended = True  # last: another Ctrl+C may come before, and the record would say "running" for ever
        if full is not None:
            raise full
        return self.summary()

    def _close_items(self) -> OSError | None:
        """Let the items reach the disk; what the disk says where it does not take them."""
        if not self._open:
            return None
        self._open = False
        try:
            os.fsync(self._items)
        except OSError as error:
            error.filename = str(self.dpath / ITEMS_FILE)
            return error
        finally:
            os.close(self._items)
        return None

    def withdraw(self) -> None:
        """Take the folder away again, for a run that a mistake ended before anything came of it.

        One that was there before, in which an item is done or failed, or that holds other files than a run's own,
        stays.
        """
        self.finish()
        own = {RUN_FILE, ITEMS_FILE, "report.html"}
        if self._done or self._failed or not self._is_new or not {entry.name for entry in self.dpath.iterdir()} <= own:
            return
        for entry in list(self.dpath.iterdir()):
            entry.unlink()
        self.dpath.rmdir()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self.finish(ending(kind, error))

    def _append(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        if not self._open:
            raise OptionError(f"the run {self.dpath} has ended; start another to record more")
        line = {**to_json(facts), "time": now()}
        data = readable_json(line) + b"\n"
        while data:  # one call writes a whole line; the loop is for a disk that takes part of it
            data = data[os.write(self._items, data) :]
        return line


def numbered(root: Path, job: str) -> Path:
    """A new folder ``root/job-001`` and so on, made so that no two processes get the same.

    Raises:
        InputError: it cannot be made.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        pattern = re.compile(rf"{re.escape(job)}-([0-9]+)")
        before = sorted(int(m[1]) for e in root.iterdir() if (m := pattern.fullmatch(e.name)))
        for earlier in before[-SWEPT:]:  # a run that was killed left what nobody else would take away
            sweep(root / f"{job}-{earlier:03d}")
        number = 1 + max(before, default=0)
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


def chosen(out: Path, overwrite: bool) -> Path:
    """The folder of the user's choice, made where it is missing.

    Raises:
        OptionError: it is no folder, or holds something and ``overwrite`` is off.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise OptionError(f"--out {out} is a file; expected a folder") from None
    except OSError as error:
        raise OptionError(f"--out {out} cannot be used ({error.strerror or error})") from error
    check_free(out, overwrite)
    return out


def check_free(out: Path, overwrite: bool) -> None:
    """Raise OptionError where a folder, if it is there, is none or holds something and ``overwrite`` is off."""
    if not out.exists():
        return
    try:
        holds = sorted(entry.name for entry in out.iterdir())
    except NotADirectoryError:
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


class Stems:
    """File stems for outputs, one for each item, never the same twice.

    ``a/cat.jpg`` and then ``b/cat.png`` become ``cat`` and ``cat-2``: the first come keeps the plain stem, later
    ones are numbered in the order in which they come. Upper and lower case count as one, because some file
    systems think so. A stem holds no dot, so that ``stem.part.png`` says where it ends.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set(RESERVED)

    def claim(self, name: str) -> str:
        """A stem for an item of this name that no other item has.

        Example:
            >>> stems = Stems()
            >>> [stems.claim(n) for n in ("a/cat.jpg", "b/Cat.png", "clip.mp4#000030", "https://x.org/a%20b.png?q=1")]
            ['cat', 'Cat-2', 'clip_mp4_000030', 'a_20b']
        """
        plain = _stem(name)
        stem, number = plain, 1
        while stem.casefold() in self._taken:
            number += 1
            stem = f"{plain}-{number}"
        self._taken.add(stem.casefold())
        return stem


def _stem(name: str) -> str:
    if "://" in name:
        name = name.partition("://")[2].partition("?")[0].partition("#")[0]
    last = PurePath(name.replace("\\", "/").rstrip("/")).name
    last = last if "#" in last else PurePath(last).stem  # a frame's name ends in its number, not in a suffix
    safe = re.sub(r"[^\w-]+", "_", unicodedata.normalize("NFC", last)).strip("_-") or "picture"
    return shortened(safe, MOST_STEM_BYTES)


def shortened(text: str, most_bytes: int) -> str:
    """Text of at most so many bytes; what is longer ends in a few digits of its hash, so that two texts stay two.

    File systems stop at 255 bytes a name.

    Example:
        >>> shortened("cat", 20), shortened("3 " * 50, 20)
        ('cat', '3 3 3 3 3 3-bf454916')
    """
    if len(text.encode()) <= most_bytes:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{text.encode()[: most_bytes - 9].decode(errors='ignore')}-{digest}"
