"""What people say about runs: stars, notes, tags and drawn marks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from isotherm.studio.api.examples import RUN, answered
from isotherm.studio.api.ids import Id
from isotherm.studio.api.plain import DESCRIBED
from isotherm.studio.api.refusals import Refused, refusals
from isotherm.studio.studio import Studio

MOST_POINTS = 50_000
"""Of all marks of a run together."""
LEAST_POINTS = {"arrow": 2, "box": 2, "free": 2, "text": 1}
Coordinate = Annotated[float, Field(strict=True, ge=-1e6, le=1e6)]


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value  # 1.0 is whole in JSON


class Mark(BaseModel):
    """Something drawn on a picture of a run."""

    model_config = ConfigDict(extra="forbid")

    picture: Annotated[int, BeforeValidator(_whole)] = Field(strict=True, ge=0, le=99_999)
    """Its number, from 0."""
    kind: Literal["arrow", "box", "free", "text"]
    points: list[Annotated[list[Coordinate], Field(min_length=2, max_length=2)]] = Field(min_length=1, max_length=5_000)
    """x and y in picture pixels: tail and head of an arrow, two corners of a box, where a text begins."""
    text: str | None = Field(default=None, max_length=1_000, json_schema_extra=DESCRIBED)


class Remarks(BaseModel):
    """What somebody says about a run; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"star": True, "tags": ["paper"]}]})

    star: bool | None = None
    note: str | None = Field(default=None, max_length=20_000, json_schema_extra=DESCRIBED)
    marks: list[Mark] | None = Field(default=None, max_length=2_000)
    tags: (
        list[Annotated[str, Field(max_length=200, json_schema_extra={"pattern": r"^[^\u0000]*[^\u0000\s][^\u0000]*$"})]]
        | None
    ) = Field(default=None, max_length=50)


def routes(studio: Studio) -> APIRouter:
    """The routes of remarks."""
    router = APIRouter(tags=["remarks"])
    history = studio.history

    @router.patch("/api/runs/{run_id}", responses={**answered(RUN), **refusals(404, 413, 422)})
    def remark(run_id: Id, remarks: Remarks) -> dict[str, Any]:
        """Set a run's star, note, marks or tags."""
        history.run(run_id)
        marks = None if remarks.marks is None else _drawn(remarks.marks)
        if remarks.tags is not None:
            history.tag(run_id, remarks.tags)
        if remarks.star is not None:
            history.star(run_id, remarks.star)
        history.annotate(run_id, note=remarks.note, marks=marks)
        return history.run(run_id).to_json()

    return router


def _drawn(marks: list[Mark]) -> list[dict[str, Any]]:
    """Marks as they are kept.

    Raises:
        Refused: one with too few points or without its text, or too many points in all.
    """
    for i, mark in enumerate(marks):
        if len(mark.points) < (least := LEAST_POINTS[mark.kind]):
            raise Refused(
                422, f"marks.{i}: this {mark.kind} has {len(mark.points)} point(s); expected at least {least}"
            )
        if mark.kind == "text" and not mark.text:
            raise Refused(422, f"marks.{i}: it is a text without words; expected them as its text")
    if (points := sum(len(mark.points) for mark in marks)) > MOST_POINTS:
        raise Refused(422, f"marks: they have {points} points together; at most {MOST_POINTS} are kept")
    return [mark.model_dump(exclude_none=True) for mark in marks]
