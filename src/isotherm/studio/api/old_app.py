"""The two addresses of the YOLOE heatmap app, for people and scripts that come from there."""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from isotherm.errors import IsothermError
from isotherm.studio.api.events import end_of
from isotherm.studio.api.pictures import MOST_BYTES, keep
from isotherm.studio.api.refusals import Refused, refusals, status_of
from isotherm.studio.heatmaps import NAME
from isotherm.studio.requests import SHIPPED
from isotherm.studio.samples import example
from isotherm.studio.session import SESSION
from isotherm.studio.store.blobs import NotThere
from isotherm.studio.studio import Studio
from isotherm.studio.submissions import submit
from isotherm.studio.view_files import pictures_of, read_from, view_of

NO_SNAPSHOT = "there is no snapshot yet: send a picture with the request, or take one on the page first"
MULTIPART = {
    "requestBody": {
        "required": False,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"picture": {"type": "string", "format": "binary"}}}
            }
        },
    }
}
"""For the description: the body is read by hand, so that it is counted while it comes."""


class HeatmapAnswer(BaseModel):
    """What the old app answered."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "success": True,
                    "heatmap_id": "heatmap_20261129_120000",
                    "file": "heatmap_20261129_120000.jpg",
                    "url": "/view_heatmap?path=heatmap_20261129_120000.jpg",
                    "error": None,
                }
            ]
        }
    )

    success: bool = False
    heatmap_id: str | None = None
    file: str | None = None
    url: str | None = None
    error: str | None = None
    """Why there is no heatmap."""


def routes(studio: Studio) -> APIRouter:
    """The routes of the old app."""
    router = APIRouter(tags=["as the YOLOE heatmap app"])
    described: dict[int | str, dict[str, Any]] = {
        status: {**one, "model": HeatmapAnswer} if status not in (401, 403) else one
        for status, one in refusals(400, 409, 413, 415, 422, 429).items()
    }

    @router.post("/generate_heatmap", response_model=HeatmapAnswer, responses=described, openapi_extra=MULTIPART)
    async def generate_heatmap(
        request: Request,
        model: Annotated[str | None, Query(max_length=300, examples=["scenes"])] = None,
        classes: Annotated[str | None, Query(max_length=2000, description="what to look for, with commas")] = None,
    ) -> Any:
        """Explain the picture that comes with the request, or else the last snapshot of this session; answers when the
        heatmap is there, and waits for no verdict on it.
        """
        options = {"model": model or _usual(studio), **({} if classes is None else {"classes": classes})}
        try:
            picture_id = await _sent(studio, request) or studio.snapshots.get(SESSION.get())
            if picture_id is None:
                raise Refused(409, NO_SNAPSHOT)
            run_id, _ = await run_in_threadpool(submit, studio, "explain", [picture_id], options)
            last = await end_of(studio.room, studio.history.run(run_id), or_at="files")
            if last["event"] == "failed":
                raise Refused(422, str(last["error"]))
            name = await run_in_threadpool(read_from, partial(studio.room.folder, run_id), partial(_heatmap_of, studio))
        except IsothermError as error:
            retry = {"retry-after": str(error.retry_s)} if hasattr(error, "retry_s") else {}
            return _failed(str(error), status_of(error), retry)
        except HTTPException as error:  # a form that is none
            return _failed(str(error.detail), error.status_code)
        url = f"/view_heatmap?path={name}"
        return HeatmapAnswer(success=True, heatmap_id=Path(name).stem, file=name, url=url)

    @router.get(
        "/view_heatmap",
        response_class=FileResponse,
        responses={200: {"content": {"image/jpeg": {}}}, **refusals(404, 422)},
    )
    def view_heatmap(
        path: Annotated[
            str,
            Query(
                max_length=200,
                examples=["heatmap_20261129_120000.jpg"],
                json_schema_extra={"pattern": f"^{NAME.pattern}$"},
            ),
        ],
    ) -> FileResponse:
        """A heatmap, by its id or its bare file name; never by a path."""
        return FileResponse(studio.heatmaps.path(path), media_type="image/jpeg")

    return router


def _failed(error: str, status: int, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(HeatmapAnswer(success=False, error=error).model_dump(), status, headers)


def _usual(studio: Studio) -> str:
    """The first model that was named where the studio was started, or the one of its example."""
    return next((name for name in studio.models[len(SHIPPED) :]), example()[1])


async def _sent(studio: Studio, request: Request) -> str | None:
    """The id of the picture in a multipart body; None where the body is empty.

    Raises:
        Refused: it is too large, no multipart, or holds no picture.
    """
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        async for part in request.stream():
            if part:
                raise Refused(415, f"the body is {kind[:80] or 'of no kind'}; expected multipart/form-data, or no body")
        return None
    form = await Request(request.scope, _counted(request)).form(max_files=1, max_fields=20)
    try:
        file = next((one for one in form.values() if isinstance(one, UploadFile)), None)
        if file is None:
            raise Refused(422, "the form has no file; send the picture as its field picture, or no body at all")
        with studio.history.pictures.incoming() as kept:
            while part := await file.read(1 << 20):
                await run_in_threadpool(kept.write, part)
            kept.flush()
            answer = await run_in_threadpool(keep, studio, Path(kept.name), file.filename or "picture")
            return answer.id
    finally:
        await form.close()


def _counted(request: Request) -> Any:
    """The body as it comes, up to what a picture may have: parsers of forms count no files."""
    size = 0

    async def receive() -> MutableMapping[str, Any]:
        nonlocal size
        message = await request.receive()
        size += len(message.get("body", b""))
        if size > MOST_BYTES:
            raise Refused(413, f"the picture has more than {MOST_BYTES >> 20} MB; send a smaller one")
        return message

    return receive


def _heatmap_of(studio: Studio, folder: Path) -> str:
    """The file of a run's first heatmap, written again where somebody removed it.

    Raises:
        Refused: nothing was explained.
    """
    for picture in pictures_of(folder):
        if picture["status"] != "done":
            raise Refused(422, picture["error"])
        view = view_of(folder, picture["index"])
        for one in view["maps"]:
            kept = one.get("heatmap")
            if kept and (studio.heatmaps.dpath / kept).is_file():
                return kept
            drawn = next((name for name in one["files"] if name.endswith(".jpg")), None)
            if drawn is not None:
                return studio.heatmaps.keep(folder / drawn)
        raise Refused(422, " ".join(view["notes"]) or "the model found nothing in the picture")
    raise NotThere("the run has no picture")
