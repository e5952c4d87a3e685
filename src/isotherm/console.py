"""The console script: quiet where Ctrl+C comes before the command line is loaded, which takes a second or more.

It stands outside :mod:`isotherm.cli`, whose import is what takes so long.
"""

import os
import signal
import sys
from typing import Any, NoReturn

INTERRUPTED = 130


def entry() -> NoReturn:
    """Run the command line, and end with its exit code."""
    before = signal.getsignal(signal.SIGINT)
    listens = before is signal.default_int_handler  # a shell may have had it ignored
    if listens:
        signal.signal(signal.SIGINT, _end)
    from isotherm.cli.main import main

    try:
        if listens:
            signal.signal(signal.SIGINT, before)
        code = main()
    except KeyboardInterrupt:  # while the arguments are read, or after the last word
        code = INTERRUPTED
    sys.exit(code)


def _end(number: int, frame: Any) -> None:
    # at once: an exception in the middle of an import is taken by some of them for a missing package
    os._exit(INTERRUPTED)
