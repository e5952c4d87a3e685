"""An earlier commit's code, checked out beside this one for as long as it is compared."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
BEFORE = "fbee0d0813f83d9da228c18699e6d0d24ce7630c"
"""The commit before anything was moved."""


@contextmanager
def earlier(commit: str = BEFORE) -> Iterator[Path]:
    """The ``src`` folder of a commit."""
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name) / "before"
        add = ["git", "worktree", "add", "--detach", str(parent), commit]
        subprocess.run(add, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield parent / "src"
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(parent)], check=True, cwd=ROOT)


def environment_of(source: Path, *others: Path) -> dict[str, str]:
    """The environment of a process that runs the code in ``source``."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(str(p) for p in (source, *others))}
