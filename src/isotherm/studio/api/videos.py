"""Videos in, looked at frame by frame; a moment of one becomes a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from isotherm import limits
from isotherm.data.video_formats import SUFFIX_OF, video_form
from isotherm.errors import InputError
from isotherm.studio.api.ids import Id
from isotherm.studio.api.keeping import PREFIX, body_of, looked_at, receive, stored
from isotherm.studio.api.pictures import PictureAnswer
from isotherm.studio.api.pictures import keep as keep_picture
from isotherm.studio.api.refusals import Refused, refusals
from isotherm.studio.requests import file_names
from isotherm.studio.store.blobs import NotThere
from isotherm.studio.studio import Studio

MOST_BYTES = limits.SENT_VIDEO_BYTES
"""Of one video."""
MOST_SECONDS = 3600.0
SHOWN_SIDE = 1280
"""The longer side of a frame on the page, in pixels at most."""
JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}}, **refusals(400, 404, 422)}
LASTING = {"cache-control": "private, max-age=31536000, immutable"}
"""A video never changes under its id."""


class VideoAnswer(BaseModel):
    """A video that the studio has; its id can stand among the pictures of a run."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0" * 32,
                    "name": "clip.mp4",
                    "kind": "video",
                    "h": 480,
                    "w": 640,
                    "frames": 90,
                    "seconds": 3.0,
                    "fps": 30.0,
                }
            ]
        }
    )

    id: str
    name: str
    kind: Literal["video"] = "video"
    h: int
    """Upright, in pixels."""
    w: int
    frames: int
    seconds: float
    fps: float
    """Frames a second, on average."""


class Moment(BaseModel):
    """A moment of a video."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"at_s": 1.5}]})

    at_s: float = Field(ge=0, le=MOST_SECONDS, allow_inf_nan=False)


AtSecond = Annotated[float, Query(ge=0, le=MOST_SECONDS, allow_inf_nan=False, description="Seconds from its start.")]


def routes(studio: Studio) -> APIRouter:
    """The routes of videos."""
    router = APIRouter(tags=["videos"])

    @router.post("/api/videos", status_code=201, responses=refusals(413, 415, 422), openapi_extra=body_of("video"))
    async def add_video(
        request: Request, name: Annotated[str, Query(min_length=1, max_length=200, examples=["clip.mp4"])]
    ) -> VideoAnswer:
        """Send a video, as the body. The same bytes have the same id."""
        with studio.history.pictures.incoming() as file:
            advice = "send a shorter or smaller one"
            await receive(request, file, what="video", most_bytes=MOST_BYTES, advice=advice, refuse=_no_video)
            return await run_in_threadpool(keep, studio, Path(file.name), name)

    @router.get("/api/videos/{video_id}", responses=refusals(400, 404, 422))
    def video(video_id: Id) -> VideoAnswer:
        """What is known of a video."""
        name, fpath = video_of(studio, video_id)
        return VideoAnswer(id=video_id, name=name, **looked_at(studio, "look at video", name, fpath))

    @router.get(
        "/api/videos/{video_id}/file",
        response_class=FileResponse,
        responses={200: {"content": {"video/*": {}}}, **refusals(404, 422)},
    )
    def file(video_id: Id) -> FileResponse:
        """A video's bytes, as they came, whole or in ranges."""
        name, fpath = video_of(studio, video_id)
        form = form_of(fpath) or "octet-stream"
        return FileResponse(fpath, media_type=f"video/{form}", filename=name, headers=LASTING)

    @router.get("/api/videos/{video_id}/frame", response_class=Response, responses=JPEG)
    def frame(video_id: Id, at: AtSecond = 0.0) -> Response:
        """The frame that a video shows at a moment, for the page; behind its end the last one."""
        name, fpath = video_of(studio, video_id)
        shown, _ = looked_at(studio, "frame of video", name, fpath, at_s=at, side=SHOWN_SIDE, form="JPEG")
        return Response(shown, media_type="image/jpeg", headers=LASTING)

    @router.get("/api/videos/{video_id}/strip", response_class=Response, responses=JPEG)
    def strip(video_id: Id, count: Annotated[int, Query(ge=1, le=24)] = 12) -> Response:
        """Small frames beside each other, evenly spread over a video, for its time line."""
        name, fpath = video_of(studio, video_id)
        seconds = looked_at(studio, "look at video", name, fpath)["seconds"]
        shown = looked_at(studio, "strip of video", name, fpath, count=count, seconds=seconds)
        return Response(shown, media_type="image/jpeg", headers=LASTING)

    @router.post("/api/videos/{video_id}/snapshot", status_code=201, responses=refusals(400, 404, 413, 422))
    def snapshot(video_id: Id, moment: Moment) -> PictureAnswer:
        """Keep the frame that a video shows at a moment as a picture."""
        name, fpath = video_of(studio, video_id)
        shown, at_s = looked_at(studio, "frame of video", name, fpath, at_s=moment.at_s, side=None, form="PNG")
        return keep_bytes(studio, shown, f"{Path(name).stem} at {at_s:.2f} s.png")

    return router


def keep(studio: Studio, fpath: Path, name: str) -> VideoAnswer:
    """Look at a video that came in, and keep its bytes as they are.

    Args:
        studio: that keeps it.
        fpath: the file.
        name: what the user calls it.

    Raises:
        Refused: it is no video, is damaged, or is too long.
    """
    form = form_of(fpath)
    if form is None:
        raise Refused(415, NO_VIDEO)
    (plain,) = file_names([name])
    suffix = SUFFIX_OF[form]
    # what a run reads as a video is told by its suffix
    plain = plain if plain.lower().endswith((suffix, ".mov", ".m4v")) else f"{Path(plain).stem}{suffix}"
    try:
        facts = looked_at(studio, "look at video", plain, fpath)
    except InputError as error:
        raise Refused(415, str(error)) from error
    if facts["seconds"] > MOST_SECONDS:
        raise Refused(
            413, f"{plain} is {facts['seconds'] / 60:.0f} minutes long; at most {MOST_SECONDS / 60:.0f} are read"
        )
    return VideoAnswer(id=stored(studio, plain, fpath), name=plain, **facts)


def keep_bytes(studio: Studio, data: bytes, name: str) -> PictureAnswer:
    """Keep a picture that the studio itself made.

    Args:
        studio: that keeps it.
        data: the bytes of its file.
        name: what it is called.
    """
    with studio.history.pictures.incoming() as file:
        file.write(data)
        file.flush()
        return keep_picture(studio, Path(file.name), name)


def video_of(studio: Studio, video_id: str) -> tuple[str, Path]:
    """A video's name and file.

    Args:
        studio: that has it.
        video_id: what it got when it was sent.

    Raises:
        NotThere: there is none of this id, or it is a picture.
    """
    name, fpath = studio.history.picture(video_id)
    if form_of(fpath) is None:
        raise NotThere(f"{name} is a picture, not a video")
    return name, fpath


def form_of(fpath: Path) -> str | None:
    """The form of a video's file, by its beginning; None for what is no video."""
    with fpath.open("rb") as file:
        return video_form(file.read(PREFIX))


NO_VIDEO = "this is no video that can be read; send MP4, MOV, WebM, MKV, AVI or OGG"


def _no_video(prefix: bytes) -> str | None:
    return None if video_form(prefix) is not None else NO_VIDEO
