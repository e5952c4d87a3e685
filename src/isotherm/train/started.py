"""What is around every training: a folder that its processes agree on, its record, a tracker that is finished."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from isotherm.progress import Say
from isotherm.train.run_folder import RunFolder
from isotherm.train.tracker import NoTracker, Tracker
from isotherm.train.tracking import Tracking
from isotherm.train.worker import Worker


def agreed_folder(dpath: Path | Callable[[], Path], kind: str, *, worker: Worker, say: Say) -> Path:
    """The folder of a run, the same in all its processes; the command that goes on with the run is said.

    Args:
        dpath: the folder, or a function that makes one, which the first process calls alone.
        kind: of the training, as the command line has it.
        worker: this process.
        say: is told the command.
    """
    if callable(dpath):
        dpath = dpath() if worker.first else Path()
    dpath = Path(worker.agree(str(dpath)))
    say(f"run {dpath}; if it is interrupted, go on with: isotherm train {kind} --resume {dpath}")
    return dpath


@contextmanager
def started_run(
    folder: RunFolder,
    kind: str,
    *,
    tracking: Tracking,
    recipe: Mapping[str, Any],
    worker: Worker,
    root: Path,
    command: str,
    **facts: Any,
) -> Iterator[Tracker]:
    """While the block runs, the folder is this run's, its record says so, and its figures go to the tracker, which is
    finished whatever happens.

    Args:
        folder: of the run.
        kind: of the training, as the command line has it.
        tracking: which tracker.
        recipe: what decides the run's numbers, for the tracker.
        worker: this process; the first one writes.
        root: where relative paths of the data start.
        command: what is noted as having asked for the run.
        **facts: more of the run, for its record.
    """
    start = {
        "revision": git_revision(),
        "threads": torch.get_num_threads(),
        "device": str(worker.device),
        "processes": worker.world,
    }
    facts = {"recipe": kind, "root": str(root.resolve()), "tracking": asdict(tracking), **facts}
    with (
        tracking.tracker(folder.dpath, recipe) if worker.first else NoTracker() as tracker,
        folder.started("train", command=command, write=worker.first, start=start, **facts),
    ):
        folder.also = tracker.log
        yield tracker


def git_revision() -> str | None:
    """The revision of the repository that the work is done in, with '+' where files differ from it; None outside of
    one.
    """

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=True, timeout=10)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None
