"""Who may use a studio: whoever opens the address that it printed, once, and scripts that know its key.

The address holds a token that is good for one visit and is exchanged for a cookie, so that it is worth nothing in a
browser's history, on a shared screen or in a log. Scripts send the key as ``Authorization: Bearer KEY``; it lies in a
file that its owner alone can read.
"""

from __future__ import annotations

import os
import re
import secrets
from collections import deque
from collections.abc import Callable
from pathlib import Path

from isotherm.atomic import atomic_write
from isotherm.errors import InputError

BYTES = 32
"""Random bytes in a token, a cookie and a key."""
MOST_KEY = 4096
"""Bytes of a key that somebody wrote: what a header may be long."""
MOST_BROWSERS = 256
"""That are let in at once; the first ones need a new address then."""

_KEY = re.compile(rb"[A-Za-z0-9_-]+")


class Access:
    """The secrets of a running studio.

    Args:
        key: of scripts; None: a new one.
        on_used: called with the next token when one was used, so that it can be printed.
    """

    def __init__(self, *, key: str | None = None, on_used: Callable[[str], None] = lambda token: None) -> None:
        self.key = key or secrets.token_urlsafe(BYTES)
        self.token = secrets.token_urlsafe(BYTES)
        self._cookies: deque[str] = deque(maxlen=MOST_BROWSERS)
        self._on_used = on_used

    def exchange(self, token: str) -> str | None:
        """The cookie for a token, which is good no more from now on; None for one that is not good."""
        if not secrets.compare_digest(token.encode(), self.token.encode()):
            return None
        self.token = secrets.token_urlsafe(BYTES)
        self._on_used(self.token)
        self._cookies.append(secrets.token_urlsafe(BYTES))
        return self._cookies[-1]

    def is_cookie(self, value: str) -> bool:
        """Whether a cookie is of a browser that was let in, one for each, good until the studio ends."""
        return any([secrets.compare_digest(value.encode(), one.encode()) for one in self._cookies])

    def is_key(self, value: str) -> bool:
        """Whether a key is that of this studio."""
        return secrets.compare_digest(value.encode(), self.key.encode())


def key_in(fpath: Path) -> str:
    """The key in a file, made where there is none; only the file's owner may read it.

    Raises:
        InputError: the file cannot be used, or holds something else.
    """
    if (there := key_there(fpath)) is not None:
        return there
    try:
        return _new_key(fpath)
    except OSError as error:
        raise InputError(
            f"the key file {fpath} cannot be used ({error.strerror or error}); give another one"
        ) from error


def key_there(fpath: Path) -> str | None:
    """The key in a file; None where there is no file, or an empty one.

    Raises:
        InputError: it holds something else, which a header of a request could not carry.
    """
    if not fpath.exists():
        return None
    if not fpath.is_file():
        raise InputError(f"the key file {fpath} is no file; give --key a file, which is made where there is none")
    try:
        os.chmod(fpath, 0o600)
        with fpath.open("rb") as file:
            there = file.read(MOST_KEY + 1).strip()
    except OSError as error:
        raise InputError(
            f"the key file {fpath} cannot be used ({error.strerror or error}); give another one"
        ) from error
    if not there:
        return None
    if len(there) > MOST_KEY or not _KEY.fullmatch(there):
        raise InputError(
            f"the key file {fpath} holds no key; expected one line of letters, digits, - and _. "
            "Name a file that is not there, and a key is made"
        )
    return there.decode("ascii")


def _new_key(fpath: Path) -> str:
    key = secrets.token_urlsafe(BYTES)
    mask = os.umask(0o077)
    try:
        with atomic_write(fpath) as file:
            file.write(key.encode())
        os.chmod(fpath, 0o600)
    finally:
        os.umask(mask)
    return key
