"""The layers of models, as a tree."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Path as PathParameter

from isotherm.atomic import atomic_write
from isotherm.studio.api.examples import LAYER, answered
from isotherm.studio.api.refusals import refusals
from isotherm.studio.requests import model_options
from isotherm.studio.store.blobs import NotThere
from isotherm.studio.studio import Studio
from isotherm.version import __version__

Model = Annotated[str, PathParameter(max_length=300, examples=["scenes"])]


def routes(studio: Studio) -> APIRouter:
    """The route of layers."""
    router = APIRouter(tags=["models"])

    @router.get("/api/models/{name:path}/layers", responses={**answered([LAYER]), **refusals(404, 422, 503)})
    def layers(name: Model) -> list[dict[str, Any]]:
        """The outermost layers, each with those inside: name, type, shape of its output for one picture, whether it is
        taken without a choice and why.
        """
        if name not in studio.models:
            raise NotThere(f"there is no model {name!r} here; there are {', '.join(studio.models)}")
        options = model_options(name, studio.models)
        folder = studio.dpath / "layers"
        fpath = folder / f"{hashlib.sha256(f'{__version__} {name}'.encode()).hexdigest()}.json"
        if fpath.is_file():
            return json.loads(fpath.read_bytes())
        tree = studio.room.ask("layers", options)
        folder.mkdir(exist_ok=True)
        with atomic_write(fpath) as file:
            file.write(json.dumps(tree).encode())
        return tree

    return router
