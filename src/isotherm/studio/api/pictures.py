"""Pictures in, and out as they came."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO, Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from isotherm.data.picture_formats import format_of, guess_of
from isotherm.studio.api.ids import Id
from isotherm.studio.api.refusals import Refused, refusals
from isotherm.studio.requests import file_names
from isotherm.studio.studio import Studio

MOST_BYTES = 64 << 20
"""Of one picture."""


class PictureAnswer(BaseModel):
    """A picture that the studio has."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "0" * 32, "name": "cat.jpg"}]})

    id: str
    name: str


def routes(studio: Studio) -> APIRouter:
    """The routes of pictures."""
    router = APIRouter(tags=["pictures"])

    @router.post("/api/pictures", status_code=201, responses=refusals(413, 415, 422))
    async def add_picture(
        request: Request, name: Annotated[str, Query(min_length=1, max_length=200, examples=["cat.jpg"])]
    ) -> PictureAnswer:
        """Send a picture, as the body. The same bytes have the same id."""
        with tempfile.SpooledTemporaryFile(max_size=1 << 20) as file:
            await _receive(request, file)
            (plain,) = file_names([name])
            return PictureAnswer(
                id=await run_in_threadpool(studio.history.add_picture, plain, _parts(file)), name=plain
            )

    @router.get(
        "/api/pictures/{picture_id}",
        response_class=FileResponse,
        responses={200: {"content": {"image/*": {}}}, **refusals(404, 422)},
    )
    def picture(picture_id: Id) -> FileResponse:
        """A picture's bytes, as they came."""
        name, fpath = studio.history.picture(picture_id)
        with fpath.open("rb") as file:
            known = format_of(file.read(32))
        return FileResponse(fpath, media_type=f"image/{(known or 'octet-stream').lower()}", filename=name)

    return router


async def _receive(request: Request, file: IO[bytes]) -> None:
    """The body of a request, in a file that stands at its start.

    Raises:
        Refused: it is too large, or begins like no picture.
    """
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise Refused(413, f"the picture has more than {MOST_BYTES >> 20} MB; send a smaller one")
        await run_in_threadpool(file.write, part)
    file.seek(0)
    prefix = file.read(32)
    if format_of(prefix) is None:
        what = guess_of(prefix) if prefix else "it is empty"
        raise Refused(415, f"this is no picture that can be read: {what}; send JPEG, PNG, WebP or the like")
    file.seek(0)


def _parts(file: IO[bytes]) -> Iterator[bytes]:
    while part := file.read(1 << 20):
        yield part
