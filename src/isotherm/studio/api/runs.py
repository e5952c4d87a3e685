"""Runs: asked for, searched, looked at, cancelled and removed, and their files."""

from __future__ import annotations

import mimetypes
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from fastapi import Query as QueryParameter
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from isotherm.errors import OptionError
from isotherm.studio.api.examples import RUN, RUN_ID, answered
from isotherm.studio.api.ids import Id
from isotherm.studio.api.packed import Encodings, packed_json
from isotherm.studio.api.plain import DESCRIBED, Options
from isotherm.studio.api.refusals import Refused, refusals
from isotherm.studio.store.blobs import NotThere
from isotherm.studio.store.history import History
from isotherm.studio.store.query import MOST_LETTERS, Query, RunFacts, Status
from isotherm.studio.studio import Studio
from isotherm.studio.submissions import submit

MOST_PICTURES = 1000
"""In one run."""


SUBMITTED = {
    **answered({"id": RUN_ID, "same": True}),
    **answered({"id": RUN_ID, "same": False}, 202),
    **refusals(404, 413, 422, 429),
}
CHOICES = {"model": ["imagenet"], "label": ["tiger cat"], "verdict": ["believable"], "tag": [], "models": ["imagenet"]}
Text = Annotated[str, QueryParameter(max_length=MOST_LETTERS, json_schema_extra=DESCRIBED)]
Seconds = Annotated[float | None, QueryParameter(allow_inf_nan=False, description="since 1970")]


class RunRequest(BaseModel):
    """What is asked for: a job, its options, and the pictures that it is about."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"job": "explain", "pictures": ["0" * 32], "options": {"model": "scenes", "top": 2}}]
        },
    )

    job: Literal["explain", "count"] = "explain"
    pictures: list[Annotated[str, Field(json_schema_extra=DESCRIBED)]] = Field(min_length=1, max_length=MOST_PICTURES)
    options: Options = Field(default_factory=dict)


def routes(studio: Studio) -> APIRouter:
    """The routes of runs."""
    router = APIRouter(tags=["runs"])
    history, room = studio.history, studio.room

    @router.post("/api/runs", status_code=202, responses=SUBMITTED)
    def add_run(wanted: RunRequest, response: Response) -> dict[str, Any]:
        """Ask for a run. One that was done before, on the same bytes, is given as it is (200 and ``same``)."""
        run_id, same = submit(studio, wanted.job, wanted.pictures, wanted.options)
        response.status_code = 200 if same else 202
        return {"id": run_id, "same": same}

    @router.get(
        "/api/runs", response_class=JSONResponse, responses={**answered({"runs": [RUN], "next": None}), **refusals(422)}
    )
    def search(
        words: Text = "",
        model: Text | None = None,
        label: Text | None = None,
        verdict: Text | None = None,
        tag: Text | None = None,
        status: Status | None = None,
        starred: bool = False,
        since_s: Seconds = None,
        until_s: Seconds = None,
        order: Literal["newest", "oldest"] = "newest",
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
        after: Annotated[str | None, QueryParameter(pattern=r"^[0-9]{1,20}(\.[0-9]{1,20})?:[0-9a-f]{32}$")] = None,
        accept_encoding: Encodings = None,
    ) -> Response:
        """A page of the history; ``next`` is the ``after`` of the page that follows, null at the end."""
        moment, _, run_id = after.partition(":") if after else ("", "", "")
        page = history.search(
            Query(
                words=words,
                model=model,
                label=label,
                verdict=verdict,
                tag=tag,
                status=status,
                starred=starred,
                since_s=since_s,
                until_s=until_s,
                order=order,
                limit=limit,
                after=(_number(moment), run_id) if after else None,
            )
        )
        following = None if page.next is None else f"{page.next[0]!r}:{page.next[1]}"
        return packed_json({"runs": [run.to_json() for run in page.runs], "next": following}, accept_encoding)

    @router.get("/api/choices", responses={**answered(CHOICES), **refusals()})
    def choices() -> dict[str, list[str]]:
        """What a search can be narrowed to, and the models that can be asked for."""
        return {**history.choices(), "models": list(studio.models)}

    @router.get(
        "/api/runs/{run_id}",
        responses={**answered({**RUN, "place": None, "files": ["run.json"]}), **refusals(404, 422)},
    )
    def run(run_id: Id) -> dict[str, Any]:
        """A run, its maps, its files, and its place in the queue."""
        return known_of(studio, run_id)

    @router.delete("/api/runs/{run_id}", status_code=204, responses=refusals(404, 409, 422))
    def remove(run_id: Id) -> None:
        """Forget a run and its files; one that waits or is worked on is cancelled, and then it can be removed."""
        if room.place(run_id) is not None:
            room.cancel(run_id)
            raise Refused(409, "the run has not ended yet; it was cancelled: remove it when it has ended")
        history.run(run_id)
        history.remove(run_id)

    @router.post(
        "/api/runs/{run_id}/cancel", status_code=202, responses={**answered({"id": RUN_ID}, 202), **refusals(404, 422)}
    )
    def cancel(run_id: Id) -> dict[str, str]:
        """Ask a run to end; what it did is kept."""
        history.run(run_id)
        room.cancel(run_id)
        return {"id": run_id}

    @router.get("/api/runs/{run_id}/files/{name}", response_class=FileResponse, responses=refusals(404, 422))
    def file(run_id: Id, name: str) -> FileResponse:
        """A file of a run's folder, by its bare name."""
        facts = history.run(run_id)
        if name not in files_of(history, facts):
            raise NotThere(f"the run has no file {name[:80]!r}; its files are listed with it")
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        # a page from a run's folder is to be opened from the disk, not with the rights of the studio's own
        shown = kind.startswith("image/") and kind != "image/svg+xml"
        place = "inline" if shown else "attachment"
        return FileResponse(
            history.runs.path(run_id) / name, media_type=kind, filename=name, content_disposition_type=place
        )

    return router


def known_of(studio: Studio, run_id: str) -> dict[str, Any]:
    """What there is to know of a run, as the page has it.

    Raises:
        NotThere: there is no such run.
    """
    facts = studio.history.run(run_id)
    return {**facts.to_json(), "place": studio.room.place(run_id), "files": files_of(studio.history, facts)}


def files_of(history: History, run: RunFacts) -> list[str]:
    """The names of the files in a run's folder."""
    folder = history.runs.path(run.id)
    return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise OptionError("after is not what a page's next was") from error
