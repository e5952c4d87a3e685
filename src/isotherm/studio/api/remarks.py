"""What people say about runs: stars, notes, tags and drawn marks."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from isotherm.studio.api.examples import RUN, answered
from isotherm.studio.api.ids import Id
from isotherm.studio.api.refusals import refusals
from isotherm.studio.studio import Studio


class Remarks(BaseModel):
    """What somebody says about a run; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"star": True, "tags": ["paper"]}]})

    star: bool | None = None
    note: str | None = Field(default=None, max_length=20_000)
    marks: list[Any] | None = Field(default=None, max_length=2_000)
    tags: list[str] | None = Field(default=None, max_length=50)


def routes(studio: Studio) -> APIRouter:
    """The routes of remarks."""
    router = APIRouter(tags=["remarks"])
    history = studio.history

    @router.patch("/api/runs/{run_id}", responses={**answered(RUN), **refusals(404, 422)})
    def remark(run_id: Id, remarks: Remarks) -> dict[str, Any]:
        """Set a run's star, note, marks or tags."""
        history.run(run_id)
        if remarks.tags is not None:
            history.tag(run_id, remarks.tags)
        if remarks.star is not None:
            history.star(run_id, remarks.star)
        history.annotate(run_id, note=remarks.note, marks=remarks.marks)
        return asdict(history.run(run_id))

    return router
