"""Where a run is written: a numbered folder, or one of the user's choice."""

from __future__ import annotations

import re
from pathlib import Path

from isotherm.errors import InputError, OptionError

RUN_FILE, ITEMS_FILE = "run.json", "items.jsonl"


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


def chosen(out: Path, overwrite: bool) -> Path:
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
