"""A disk without room, by whatever error it is told: the system's, SQLite's or PostgreSQL's."""

from __future__ import annotations

import errno

from isotherm.errors import IsothermError

WORDS = "the studio's disk is full; make room on it, or let old runs go, and try again"
_SIGNS = ("database or disk is full", "no space left on device", "disk quota exceeded")


class DiskFull(IsothermError):
    """There is no room for what had to be written."""

    def __init__(self, reason: str = WORDS) -> None:
        super().__init__(reason)


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that there is no room.

    Args:
        error: of any kind.

    Example:
        >>> is_full(OSError(28, "No space left on device")), is_full(KeyError("a"))
        (True, False)
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if not isinstance(error, IsothermError) and any(sign in str(error).lower() for sign in _SIGNS):
            return True
        error = error.__cause__ or error.__context__
    return False
