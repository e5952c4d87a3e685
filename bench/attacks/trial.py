"""One attack through one door, and what came of it."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

from bench.attacks.attack import DOORS, Attack
from bench.fuzz.trial import REFUSED_MEMORY, limited
from isotherm.errors import IsothermError

MOST_S = 2.0
"""Processor time of one attack."""
WAITS_S = 10
"""Wall time after which it is ended: it waits for something that never comes."""
Result = Literal["refused", "opened", "RAN", "error", "slow", "large"]
FAULTS = ("RAN", "error", "slow", "large")


class Waits(BaseException):
    """An attack that waits; no Exception, so that no reader takes it for the file's fault."""


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Args:
        result: refused, by an error of isotherm's tree, or opened without any effect; else a fault.
        message: of the error.
        seconds: of processor time.
    """

    result: Result
    message: str
    seconds: float


def tried(attack: Attack, door: str, root: Path) -> Outcome:
    """One attack through one door, in a folder that is emptied before.

    Args:
        root: gets a folder with the attack, and beside it the marker.
    """
    shutil.rmtree(root, ignore_errors=True)
    folder, marker = root / "attack", root / "marker"
    folder.mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages that write hostile files
        path = attack.write(folder, marker)
    before = marker.stat() if marker.exists() else None
    result, message, seconds = _opened(path, door)
    if attack.goal == "runs code" and marker.exists() and before is None:
        result = "RAN"
    if result == "opened" and not attack.harmless:
        result, message = "error", "it was opened"
    return Outcome(result, message.replace(str(root), "..."), seconds)


def warm(root: Path) -> None:
    """Open something harmless of every family, so that imports count for no attack."""
    from bench.attacks.folders import vit_folder
    from bench.attacks.texts import PLAIN

    root.mkdir(parents=True)
    (root / "yolo-plain.yaml").write_text(PLAIN)
    (root / "vit").mkdir()
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        DOORS["explain"](root / "yolo-plain.yaml")
        DOORS["explain"](vit_folder(root / "vit"))


def _opened(path: Path, door: str) -> tuple[Result, str, float]:
    result: Result = "opened"
    message, began, here = "", time.process_time(), Path.cwd()
    try:
        with (
            limited(),
            _waiting(),
            contextlib.redirect_stderr(io.StringIO()),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            os.chdir(path if path.is_dir() else path.parent)  # where a user would stand
            DOORS[door](path)
    except IsothermError as error:
        message = str(error)
        result = "large" if any(words in message for words in REFUSED_MEMORY) else "refused"
    except MemoryError as error:
        result, message = "large", str(error)
    except Waits:
        result, message = "slow", f"it waits for more than {WAITS_S} s"
    except Exception as error:
        result, message = "error", f"{type(error).__name__}: {error}"
    finally:
        os.chdir(here)
    seconds = time.process_time() - began
    return ("slow" if result in ("opened", "refused") and seconds > MOST_S else result), message, seconds


@contextlib.contextmanager
def _waiting() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise Waits

    handler = signal.signal(signal.SIGALRM, stop)
    signal.alarm(WAITS_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
