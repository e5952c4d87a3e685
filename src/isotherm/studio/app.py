"""The studio's interface for programs, put together from its parts. The page uses nothing else.

Nothing here decodes a picture or runs a model; that is the worker's, a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Depends, FastAPI

from isotherm.studio.api import (
    events,
    exports,
    layers,
    live,
    old_app,
    page,
    pictures,
    remarks,
    runs,
    samples,
    state,
    videos,
    views,
)
from isotherm.studio.api.plain import check_plain
from isotherm.studio.api.refusals import answer_errors
from isotherm.studio.api.small_bodies import SmallBodies
from isotherm.studio.studio import Studio
from isotherm.version import __version__

PARTS: tuple[Callable[[Studio], APIRouter], ...] = (
    page.routes,
    state.routes,
    pictures.routes,
    samples.routes,
    layers.routes,
    videos.routes,
    live.routes,
    runs.routes,
    remarks.routes,
    events.routes,
    views.routes,
    exports.routes,
    old_app.routes,
)
"""Each makes the routes of one subject; the order is that of the description."""


def make_app(studio: Studio) -> FastAPI:
    """The application, without the guard that stands before it (:class:`isotherm.studio.guard.Guard`).

    Args:
        studio: whose interface it is.
    """
    app = FastAPI(title="isotherm studio", version=__version__, docs_url=None, redoc_url=None)
    answer_errors(app)
    for routes in PARTS:
        app.include_router(routes(studio), dependencies=[Depends(check_plain)])
    app.add_middleware(SmallBodies)
    return app
