"""Bodies are counted while they come and refused by their beginning, however they are cut into pieces."""

from __future__ import annotations

import asyncio
import io

import pytest

from isotherm.studio.api.keeping import PREFIX, receive
from isotherm.studio.api.refusals import Refused


class Body:
    """A request whose body comes in pieces; it remembers how many were taken."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces, self.taken = pieces, 0

    async def stream(self):
        for piece in self.pieces:
            self.taken += 1
            yield piece


def received(body: Body, most_bytes: int = 10**6) -> bytes:
    file = io.BytesIO()
    refuse = lambda prefix: None if prefix.startswith(b"GOOD") else "it is not good"  # noqa: E731
    asyncio.run(receive(body, file, what="thing", most_bytes=most_bytes, advice="send less", refuse=refuse))
    return file.getvalue()


@pytest.mark.parametrize("size", [1, 3, PREFIX - 1, PREFIX, 1000])
def test_what_comes_is_written_however_it_is_cut(size):
    data = b"GOOD" + bytes(200)
    assert received(Body(*(data[i : i + size] for i in range(0, len(data), size)))) == data
    assert received(Body(b"GOOD")) == b"GOOD"  # shorter than what tells most things apart


def test_what_begins_wrongly_is_refused_at_once_and_what_is_too_large_when_it_is():
    body = Body(*[bytes(PREFIX)] * 100)
    with pytest.raises(Refused, match="it is not good") as refused:
        received(body)
    assert (refused.value.status, body.taken) == (415, 1)
    for short in (Body(), Body(b"BAD")):
        with pytest.raises(Refused, match="it is not good"):
            received(short)
    body = Body(b"GOOD" + bytes(96), *[bytes(100)] * 100)
    with pytest.raises(Refused, match="the thing has more than 0 MB; send less") as refused:
        received(body, most_bytes=250)
    assert (refused.value.status, body.taken) == (413, 3)
