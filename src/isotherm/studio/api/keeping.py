"""What comes in as a body: counted while it comes, refused by its beginning, looked at, and kept as it came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from isotherm.errors import InputError
from isotherm.studio.api.refusals import Refused
from isotherm.studio.studio import Studio

PREFIX = 64
"""Bytes of a file that tell what it is."""


def body_of(kind: str) -> dict[str, Any]:
    """A body of bytes for the description of an address: it is read by hand, so that it is counted while it comes.

    Args:
        kind: image or video.
    """
    content = {f"{kind}/*": {"schema": {"type": "string", "format": "binary"}}}
    return {"requestBody": {"required": True, "content": content}}


async def receive(
    request: Request, file: IO[bytes], *, what: str, most_bytes: int, advice: str, refuse: Callable[[bytes], str | None]
) -> None:
    """Write the body of a request to a file, as long as it can still be what is wanted.

    Args:
        request: whose body it is.
        file: open for writing.
        what: a picture or a video, for messages.
        most_bytes: that it may have.
        advice: where it has more.
        refuse: why a file that begins like this is not taken, or None.

    Raises:
        Refused: it is too large, or begins like something else.
    """
    size, prefix = 0, b""
    async for part in request.stream():
        size += len(part)
        if size > most_bytes:
            raise Refused(413, f"the {what} has more than {most_bytes >> 20} MB; {advice}")
        if len(prefix) < PREFIX:
            prefix += part[:PREFIX]
            if len(prefix) >= PREFIX:
                _check(prefix, refuse)
        await run_in_threadpool(file.write, part)
    if len(prefix) < PREFIX:
        _check(prefix, refuse)
    file.flush()


def _check(prefix: bytes, refuse: Callable[[bytes], str | None]) -> None:
    if (why := refuse(prefix)) is not None:
        raise Refused(415, why)


def looked_at(studio: Studio, task: str, called: str, fpath: Path, **arguments: Any) -> Any:
    """What the process that looks at pictures and videos says of one.

    Args:
        studio: whose process it is.
        task: one of the desk's tasks.
        called: what the user calls it; errors have it in place of the file.
        fpath: the file.
        **arguments: further ones of the task.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return studio.pictures.do(task, fpath=str(fpath), **arguments)
    except InputError as error:
        raise InputError(str(error).replace(str(fpath), called)) from error


def stored(studio: Studio, name: str, fpath: Path) -> str:
    """The id of a file's bytes, which are kept as they are.

    Args:
        studio: that keeps them.
        name: what the user calls it.
        fpath: the file.
    """
    with fpath.open("rb") as file:
        return studio.history.add_picture(name, _parts(file))


def _parts(file: IO[bytes]) -> Iterator[bytes]:
    while part := file.read(1 << 20):
        yield part
