"""Pictures in, and out as they came."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from isotherm import limits
from isotherm.data.picture_formats import PICTURE_SUFFIXES, format_of, guess_of
from isotherm.errors import InputError
from isotherm.studio.api.ids import Id
from isotherm.studio.api.keeping import PREFIX, body_of, looked_at, receive, stored
from isotherm.studio.api.refusals import Refused, refusals
from isotherm.studio.requests import file_names
from isotherm.studio.session import SESSION
from isotherm.studio.store.blobs import NotThere
from isotherm.studio.studio import Studio

SHOWN = "shown"
"""The folder, in the studio's, of pictures as every browser shows them; they can be made again."""
MOST_BYTES = limits.SENT_PICTURE_BYTES
"""Of one picture."""
SHOWN_SIDE, THUMB_SIDE = 2560, 160
"""The longer side of what the page shows, in pixels at most."""
JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}}, **refusals(404, 422)}


class PictureAnswer(BaseModel):
    """A picture that the studio has."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": "0" * 32, "name": "cat.jpg", "h": 300, "w": 451, "notes": []}]}
    )

    id: str
    name: str
    h: int
    """Upright, in pixels."""
    w: int
    notes: list[str]
    """What was changed in reading it: rotation, bit depth, transparency, further frames."""


def routes(studio: Studio) -> APIRouter:
    """The routes of pictures."""
    router = APIRouter(tags=["pictures"])

    @router.post("/api/pictures", status_code=201, responses=refusals(413, 415, 422), openapi_extra=body_of("image"))
    async def add_picture(
        request: Request, name: Annotated[str, Query(min_length=1, max_length=200, examples=["cat.jpg"])]
    ) -> PictureAnswer:
        """Send a picture, as the body. The same bytes have the same id."""
        with studio.history.pictures.incoming() as file:
            advice = "send a smaller one"
            await receive(request, file, what="picture", most_bytes=MOST_BYTES, advice=advice, refuse=_no_picture)
            return await run_in_threadpool(keep, studio, Path(file.name), name)

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

    @router.get("/api/pictures/{picture_id}/image", response_class=FileResponse, responses=JPEG)
    def image(picture_id: Id) -> FileResponse:
        """A picture as a model sees it: upright, 8 bits, RGB, for the page."""
        return shown(studio, *_named(picture_id), SHOWN_SIDE)

    @router.get("/api/pictures/{picture_id}/thumb", response_class=FileResponse, responses=JPEG)
    def thumb(picture_id: Id) -> FileResponse:
        """The same, small."""
        return shown(studio, *_named(picture_id), THUMB_SIDE)

    def _named(picture_id: str) -> tuple[str, Path]:
        return picture_id, studio.history.picture(picture_id)[1]

    return router


def keep(studio: Studio, fpath: Path, name: str) -> PictureAnswer:
    """Look at a picture that came in, and keep its bytes as they are.

    Args:
        studio: that keeps it.
        fpath: the file.
        name: what the user calls it.

    Raises:
        Refused: it is no picture, is damaged, or has too many pixels.
    """
    plain = _picture_name(name, fpath)
    try:
        facts = looked_at(studio, "look", plain, fpath, name=plain)
    except InputError as error:
        raise Refused(415, str(error)) from error
    if "pixels" in facts:
        raise Refused(413, f"{plain} has {facts['pixels'] / 1e6:.1f} megapixels; at most 50 are read: make it smaller")
    picture_id = stored(studio, plain, fpath)
    studio.snapshots[SESSION.get()] = picture_id
    return PictureAnswer(id=picture_id, name=plain, **facts)


def _picture_name(name: str, fpath: Path) -> str:
    """The name that a picture is kept under: what a run reads as a picture is told by its suffix."""
    (plain,) = file_names([name])
    if Path(plain).suffix.lower() in PICTURE_SUFFIXES:
        return plain
    with fpath.open("rb") as file:
        known = format_of(file.read(PREFIX))
    return plain if known is None else plain + {"JPEG2000": ".jp2"}.get(known, f".{known.lower()}")


def shown(studio: Studio, name: str, fpath: Path, side: int) -> FileResponse:
    """A picture as every browser shows it, made when it is asked for first.

    Args:
        studio: in whose folder it is kept.
        name: of the file that is kept: an id, or a sample's name.
        fpath: the picture.
        side: its longer side, at most.
    """
    folder = studio.dpath / SHOWN
    folder.mkdir(exist_ok=True)
    made = folder / f"{name}-{side}.jpg"
    if not made.exists():
        try:
            studio.pictures.do("show", fpath=str(fpath), name=name, shown=str(made), side=side)
        except InputError as error:  # it could be read when it came
            raise NotThere(f"the file of {name} is damaged; send it again") from error
    return FileResponse(
        made, media_type="image/jpeg", headers={"cache-control": "private, max-age=31536000, immutable"}
    )


def _no_picture(prefix: bytes) -> str | None:
    if format_of(prefix[:32]) is not None:
        return None
    what = guess_of(prefix[:32]) if prefix else "it is empty"
    return f"this is no picture that can be read: {what}; send JPEG, PNG, WebP or the like"
