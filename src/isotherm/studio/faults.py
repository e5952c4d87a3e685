"""Faults that nobody foresaw, told where the studio was started: in one line, and with the traceback on request.

Whether it is asked for stands in the environment, which the studio's processes have from it.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from isotherm.studio.unkept import why_unkept

DEBUG = "ISOTHERM_STUDIO_DEBUG"


@contextmanager
def debugging(wanted: bool) -> Iterator[None]:
    """Have tracebacks told as well, here and in processes that are started meanwhile.

    Args:
        wanted: False: leave it as it is.
    """
    before = os.environ.get(DEBUG)
    if wanted:
        os.environ[DEBUG] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(DEBUG, None)
        else:
            os.environ[DEBUG] = before


def tell(error: Exception, where: str) -> None:
    """Print a fault.

    Args:
        error: of any kind.
        where: what was being done, in a few words.
    """
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    print(f"{where}: {in_a_line(error)}", file=sys.stderr, flush=True)


def in_a_line(error: Exception) -> str:
    """What an error says and where it came from, for whoever started the studio.

    Args:
        error: of any kind.
    """
    if (why := why_unkept(error)) is not None:
        return why
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" ({frame.filename}:{frame.lineno})" for frame in last)
    words = " ".join(str(error).split())[:300]
    return f"not foreseen: {type(error).__name__}: {words}{place}"
