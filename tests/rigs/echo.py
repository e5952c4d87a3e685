"""A process that answers what it gets."""

from __future__ import annotations

from multiprocessing.connection import Connection


def serve(pipe: Connection, prefix: str) -> None:
    while True:
        try:
            pipe.send(prefix + pipe.recv())
        except (EOFError, OSError):
            return
