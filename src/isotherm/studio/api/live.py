"""The cameras of the machine that the studio runs on: shown live, with what a model finds, kept as pictures and videos.

Which cameras there are is said where the studio is started, never by a request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi import Path as PathParameter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from isotherm.jobs.options import ModelOptions
from isotherm.studio.api.pictures import PictureAnswer
from isotherm.studio.api.plain import Options
from isotherm.studio.api.refusals import refusals
from isotherm.studio.api.videos import VideoAnswer, keep, keep_bytes
from isotherm.studio.live.camera import Camera
from isotherm.studio.requests import check_classes, options_of
from isotherm.studio.studio import Studio

MOST_SECONDS = 60.0
"""Of one recording."""
SILENCE_S = 15.0
"""After how long without a new frame the last one is sent again, so that a broken connection is found."""
BOUNDARY = b"isotherm-frame"
CameraId = Annotated[str, PathParameter(pattern="^[0-9]{1,4}$", examples=["1"])]


class CameraAnswer(BaseModel):
    """A camera, and what is looked for on it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": "1", "name": "camera 0", "state": "off", "looking": False}]}
    )

    id: str
    name: str
    state: Literal["off", "opening", "on", "lost"]
    """off: nobody looks at it, so it is not open."""
    why: str | None = None
    """Why it is lost."""
    looking: bool
    """Whether a model looks for things on it."""
    model: str | None = None
    error: str | None = None
    """Why the model stopped looking."""
    findings: list[dict[str, Any]] | None = None
    """What was found last: label, confidence, box or null; null while runs go first."""


class CamerasAnswer(BaseModel):
    """All cameras that were named where the studio was started."""

    cameras: list[CameraAnswer]


class Look(BaseModel):
    """Which model looks: the options of a run that say so."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"options": {"model": "detector"}}]})

    options: Options = Field(default_factory=dict)


class Record(BaseModel):
    """How long to record."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"seconds": 5}]})

    seconds: float = Field(ge=0.5, le=MOST_SECONDS, allow_inf_nan=False)


def routes(studio: Studio) -> APIRouter:
    """The routes of cameras."""
    router = APIRouter(tags=["cameras"])
    cameras = studio.cameras

    def answer(camera_id: str) -> CameraAnswer:
        return CameraAnswer(id=camera_id, **cameras[camera_id].facts())

    @router.get("/api/live", responses=refusals())
    def all_cameras() -> CamerasAnswer:
        """The cameras that there are."""
        return CamerasAnswer(cameras=[CameraAnswer(**facts) for facts in cameras.facts()])

    @router.get("/api/live/{camera_id}", responses=refusals(404, 422))
    def one(camera_id: CameraId) -> CameraAnswer:
        """What a camera shows, and what was found on it last."""
        return answer(camera_id)

    @router.post("/api/live/{camera_id}/start", responses=refusals(404, 413, 422))
    def start(camera_id: CameraId, look: Look) -> CameraAnswer:
        """Look for things on the newest frame again and again; runs go first."""
        watched = cameras[camera_id]
        named = {field: value for field, value in look.options.items() if field in ModelOptions.__dataclass_fields__}
        options = options_of("explain", named, ["camera"], models=studio.models, devices=studio.devices)
        assert isinstance(options, ModelOptions)
        check_classes(options, studio.facts.get("models", ()))
        watched.start(options)
        return answer(camera_id)

    @router.post("/api/live/{camera_id}/stop", responses=refusals(404, 422))
    def stop(camera_id: CameraId) -> CameraAnswer:
        """Look for nothing any more; the camera is still shown."""
        cameras[camera_id].stop()
        return answer(camera_id)

    @router.get(
        "/api/live/{camera_id}/frames",
        response_class=StreamingResponse,
        responses={200: {"content": {"multipart/x-mixed-replace": {}}}, **refusals(404, 422)},
    )
    def frames(camera_id: CameraId) -> StreamingResponse:
        """What a camera shows, one JPEG after the other, for an img element; it ends where the camera is lost."""
        kind = f"multipart/x-mixed-replace; boundary={BOUNDARY.decode()}"
        stream = _stream(cameras[camera_id].camera)
        return StreamingResponse(stream, media_type=kind, headers={"cache-control": "no-store"})

    @router.post("/api/live/{camera_id}/snapshot", status_code=201, responses=refusals(400, 404, 422))
    def snapshot(camera_id: CameraId) -> PictureAnswer:
        """Keep what a camera shows now as a picture, at full size and without anything drawn on it."""
        watched = cameras[camera_id]
        return keep_bytes(studio, watched.camera.still(), f"{watched.name} {_now()}.jpg")

    @router.post("/api/live/{camera_id}/record", status_code=201, responses=refusals(413, 400, 404, 422))
    def record(camera_id: CameraId, wanted: Record) -> VideoAnswer:
        """Keep what a camera shows from now on as a video; the answer comes when that has ended."""
        watched = cameras[camera_id]
        with studio.history.pictures.incoming() as file:
            watched.camera.record(wanted.seconds, Path(file.name))
            return keep(studio, Path(file.name), f"{watched.name} {_now()}.mp4")

    return router


async def _stream(camera: Camera) -> AsyncIterator[bytes]:
    loop, new = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(new.set)

    use = camera.used()
    await run_in_threadpool(use.__enter__)
    try:
        with camera.waking(wake):
            number = 0
            while not camera.is_closed:
                new.clear()
                shown = camera.shown
                if shown.lost is not None:
                    return
                if shown.jpeg is not None:
                    yield _part(shown.jpeg, number == 0)
                    number = shown.number
                try:
                    await asyncio.wait_for(new.wait(), SILENCE_S)
                except TimeoutError:
                    continue
    finally:
        use.__exit__(None, None, None)


def _part(jpeg: bytes, first: bool) -> bytes:
    opening = b"--" + BOUNDARY + b"\r\n" if first else b""
    head = b"content-type: image/jpeg\r\ncontent-length: %d\r\n\r\n" % len(jpeg)
    # the next boundary comes at once, since browsers show a part only when they see that it has ended
    return opening + head + jpeg + b"\r\n--" + BOUNDARY + b"\r\n"


def _now() -> str:
    return time.strftime("%Y-%m-%d %H.%M.%S")
