"""The exit code of a command that went through some pictures."""

from __future__ import annotations

import sys

from isotherm.errors import InputError
from isotherm.runs.record import ENDED_EARLY, Summary


def exit_code(summary: Summary, *, nothing: str) -> int:
    """0 where all came through, 1 where some did not, 130 where it was stopped, however much was done before.

    Args:
        summary: of the run.
        nothing: what to say where it went to its end and nothing came through.

    Raises:
        InputError: nothing came through.
    """
    if summary.status in ENDED_EARLY:
        print(f"\nstopped after {summary.reached}; what was finished is kept", file=sys.stderr)
        return 130
    if summary.done == 0:
        raise InputError(nothing)
    return 1 if summary.failed else 0
