"""Reading on after an answer that was given before its request had come whole, so that the answer is read.

A connection that is closed while somebody still sends is reset, and the reset overtakes the answer: who sent too large
a file and had asked for the connection to be closed, as Python's urllib does, saw a broken connection in place of the
reason. Here the answer goes out at once, and what still comes is fetched and thrown away for a while, as RFC 9112
(section 9.6) advises. Pure ASGI, around all others.
"""

from __future__ import annotations

import asyncio
import time

from isotherm.studio.asgi import App, Message, Receive, Scope, Send

MOST_BYTES = 1 << 30
"""That are thrown away of one request; who sends more may not read its answer."""
IDLE_S = 2.0
"""How long nothing may come until it is over."""
MOST_S = 60.0


class BodyDrain:
    """An application that hears out whoever has its answer already.

    Args:
        app: that is called.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self.app(scope, receive, send)
            return
        waits = any(name.lower() == b"expect" for name, _ in scope["headers"])  # for our word before it sends anything
        more = True

        async def receiving() -> Message:
            nonlocal more, waits
            message = await receive()
            waits, more = False, message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def sending(message: Message) -> None:
            is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if is_last and more and not waits:
                await send({**message, "more_body": True})
                await _drain(receive)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self.app(scope, receiving, sending)


def _has_body(scope: Scope) -> bool:
    return any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


async def _drain(receive: Receive) -> None:
    left, until = MOST_BYTES, time.monotonic() + MOST_S
    while left > 0 and time.monotonic() < until:
        try:
            message = await asyncio.wait_for(receive(), IDLE_S)
        except TimeoutError:
            return
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
        left -= len(message.get("body", b""))
