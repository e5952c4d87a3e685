"""Model hubs that cannot be reached: found out once and at once, where the packages ask again for half a minute."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from urllib.parse import urlsplit

PATIENCE_S = 3.0
"""How long a hub may take to answer at all."""
PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
_changing = Lock()


def unreachable() -> str | None:
    """Why the hub cannot be reached, in words; None where it can be, or where a proxy stands in between and only it
    knows.
    """
    if any(os.environ.get(name) for name in PROXIES):
        return None
    address = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    host, port = address.hostname or "", address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((host, port), timeout=PATIENCE_S).close()
    except OSError as error:
        return f"{host} cannot be reached ({error.strerror or error})"
    return None


@contextmanager
def hub_at_once() -> Iterator[str | None]:
    """Around what may fetch from the hub: where it cannot be reached, the packages look into their cache alone, and do
    not ask again and again.

    Yields:
        Why it cannot be reached; None where it can.
    """
    from huggingface_hub import constants

    reason = None if constants.HF_HUB_OFFLINE else unreachable()
    if reason is None:
        yield None
        return
    with _changing:
        constants.HF_HUB_OFFLINE = True
    try:
        yield reason
    finally:
        with _changing:
            constants.HF_HUB_OFFLINE = False
