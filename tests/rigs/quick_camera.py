"""The process that reads a camera, as the studio starts it, but with a lost camera tried again at once."""

from __future__ import annotations

from multiprocessing.connection import Connection

from isotherm.studio.live import capture


def serve(pipe: Connection, source: str) -> None:
    """Read a camera until the studio closes the pipe, as :func:`isotherm.studio.live.capture.serve` does."""
    capture.RETRY_S = 0.1
    capture.serve(pipe, source)
