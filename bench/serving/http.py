"""A client that costs next to nothing, so that what is measured is the studio and not who measures: one connection, kept
open, HTTP/1.1 as the studio speaks it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

LONGEST_S = 60.0
"""How long an answer may take."""
BUFFER = 1 << 20


@dataclass(frozen=True)
class Answer:
    """An answer to a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Its body, read as JSON."""
        return json.loads(self.body)


class Connection:
    """A connection to a studio, opened when it is needed, and again where the studio closed it while nothing was asked.

    Args:
        url: of the studio.
        key: of scripts.
    """

    def __init__(self, url: str, key: str) -> None:
        place = urlsplit(url)
        self.host, self.port = str(place.hostname), int(place.port or 80)
        self._lines = f"Host: {place.netloc}\r\nAuthorization: Bearer {key}\r\nAccept-Encoding: gzip\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.opened = 0

    async def request(self, method: str, path: str, *, query: Any = None, body: Any = None) -> Answer:
        """Ask, and wait for the whole answer.

        Args:
            query: names and values.
            body: what JSON can hold.

        Raises:
            ConnectionError, TimeoutError: there is none.
        """
        async with asyncio.timeout(LONGEST_S):
            reader, status, headers = await self._ask(method, path, query, body)
            return Answer(status, headers, await reader.readexactly(int(headers.get("content-length", 0))))

    async def lines(self, path: str) -> AsyncIterator[str]:
        """The lines of an answer without an end that is known, as they come; the connection ends with them."""
        reader, status, _ = await self._ask("GET", path, None, None)
        if status != 200:
            raise ConnectionError(f"{path} was answered with {status}")
        while size := int((await reader.readuntil(b"\r\n")).strip() or b"0", 16):
            for line in (await reader.readexactly(size)).decode().splitlines():
                yield line
            await reader.readexactly(2)
        self.close()

    def close(self) -> None:
        """End the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _ask(
        self, method: str, path: str, query: Any, body: Any
    ) -> tuple[asyncio.StreamReader, int, dict[str, str]]:
        target = path + (f"?{urlencode(query)}" if query else "")
        data = b"" if body is None else json.dumps(body).encode()
        kind = "Content-Type: application/json\r\n" if data else ""
        head = f"{method} {target} HTTP/1.1\r\n{self._lines}{kind}Content-Length: {len(data)}\r\n\r\n".encode()
        while True:
            fresh = self._streams is None
            if self._streams is None:
                self._streams = await asyncio.open_connection(self.host, self.port, limit=BUFFER)
                self.opened += 1
            reader, writer = self._streams
            try:
                writer.write(head + data)
                lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                break
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                self.close()
                if fresh:
                    raise ConnectionError(f"{method} {path}: the studio closed the connection") from error
                # it was idle for so long that the studio closed it just now; a browser asks again as well
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        return reader, int(lines[0].split()[1]), headers
