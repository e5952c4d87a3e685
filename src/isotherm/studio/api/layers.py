"""The layers of models, as a tree."""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Path as PathParameter

from isotherm.atomic import atomic_write
from isotherm.jobs.options import JobOptions
from isotherm.runs.file import to_json
from isotherm.studio.api.examples import LAYER, answered
from isotherm.studio.api.refusals import refusals
from isotherm.studio.desk.desk import Desk
from isotherm.studio.processor import BEHIND
from isotherm.studio.requests import model_options
from isotherm.studio.store.blobs import NotThere
from isotherm.studio.studio import Studio
from isotherm.studio.work.workroom import ANSWER_S, Busy
from isotherm.untrusted.plain import read_json
from isotherm.version import __version__

SOON_S = 2.0
"""How long a run may be in the way before the model is opened beside it."""

Model = Annotated[str, PathParameter(max_length=300, examples=["scenes"])]


def routes(studio: Studio) -> APIRouter:
    """The route of layers."""
    router = APIRouter(tags=["models"])
    turn = threading.Lock()  # one model beside the worker's at a time

    @router.get("/api/models/{name:path}/layers", responses={**answered([LAYER]), **refusals(404, 422, 503)})
    def layers(name: Model) -> list[dict[str, Any]]:
        """The outermost layers, each with those inside: name, type, shape of its output for one picture, whether it is
        taken without a choice and why.
        """
        if name not in studio.models:
            raise NotThere(f"there is no model {name!r} here; there are {', '.join(studio.models)}")
        options = model_options(name, studio.models)
        fpath = studio.dpath / "layers" / f"{hashlib.sha256(f'{__version__} {name}'.encode()).hexdigest()}.json"
        if fpath.is_file():
            return read_json(fpath)
        try:
            return _kept(fpath, studio.room.ask("layers", options, begin_s=SOON_S))
        except Busy:
            if not turn.acquire(timeout=ANSWER_S):
                raise
        try:
            return read_json(fpath) if fpath.is_file() else _kept(fpath, _beside(options))
        finally:
            turn.release()

    return router


def _kept(fpath: Path, tree: list[dict[str, Any]]) -> list[dict[str, Any]]:
    fpath.parent.mkdir(exist_ok=True)
    with atomic_write(fpath) as file:
        file.write(json.dumps(to_json(tree), allow_nan=False).encode())
    return tree


def _beside(options: JobOptions) -> list[dict[str, Any]]:
    """The layers from a process of their own, which ends with the answer, so that the model is in memory no longer."""
    with closing(Desk("layers", timeout_s=ANSWER_S, nice=BEHIND, threads=1)) as desk:
        return desk.do("layers", options=options.to_json())
