"""Why the studio can keep nothing just now, by whatever error it is told: the system's, SQLite's or PostgreSQL's."""

from __future__ import annotations

import errno
from pathlib import Path

from isotherm.errors import IsothermError

FULL = "the studio's disk is full; make room on it, or let old runs go, and try again"
READ_ONLY = "the studio's folder cannot be written to any more; make it writable again, and try again"
LOST = "the studio's folder is not there any more; put it back where it was and try again, or end the studio"
_FULL_SIGNS = ("database or disk is full", "no space left on device", "disk quota exceeded")
_LOST_SIGNS = ("unable to open database file",)
_READ_ONLY_SIGNS = ("attempt to write a readonly database", "read-only file system")


class Unkept(IsothermError):
    """What had to be written could not be: there is no room for it, or the folder is read-only or gone."""

    def __init__(self, reason: str = FULL) -> None:
        super().__init__(reason)


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that there is no room.

    Args:
        error: of any kind.

    Example:
        >>> is_full(OSError(28, "No space left on device")), is_full(KeyError("a"))
        (True, False)
    """
    return why_unkept(error) == FULL


def why_unkept(error: BaseException | None) -> str | None:
    """Why nothing can be kept, in words, where an error or one that it came from says so; None where it is about
    something else.

    Args:
        error: of any kind.

    Example:
        >>> why_unkept(OSError(30, "Read-only file system")).partition(";")[0]
        "the studio's folder cannot be written to any more"
    """
    ours = isinstance(error, IsothermError)  # about a file that may lie anywhere
    while error is not None:
        if isinstance(error, Unkept):
            return str(error)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return FULL
        if isinstance(error, OSError) and (error.errno == errno.EROFS or (error.errno == errno.EACCES and not ours)):
            return READ_ONLY
        if not isinstance(error, IsothermError):
            text = str(error).lower()
            for signs, words in ((_FULL_SIGNS, FULL), (_READ_ONLY_SIGNS, READ_ONLY), (_LOST_SIGNS, LOST)):
                if any(sign in text for sign in signs):
                    return words
        error = error.__cause__ or error.__context__
    return None


def reason_of(error: Exception, folder: Path) -> str:
    """Why something could not be kept, whatever the error is, in a few words.

    Args:
        error: of any kind.
        folder: that it was to be kept in.
    """
    if not folder.is_dir():
        return LOST
    return why_unkept(error) or getattr(error, "strerror", None) or str(error) or type(error).__name__
