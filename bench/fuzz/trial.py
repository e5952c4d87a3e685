"""One input read by one reader, under limits of processor time and memory, and what came of it."""

from __future__ import annotations

import resource
import shutil
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

from bench.fuzz.reader import Reader
from isotherm.errors import IsothermError

MOST_S = 2.0
"""Processor time of one input."""
MOST_BYTES = 1 << 30
"""By how much one input may let the process grow."""
ROOM_BYTES = MOST_BYTES + (256 << 20)
"""What may be asked for before the system refuses it."""
REFUSED_MEMORY = ("can't allocate memory", "cannot allocate memory", "Unable to allocate")
Result = Literal["read", "refused", "error", "unnamed", "slow", "large"]
"""read and refused are what is expected; refused: by an error of isotherm's tree."""
FAULTS = ("error", "unnamed", "slow", "large")


class TooSlow(BaseException):
    """The processor time of an input is spent; no Exception, so that no reader takes it for the file's fault."""


@dataclass(frozen=True)
class Outcome:
    """What came of one input.

    Args:
        result: in a word.
        site: where it was decided: the kind of error, and file, function and line within isotherm.
        message: of the error.
        seconds: of processor time.
        n_bytes: by how much the process's largest size grew.
    """

    result: Result
    site: str
    message: str
    seconds: float
    n_bytes: int


@contextmanager
def limited() -> Iterator[None]:
    """While the block runs, the process may ask for so much more memory, and processor time is watched."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    handler = signal.signal(signal.SIGPROF, _stop)
    resource.setrlimit(resource.RLIMIT_DATA, (_data_bytes() + ROOM_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
        signal.signal(signal.SIGPROF, handler)


def tried(reader: Reader, folder: Path, data: bytes) -> Outcome:
    """Read one input; within :func:`limited`.

    Args:
        reader: that reads it.
        folder: of the reader alone, as :func:`ready` left it.
        data: the input.
    """
    source: Path | str
    if reader.fname:
        if reader.fresh:
            ready(reader, folder)
        source = folder / reader.fname
        source.write_bytes(data)
    else:
        source = data.decode("utf-8", "surrogateescape")
    grown, began = _largest(), time.process_time()
    result: Result = "read"
    site = message = ""
    try:
        signal.setitimer(signal.ITIMER_PROF, MOST_S)
        try:
            reader.call(source)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except IsothermError as error:
        site, message = site_of(error), str(error)
        result = "refused"
        if reader.fname and reader.names_file and reader.fname not in message:
            result = "unnamed"
        if any(words in message for words in REFUSED_MEMORY):
            result = "large"
    except TooSlow as error:
        result, site = "slow", site_of(error)
    except MemoryError as error:
        result, site = "large", site_of(error)
    except Exception as error:
        result, site, message = "error", site_of(error), str(error)
    seconds, n_bytes = time.process_time() - began, _largest() - grown
    if result in ("read", "refused"):
        result = "slow" if seconds > MOST_S else "large" if n_bytes > MOST_BYTES else result
    return Outcome(result, site, message, seconds, n_bytes)


def ready(reader: Reader, folder: Path) -> None:
    """An empty folder with what has to lie beside an input of a reader."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if reader.prepare is not None:
        reader.prepare(folder)


def site_of(error: BaseException) -> str:
    """The kind of an error, and the last place within isotherm on its way."""
    places = [
        f"{Path(frame.filename).as_posix().rpartition('/isotherm/')[2]}:{frame.name}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "/isotherm/" in Path(frame.filename).as_posix()
    ]
    return f"{type(error).__name__} at {places[-1] if places else 'the reader itself'}"


def _stop(number: int, frame: FrameType | None) -> None:
    raise TooSlow


def _largest() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _data_bytes() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
    return int(line.split()[1]) * 1024
