"""Bodies that are read whole, which all but sent files are: counted while they come, so that none fills the memory."""

from __future__ import annotations

from fastapi.responses import JSONResponse

from isotherm import limits
from isotherm.studio.asgi import App, Message, Receive, Scope, Send

MOST_BYTES = limits.REQUEST_BYTES
"""Of a body in JSON; the largest one is what is drawn on the pictures of a run."""
FILES = frozenset({"/api/pictures", "/api/videos", "/generate_heatmap"})
"""Addresses that count what comes themselves, and write it to the disk."""


class SmallBodies:
    """An application that is called when the whole body of a request is there, and not where it is too large.

    Args:
        app: that is called.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD") or scope["path"] in FILES:
            await self.app(scope, receive, send)
            return
        messages, size, more = list[Message](), 0, True
        while more:
            message = await receive()
            size += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)
            if size > MOST_BYTES:
                error = f"the request has more than {MOST_BYTES >> 20} MB; send less at once"
                await JSONResponse({"error": error}, 413)(scope, receive, send)
                return
            messages.append(message)
        waiting = iter(messages)

        async def again() -> Message:
            return next(waiting, None) or await receive()

        await self.app(scope, again, send)
