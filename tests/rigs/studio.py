"""A studio as tests use it: in a folder of its own, reached without a port."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from PIL import Image

from isotherm.studio.access import Access
from isotherm.studio.app import make_app
from isotherm.studio.desk.desk import Desk
from isotherm.studio.guard import Guard
from isotherm.studio.heatmaps import HeatmapFolder
from isotherm.studio.live.cameras import Cameras
from isotherm.studio.store.history import History
from isotherm.studio.studio import Studio
from isotherm.studio.work.worker import JOBS
from isotherm.studio.work.workroom import Workroom

KEY = "the-key"
Jobs = Mapping[str, tuple[str, str]]


@contextmanager
def studio_in(dpath: Path, *, camera: Sequence[str] = (), jobs: Jobs = JOBS, **changes: Any) -> Iterator[Studio]:
    """The parts of a studio; its processes end with the block."""
    history = History(dpath)
    heatmaps = HeatmapFolder(dpath / "heatmaps")
    room = Workroom(history, most_waiting=4, heatmaps=heatmaps.dpath, jobs=jobs)
    desks = Desk("pictures", timeout_s=60), Desk("exports", timeout_s=60)
    parts = {"pictures": desks[0], "exports": desks[1], "cameras": Cameras(camera, room)}
    try:
        yield Studio(history=history, room=room, heatmaps=heatmaps, dpath=dpath, **parts, **changes)
    finally:
        parts["cameras"].close()
        room.close()
        for desk in desks:
            desk.close()
        history.close()


@contextmanager
def client_of(studio: Studio) -> Iterator[TestClient]:
    """A script that knows the studio's key; the studio's parts are its attributes."""
    access = Access(key=KEY)
    client = TestClient(
        Guard(make_app(studio), access),
        base_url="http://127.0.0.1:8080",
        headers={"authorization": f"Bearer {KEY}"},
        raise_server_exceptions=False,
    )
    with client:
        client.studio, client.history, client.room, client.access = studio, studio.history, studio.room, access
        yield client


def png(seed: int = 0) -> bytes:
    """A small picture of noise."""
    return saved(Image.fromarray(np.random.default_rng(seed).integers(0, 255, (40, 60, 3), dtype=np.uint8)))


def saved(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    """The bytes of a picture's file."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def send(studio: TestClient, data: bytes | None = None, name: str = "photo.png") -> str:
    """The id of a picture that was sent."""
    answer = studio.post("/api/pictures", params={"name": name}, content=png() if data is None else data)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def events_of(studio: TestClient, run_id: str, **headers: str) -> list[tuple[int, str, dict]]:
    """All events of a run, up to its end."""
    with studio.stream("GET", f"/api/runs/{run_id}/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        blocks = "".join(answer.iter_text()).split("\n\n")
    lines = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks if block.startswith("id")]
    return [(int(one["id"]), one["event"], json.loads(one["data"])) for one in lines]


def sent_in_parts(
    studio: TestClient, method: str, address: str, parts: Sequence[bytes], kind: str
) -> tuple[int, int, bytes]:
    """The status of an answer to a body that comes in parts, how many of them nobody fetched, and what was answered.

    Args:
        studio: that is asked.
        method, address: of the request.
        parts: of its body.
        kind: its content type.
    """
    left, sent = list(reversed(parts)), []
    path, _, query = address.partition("?")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": left.pop(), "more_body": bool(left)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = {"host": "127.0.0.1:8080", "authorization": f"Bearer {KEY}", "content-type": kind}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "scheme": "http",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(studio.app(scope, receive, send))
    return sent[0]["status"], len(left), b"".join(message.get("body", b"") for message in sent)


def finished_run(studio: TestClient, pictures: list[str], **options: Any) -> str:
    """The id of a run that has finished."""
    answer = studio.post("/api/runs", json={"pictures": pictures, "options": options})
    assert answer.status_code in (200, 202), answer.text
    run_id = answer.json()["id"]
    last = events_of(studio, run_id)[-1]
    assert last[1] == "finished", last
    return run_id
