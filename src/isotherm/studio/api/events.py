"""What happens to a run, as it happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse

from isotherm.runs.file import to_json
from isotherm.studio.api.ids import Id
from isotherm.studio.api.refusals import refusals
from isotherm.studio.store.query import RunFacts
from isotherm.studio.studio import Studio
from isotherm.studio.work.events import ENDS, Event
from isotherm.studio.work.workroom import Workroom

KEEP_ALIVE_S = 15.0
"""How often a silent stream of events says that it is still there."""


def routes(studio: Studio) -> APIRouter:
    """The routes of events."""
    router = APIRouter(tags=["events"])

    @router.get(
        "/api/runs/{run_id}/events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}, **refusals(404, 422)},
    )
    def events(run_id: Id, last_event_id: Annotated[str | None, Header(max_length=20)] = None) -> StreamingResponse:
        """What happens to a run, as server-sent events, from the one after ``Last-Event-ID`` on, up to its end."""
        facts = studio.history.run(run_id)
        after = int(last_event_id) if last_event_id and last_event_id.isdecimal() else 0
        return StreamingResponse(_stream(studio.room, facts, after), media_type="text/event-stream")

    return router


async def end_of(room: Workroom, facts: RunFacts, *, or_at: str = "") -> Event:
    """The last event of a run, when it has ended; other requests are answered meanwhile.

    Args:
        room: where it is worked on.
        facts: of the run.
        or_at: an event that ends the waiting as well.
    """
    last: Event = {"event": "failed", "status": "interrupted", "error": "the studio is ending"}
    async with aclosing(_changes(room, facts, 0)) as changes:
        async for pair in changes:
            last = last if pair is None else pair[1]
            if last["event"] == or_at:
                break
    return last


async def _stream(room: Workroom, facts: RunFacts, number: int) -> AsyncIterator[str]:
    async for pair in _changes(room, facts, number):
        if pair is None:
            yield ": still here\n\n"
        else:
            yield f"id: {pair[0]}\nevent: {pair[1]['event']}\ndata: {json.dumps(to_json(pair[1]), allow_nan=False)}\n\n"


async def _changes(room: Workroom, facts: RunFacts, number: int) -> AsyncGenerator[tuple[int, Event] | None]:
    """The events of a run behind a number, up to its end; None where nothing happened for a while."""
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
                yield number, event
                if event["event"] in ENDS:
                    return
            if room.events.closed:
                return
            try:
                await asyncio.wait_for(new.wait(), KEEP_ALIVE_S)
            except TimeoutError:
                yield None
