"""The console script: quiet where Ctrl+C comes before the command line is loaded, which takes a second or more, and
ended in order where a queue of jobs or a shutdown ends it (SIGTERM).

It stands outside :mod:`isotherm.cli`, whose import is what takes so long.
"""

import contextlib
import os
import signal
import sys
from typing import Any, NoReturn

INTERRUPTED, TERMINATED = 130, 143


def entry() -> NoReturn:
    """Run the command line, and end with its exit code."""
    before = signal.getsignal(signal.SIGINT)
    listens = before is signal.default_int_handler  # a shell may have had it ignored
    if listens:
        signal.signal(signal.SIGINT, _end)
    from isotherm.cli.main import main

    terminated: list[int] = []
    own = os.getpid()

    def terminate(number: int, frame: Any) -> None:
        if os.getpid() != own:  # a process that was forked from this one, and has no record
            os._exit(TERMINATED)
        terminated.append(number)
        raise KeyboardInterrupt  # so that records say what happened, trackers are finished and workers end

    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, terminate)
    try:
        if listens:
            signal.signal(signal.SIGINT, before)
        code = main()
    except KeyboardInterrupt:  # while the arguments are read, or after the last word
        code = INTERRUPTED
    if listens:  # another Ctrl+C while the interpreter ends, which may take a second, has nothing to add
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        signal.signal(signal.SIGINT, _end)
    sys.exit(TERMINATED if terminated and code == INTERRUPTED else code)


def _end(number: int, frame: Any) -> None:
    # at once: an exception in the middle of an import is taken by some of them for a missing package
    os._exit(INTERRUPTED)
