"""What the page shows of runs: pictures, what each map is, and the maps' values."""

from __future__ import annotations

import base64
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi import Path as PathParameter
from fastapi.responses import JSONResponse

from isotherm.studio.api.examples import PICTURE, RUN, VALUES, VIEW, answered
from isotherm.studio.api.ids import Id
from isotherm.studio.api.refusals import refusals
from isotherm.studio.api.runs import known_of
from isotherm.studio.studio import Studio
from isotherm.studio.view_files import FOLDER, pictures_of, read_from, view_of, view_path

Index = Annotated[int, PathParameter(ge=0, le=99_999, description="the picture's number, from 0", examples=[0])]
FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
"""A picture of a run never changes."""
NEVER = {"cache-control": "no-store"}


def _file(kind: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {kind: {}}}, **refusals(404, 422)}


def routes(studio: Studio) -> APIRouter:
    """The routes of views."""
    router = APIRouter(tags=["views"])
    room, history = studio.room, studio.history

    @router.get("/api/runs/{run_id}/view", responses={**answered({"pictures": [PICTURE]}), **refusals(404, 422)})
    def views(run_id: Id) -> dict[str, Any]:
        """The pictures of a run, those that can be shown while it runs: what a gallery shows, sorts and filters by.
        ``checking``: a map of it has no verdict yet, and will have one.
        """
        _known(run_id)
        return {"pictures": _pictures(run_id)}

    @router.get("/api/runs/{run_id}/view/{index}", responses={**answered(VIEW), **refusals(404, 422)})
    def view(run_id: Id, index: Index) -> dict[str, Any]:
        """A picture with what each of its maps is, and where its values lie in ``values``. It is there before its maps
        are checked: those that are being checked have ``checking`` and no ``verdict``; the event ``judged`` follows.
        """
        _known(run_id)
        return _view(run_id, index)

    @router.get(
        "/api/runs/{run_id}/view/{index}/whole",
        response_class=JSONResponse,
        responses={
            **answered({"run": {**RUN, "place": None, "files": []}, "pictures": [PICTURE], "picture": VIEW, **VALUES}),
            **refusals(404, 422),
        },
    )
    def whole(run_id: Id, index: Index) -> Response:
        """A run, the list of its pictures, and one of these with the values of its maps in base64, all in one answer:
        who waits for a map to exist has it on the screen after one request.
        """
        known = {"run": known_of(studio, run_id), "pictures": _pictures(run_id), "picture": _view(run_id, index)}
        values = base64.b64encode(_bytes(run_id, index, ".f16")).decode()
        room.looked(run_id)
        return JSONResponse({**known, "values": values})

    @router.get(
        "/api/runs/{run_id}/view/{index}/values", response_class=Response, responses=_file("application/octet-stream")
    )
    def values(run_id: Id, index: Index) -> Response:
        """The values of a picture's maps, one behind the other, as little-endian float16 in units of ``unit``."""
        return _send(run_id, index, ".f16", "application/octet-stream")

    @router.get("/api/runs/{run_id}/view/{index}/image", response_class=Response, responses=_file("image/jpeg"))
    def image(run_id: Id, index: Index) -> Response:
        """The picture as the model saw it, upright, in RGB, with at most 2560 pixels on its longer side."""
        return _send(run_id, index, ".jpg", "image/jpeg")

    @router.get("/api/runs/{run_id}/view/{index}/thumb", response_class=Response, responses=_file("image/jpeg"))
    def thumb(run_id: Id, index: Index, bare: bool = False) -> Response:
        """The same, small, with its first map over it, where that says anything; ``bare``: the picture alone.

        The picture itself is sent for the moment after it can be shown, in which the small one is made.
        """
        small = [
            suffix for suffix in ((".thumb.jpg",) if bare else (".map.jpg", ".thumb.jpg")) if _is(run_id, index, suffix)
        ]
        return (
            _send(run_id, index, small[0], "image/jpeg") if small else _send(run_id, index, ".jpg", "image/jpeg", NEVER)
        )

    def _known(run_id: str) -> None:
        """Raises NotThere where there is no such run; of one that is worked on nobody needs to ask the database."""
        if room.place(run_id) is None:
            history.run(run_id)

    def _pictures(run_id: str) -> list[dict[str, Any]]:
        base = f"/api/runs/{run_id}/view"
        pictures = pictures_of(room.folder(run_id))
        for one in pictures:
            one["thumb"] = None if one["status"] != "done" else f"{base}/{one['index']}/thumb"
        return pictures

    def _view(run_id: str, index: int) -> dict[str, Any]:
        image = f"/api/runs/{run_id}/view/{index}/image"
        return {**read_from(partial(room.folder, run_id), lambda folder: view_of(folder, index)), "image": image}

    def _bytes(run_id: str, index: int, suffix: str) -> bytes:
        # read whole: they are small, and the folder may be moved to where it is kept while they are sent
        return read_from(partial(room.folder, run_id), lambda folder: view_path(folder, index, suffix).read_bytes())

    def _is(run_id: str, index: int, suffix: str) -> bool:
        return (room.folder(run_id) / FOLDER / f"{index:05d}{suffix}").is_file()

    def _send(run_id: str, index: int, suffix: str, kind: str, headers: dict[str, str] = FOREVER) -> Response:
        _known(run_id)
        return Response(_bytes(run_id, index, suffix), media_type=kind, headers=headers)

    return router
