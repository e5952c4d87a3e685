"""Who may use a studio: whoever opens the address that it printed, once, and scripts that know its key.

The address holds a token that is good for one visit and is exchanged for a cookie, so that it is worth nothing in a
browser's history, on a shared screen or in a log. Scripts send the key as ``Authorization: Bearer KEY``; it lies in a
file that its owner alone can read.
"""

from __future__ import annotations

import os
import secrets
from collections import deque
from collections.abc import Callable
from pathlib import Path

from isotherm.atomic import atomic_write

BYTES = 32
"""Random bytes in a token, a cookie and a key."""
MOST_BROWSERS = 256
"""That are let in at once; the first ones need a new address then."""


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
    """The key in a file, made where there is none; only the file's owner may read it."""
    if fpath.exists():
        os.chmod(fpath, 0o600)
        if there := fpath.read_text().strip():
            return there
    key = secrets.token_urlsafe(BYTES)
    mask = os.umask(0o077)
    try:
        with atomic_write(fpath) as file:
            file.write(key.encode())
        os.chmod(fpath, 0o600)
    finally:
        os.umask(mask)
    return key
