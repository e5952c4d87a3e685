"""The studio's interface for programs: pictures in, runs asked for, watched and looked at. The page uses nothing else.

Nothing here decodes a picture or runs a model; that is the worker's, a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import mimetypes
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict
from typing import IO, Annotated, Any, Literal

from fastapi import FastAPI, Header, HTTPException, Request, Response
from fastapi import Path as PathParameter
from fastapi import Query as QueryParameter
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from isotherm.data.picture_formats import format_of, guess_of
from isotherm.errors import IsothermError, OptionError
from isotherm.studio.requests import SHIPPED, file_names, key_of, options_of
from isotherm.studio.store.blobs import NotThere
from isotherm.studio.store.history import History
from isotherm.studio.store.query import Query, RunFacts
from isotherm.studio.work.events import ENDS
from isotherm.studio.work.workroom import QueueFull, Workroom
from isotherm.version import __version__

MOST_BYTES = 64 << 20
"""Of one picture."""

KEEP_ALIVE_S = 15.0
"""How often a silent stream of events says that it is still there."""

Id = Annotated[str, PathParameter(pattern="^[0-9a-f]{32}$", description="32 letters of 0-9 and a-f")]


class RunRequest(BaseModel):
    """What is asked for: a job, its options, and the pictures that it is about."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"job": "explain", "pictures": ["0" * 32], "options": {"model": "scenes", "top": 2}}]
        },
    )

    job: Literal["explain", "count"] = "explain"
    pictures: list[str] = Field(min_length=1, max_length=1000)
    options: dict[str, Any] = Field(default_factory=dict)


class Remarks(BaseModel):
    """What somebody says about a run; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"star": True, "tags": ["paper"]}]})

    star: bool | None = None
    note: str | None = Field(default=None, max_length=20_000)
    marks: list[Any] | None = Field(default=None, max_length=2_000)
    tags: list[str] | None = Field(default=None, max_length=50)


def make_app(history: History, room: Workroom, *, models: Sequence[str] = SHIPPED) -> FastAPI:
    """The application, without the guard that stands before it (:class:`isotherm.studio.guard.Guard`).

    Args:
        models: that may be asked for, by the names that ``--model`` takes.
    """
    app = FastAPI(title="isotherm studio", version=__version__, docs_url=None, redoc_url=None)

    @app.exception_handler(IsothermError)
    def refuse(_: Request, error: IsothermError) -> JSONResponse:
        if isinstance(error, QueueFull):
            return JSONResponse({"error": str(error)}, 429, {"retry-after": str(error.retry_s)})
        status = 404 if isinstance(error, NotThere) else 422 if isinstance(error, OptionError) else 400
        return JSONResponse({"error": str(error)}, status)

    @app.post("/api/pictures", status_code=201)
    async def add_picture(
        request: Request, name: Annotated[str, QueryParameter(min_length=1, max_length=200)]
    ) -> dict[str, str]:
        """Send a picture, as the body. The same bytes have the same id."""
        with tempfile.SpooledTemporaryFile(max_size=1 << 20) as file:
            size = 0
            async for part in request.stream():
                size += len(part)
                if size > MOST_BYTES:
                    raise HTTPException(413, f"the picture has more than {MOST_BYTES >> 20} MB; send a smaller one")
                await run_in_threadpool(file.write, part)
            file.seek(0)
            prefix = file.read(32)
            if format_of(prefix) is None:
                what = guess_of(prefix) if prefix else "it is empty"
                raise HTTPException(
                    415, f"this is no picture that can be read: {what}; send JPEG, PNG, WebP or the like"
                )
            file.seek(0)
            (plain,) = file_names([name])
            return {"id": await run_in_threadpool(history.add_picture, plain, _parts(file)), "name": plain}

    @app.get("/api/pictures/{picture_id}")
    def picture(picture_id: Id) -> FileResponse:
        """A picture's bytes, as they came."""
        name, fpath = history.picture(picture_id)
        with fpath.open("rb") as file:
            known = format_of(file.read(32))
        return FileResponse(fpath, media_type=f"image/{(known or 'octet-stream').lower()}", filename=name)

    @app.post("/api/runs", status_code=202)
    def add_run(wanted: RunRequest, response: Response) -> dict[str, Any]:
        """Ask for a run. One that was done before, on the same bytes, is given as it is (200 and ``same``)."""
        names = file_names([history.picture(picture_id)[0] for picture_id in wanted.pictures])
        options = options_of(wanted.job, wanted.options, names, models)
        key = key_of(options, wanted.pictures)
        if (there := history.same(key)) is not None:
            response.status_code = 200
            return {"id": there.id, "same": True}
        title = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
        run_id = room.submit(options, key=key, title=title, pictures=list(zip(wanted.pictures, names, strict=True)))
        return {"id": run_id, "same": False}

    @app.get("/api/runs")
    def search(
        words: str = "",
        model: str | None = None,
        label: str | None = None,
        verdict: str | None = None,
        tag: str | None = None,
        status: str | None = None,
        starred: bool = False,
        since_s: float | None = None,
        until_s: float | None = None,
        order: str = "newest",
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
        after: Annotated[str | None, QueryParameter(pattern=r"^[0-9.]{1,40}:[0-9a-f]{32}$")] = None,
    ) -> dict[str, Any]:
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
        return {"runs": [_facts(run) for run in page.runs], "next": following}

    @app.get("/api/choices")
    def choices() -> dict[str, list[str]]:
        """What a search can be narrowed to, and the models that can be asked for."""
        return {**history.choices(), "models": list(models)}

    @app.get("/api/runs/{run_id}")
    def run(run_id: Id) -> dict[str, Any]:
        """A run, its maps, its files, and its place in the queue."""
        facts = history.run(run_id)
        return {**_facts(facts), "place": room.place(run_id), "files": _files(history, facts)}

    @app.patch("/api/runs/{run_id}")
    def remark(run_id: Id, remarks: Remarks) -> dict[str, Any]:
        """Set a run's star, note, marks or tags."""
        history.run(run_id)
        if remarks.tags is not None:
            history.tag(run_id, remarks.tags)
        if remarks.star is not None:
            history.star(run_id, remarks.star)
        history.annotate(run_id, note=remarks.note, marks=remarks.marks)
        return _facts(history.run(run_id))

    @app.delete("/api/runs/{run_id}", status_code=204)
    def remove(run_id: Id) -> None:
        """Forget a run and its files; one that waits or is worked on is cancelled, and then it can be removed."""
        if room.place(run_id) is not None:
            room.cancel(run_id)
            raise HTTPException(409, "the run has not ended yet; it was cancelled: remove it when it has ended")
        history.run(run_id)
        history.remove(run_id)

    @app.post("/api/runs/{run_id}/cancel", status_code=202)
    def cancel(run_id: Id) -> dict[str, str]:
        """Ask a run to end; what it did is kept."""
        history.run(run_id)
        room.cancel(run_id)
        return {"id": run_id}

    @app.get("/api/runs/{run_id}/files/{name}")
    def file(run_id: Id, name: str) -> FileResponse:
        """A file of a run's folder, by its bare name."""
        facts = history.run(run_id)
        if name not in _files(history, facts):
            raise NotThere(f"the run has no file {name[:80]!r}; its files are listed with it")
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        # a page from a run's folder is to be opened from the disk, not with the rights of the studio's own
        shown = kind.startswith("image/") and kind != "image/svg+xml"
        place = "inline" if shown else "attachment"
        return FileResponse(
            history.runs.path(run_id) / name, media_type=kind, filename=name, content_disposition_type=place
        )

    @app.get("/api/runs/{run_id}/events")
    def events(run_id: Id, last_event_id: Annotated[str | None, Header(max_length=20)] = None) -> StreamingResponse:
        """What happens to a run, as server-sent events, from the one after ``Last-Event-ID`` on, up to its end."""
        facts = history.run(run_id)
        after = int(last_event_id) if last_event_id and last_event_id.isdecimal() else 0
        return StreamingResponse(_stream(room, facts, after), media_type="text/event-stream")

    return app


async def _stream(room: Workroom, facts: RunFacts, number: int) -> AsyncIterator[str]:
    loop, new = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(new.set)

    with room.events.waking(wake):
        while True:
            new.clear()
            pairs = room.events.after(facts.id, number)
            if not pairs and facts.status not in ("queued", "running"):  # ended before this studio was started
                word = "finished" if facts.status == "finished" else "failed"
                pairs = [(number + 1, {"event": word, "status": facts.status, "error": facts.message})]
            for number, event in pairs:
                yield f"id: {number}\nevent: {event['event']}\ndata: {json.dumps(event)}\n\n"
                if event["event"] in ENDS:
                    return
            try:
                await asyncio.wait_for(new.wait(), KEEP_ALIVE_S)
            except TimeoutError:
                yield ": still here\n\n"


def _facts(run: RunFacts) -> dict[str, Any]:
    return asdict(run)


def _files(history: History, run: RunFacts) -> list[str]:
    folder = history.runs.path(run.id)
    return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def _parts(file: IO[bytes]) -> Iterator[bytes]:
    while part := file.read(1 << 20):
        yield part


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise OptionError("after is not what a page's next was") from error
