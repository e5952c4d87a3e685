"""How a command that went through some pictures ends: its last lines, and its exit code."""

from __future__ import annotations

import contextlib

from isotherm.cli.console import say
from isotherm.errors import InputError
from isotherm.runs.record import ENDED_EARLY, Summary

MOST_FAILURES = 20
"""So many failures are listed at the end; all of them stand above, and in the record."""


def closing(summary: Summary) -> str:
    """The last lines: how it went, and, where there were several pictures, which of them failed.

    Each failure was told when it happened. Of one picture it would stand there twice, a line apart; of several, those
    that failed are hard to find among the others.
    """
    lines = str(summary).splitlines()
    if summary.done + len(summary.failed) == 1:
        return lines[0]
    left = len(summary.failed) - MOST_FAILURES
    more = [f"  and {left} more, in {summary.dpath / 'items.jsonl'}"] if left > 0 else []
    return "\n".join([*lines[: 1 + MOST_FAILURES], *more])


def exit_code(summary: Summary, *, nothing: str) -> int:
    """0 where all came through, 1 where some did not, 130 where it was stopped, however much was done before.

    Args:
        summary: of the run.
        nothing: what to say where it went to its end and nothing came through.

    Raises:
        InputError: nothing came through.
    """
    if summary.status in ENDED_EARLY:
        with contextlib.suppress(KeyboardInterrupt):  # another one: this is the answer to it as well
            say(f"\nstopped after {summary.reached}; what was finished is kept", error=True)
        return 130
    if summary.done == 0:
        raise InputError(nothing)
    return 1 if summary.failed else 0
