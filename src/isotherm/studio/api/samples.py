"""Pictures to begin with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse

from isotherm.studio.api.pictures import JPEG, THUMB_SIDE, PictureAnswer, keep, shown
from isotherm.studio.api.refusals import refusals
from isotherm.studio.samples import Sample, samples
from isotherm.studio.store.blobs import NotThere
from isotherm.studio.studio import Studio

Name = Annotated[str, PathParameter(max_length=80, examples=["scene-1"])]


def routes(studio: Studio) -> APIRouter:
    """The routes of samples."""
    router = APIRouter(tags=["pictures"])

    @router.get(
        "/api/samples/{name}",
        response_class=FileResponse,
        responses={200: {"content": {"image/*": {}}}, **refusals(404, 422)},
    )
    def sample(name: Name) -> FileResponse:
        """A sample's file."""
        return FileResponse(_known(name).fpath)

    @router.get("/api/samples/{name}/thumb", response_class=FileResponse, responses=JPEG)
    def thumb(name: Name) -> FileResponse:
        """A sample, small."""
        return shown(studio, name, _known(name).fpath, THUMB_SIDE)

    @router.post("/api/samples/{name}", status_code=201, responses=refusals(404, 422))
    def take_sample(name: Name) -> PictureAnswer:
        """Take a sample as if it had been sent."""
        fpath = _known(name).fpath
        return keep(studio, fpath, fpath.name)

    return router


def _known(name: str) -> Sample:
    every = samples()
    if name not in every:
        raise NotThere(f"there is no sample {name!r}; there are {', '.join(every)}")
    return every[name]
