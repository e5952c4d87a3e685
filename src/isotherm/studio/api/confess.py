"""A fault of ours, or of the machine, answered like every other error, so that the connection stays good.

A framework's own last resort answers and raises the error again, which ends the connection that a browser goes on with.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from fastapi.responses import JSONResponse

from isotherm.studio.asgi import App, Receive, Scope, Send
from isotherm.studio.faults import tell
from isotherm.studio.unkept import why_unkept


class Confess:
    """An ASGI application that answers what another one did not foresee, and says it where the studio was started.

    Args:
        app: the other one.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def sending(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            if started or scope["type"] != "http":  # half an answer cannot be taken back
                raise
            tell(error, f"{scope['method']} {scope['path']}")
            unkept = why_unkept(error)
            reason = unkept or f"this was not foreseen: {type(error).__name__}"
            await JSONResponse({"error": reason}, 507 if unkept else 500)(scope, receive, send)
