"""What lies beside a file of gaze that a command has made: which command, with which options, and how it went."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isotherm.atomic import atomic_write
from isotherm.jobs.options import JobOptions
from isotherm.ops.shell import shell_line
from isotherm.runs.file import now, to_json, versions


def write_record(fpath: Path, command: Sequence[str], options: JobOptions, **facts: Any) -> None:
    """Write the record as JSON, whole or not at all; one that is there is replaced, as what it speaks of is.

    Args:
        fpath: of the record.
        command: the command line as a list of words.
        options: of the job, which opens them again.
        **facts: of what was made: anything that :func:`isotherm.runs.file.to_json` takes.
    """
    record = {
        "command": shell_line(command),
        "directory": str(Path.cwd()),
        "written": now(),
        "versions": versions(),
        "options": options.to_json(),
        **to_json(facts),
    }
    with atomic_write(fpath) as file:
        file.write(json.dumps(record, indent=1, allow_nan=False).encode())
