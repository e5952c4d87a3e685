"""Everything that stays as it is while the studio runs, in one answer."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

from fastapi import APIRouter
from fastapi.responses import Response

from isotherm.draw.page_settings import page_settings
from isotherm.jobs.explain.options import ExplainJob
from isotherm.studio.api import live, videos
from isotherm.studio.api.examples import STATE, answered
from isotherm.studio.api.packed import Encodings, packed_json
from isotherm.studio.api.pictures import MOST_BYTES
from isotherm.studio.api.refusals import refusals
from isotherm.studio.api.runs import MOST_PICTURES
from isotherm.studio.samples import samples
from isotherm.studio.studio import Studio
from isotherm.version import __version__


def routes(studio: Studio) -> APIRouter:
    """The route of the state."""
    router = APIRouter(tags=["page"])

    @router.get("/api/state", responses={**answered(STATE), **refusals()})
    def state(accept_encoding: Encodings = None) -> Response:
        """Models, methods, devices, cameras, samples, limits, what maps are drawn with, and the run to open with."""
        facts: dict[str, Any] = {
            "version": __version__,
            "example": next(iter(studio.example), None),
            "cameras": studio.cameras.facts(),
            "samples": [
                {"name": one.name, "title": one.title, "source": one.source, "url": f"/api/samples/{one.name}/thumb"}
                for one in samples().values()
            ],
            "limits": {
                "picture_bytes": MOST_BYTES,
                "pictures": MOST_PICTURES,
                "video_bytes": videos.MOST_BYTES,
                "video_seconds": videos.MOST_SECONDS,
                "recording_seconds": live.MOST_SECONDS,
            },
            "settings": page_settings(),
            "trust": list(get_args(get_type_hints(ExplainJob)["trust"])),
            **studio.facts,
        }
        return packed_json(facts, accept_encoding)

    return router
