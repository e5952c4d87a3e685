"""What the studio takes and keeps: requests, rows of its history, files in its folders."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy.dialects.sqlite import dialect
from starlette.requests import Request

from bench.fuzz.reader import Reader, texts
from isotherm.studio.access import key_there
from isotherm.studio.api.plain import check_plain
from isotherm.studio.client import _map, _refusal
from isotherm.studio.exports.maps import heatmap_of
from isotherm.studio.facts_cache import known_facts
from isotherm.studio.guard import host_name
from isotherm.studio.requests import file_names, options_of
from isotherm.studio.store.blobs import checked_id
from isotherm.studio.store.database import in_words
from isotherm.studio.store.history import History
from isotherm.studio.store.lenient_json import LenientJson
from isotherm.studio.store.query import Query
from isotherm.studio.view_files import pictures_of
from isotherm.studio.work.outcome import left_in_order
from isotherm.untrusted.plain import json_of

MAP = {
    "offset": 0, "bytes": 24, "h": 3, "w": 4, "m": [0.5, 0, 0, 0, 0.5, 0], "limits": [0, 0, 4, 3], "unit": 0.5, "kind": "relevance",
    "signed": False, "label": "cat", "method": "gradcam", "layer": "a", "files": [], "checking": True, "verdict": "", "trust": "",
}  # fmt: skip
VIEW = {"h": 6, "w": 8, "moment_s": None, "maps": [MAP], "findings": [], "chosen": {}, "warnings": [], "notes": []}
LINE = {"index": 0, "name": "cat.jpg", "status": "done", "checking": True, "verdicts": [""]}
ITEM = {"name": "dog.jpg", "status": "failed", "reason": "damaged"}
RECORD = {
    "format": "isotherm.run/1",
    "job": "explain",
    "status": "running",
    "command": "",
    "started": "2026-01-01T00:00:00+00:00",
    "starts": [{}],
}
ASKED = {"model": "scenes", "method": ["gradcam"], "top": 3, "classes": "cat,dog", "like": "1,2,3,4", "seed": 1}


def _body(text: str) -> None:
    body = text.encode("utf-8", "surrogateescape")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    route = SimpleNamespace(body_field=True)
    query = body[:200].replace(b"\n", b"&")
    scope = {"type": "http", "method": "POST", "headers": [], "query_string": query, "route": route, "path": "/"}
    asyncio.run(check_plain(Request(scope, receive)))


def _asked(text: str) -> None:
    from isotherm.errors import OptionError

    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return
    for job in ("explain", "count"):
        if isinstance(data, dict):
            try:
                options_of(job, data, ["a.jpg"], models=["scenes", "tiny-vlm"]).command_line()
            except OptionError:
                continue


def _folder(folder: Path) -> None:
    (folder / "view").mkdir()
    (folder / "view/pictures.jsonl").write_text(json.dumps(LINE) + "\n")
    (folder / "view/00000.json").write_text(json.dumps(VIEW))
    (folder / "view/00000.f16").write_bytes(bytes(24))
    (folder / "items.jsonl").write_text(json.dumps(ITEM) + "\n")
    (folder / "run.json").write_text(json.dumps(RECORD))


def _in_order(above: int) -> Callable[[Path], object]:
    return lambda path: left_in_order(path.parents[above], "it was ended")


def _row(text: str) -> None:
    for empty in (dict, list):
        processor = LenientJson(empty).result_processor(dialect(), None)
        assert isinstance(processor(text), empty)


def _no_row(text: str) -> None:
    checked_id(text)


def _answered(text: str) -> None:
    answer: Any = SimpleNamespace(
        status=400,
        reason="Bad Request",
        read=io.BytesIO(text.encode("utf-8", "surrogateescape")).read,
        headers={},
        getheader=lambda name, default=None: default,
    )
    _refusal(answer)


def _read_map(text: str) -> None:
    _map(json_of(text, "an answer"), bytes(24))


def _history(path: Path) -> None:
    with in_words("of the history", path):
        history = History(path.parent)
        try:
            for run in history.search(Query()).runs:
                history.run(run.id)
            history.counts()
            history.choices()
        finally:
            history.close()


def _histories(folder: Path) -> list[bytes]:
    history = History(folder, now=lambda: 1e9)
    run_id = history.add_run("explain", key="k", title="cat.jpg", model="scenes", options=ASKED, command="isotherm")
    history.annotate(run_id, note="a note", marks=[{"x": 1}])
    history.tag(run_id, ["good"])
    history.set_status(run_id, "failed", "why")
    history.close()
    with closing(sqlite3.connect(folder / "history.db")) as connection:  # what lies in the log goes into the file
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return [(folder / "history.db").read_bytes()]


def _seeds(*contents: Any) -> Callable[[Path], list[bytes]]:
    return lambda folder: [(json.dumps(content) + "\n").encode() for content in contents]


READERS = (
    Reader(
        name="history of the studio",
        sources=("studio/store/history.py", "studio/store/database.py", "studio/store/query.py"),
        form="bytes",
        call=_history,
        fname="history.db",
        fresh=True,
        slow=True,
        names_file=False,  # an address without its password is
        seeds=_histories,
    ),
    Reader(
        name="body of a request",
        sources=("studio/api/plain.py",),
        form="json",
        call=_body,
        seeds=texts(json.dumps(ASKED), '{"a": [1, {"b": "c"}]}'),
    ),
    Reader(
        name="options of a request",
        sources=("studio/requests.py", "jobs/options.py"),
        form="json",
        call=_asked,
        seeds=texts(json.dumps(ASKED)),
    ),
    Reader(
        name="row of the history",
        sources=("studio/store/lenient_json.py",),
        form="json",
        call=_row,
        seeds=texts('{"a": [1, 2.5, null, "x"]}', "[1]"),
    ),
    Reader(
        name="id of a run",
        sources=("studio/store/blobs.py",),
        form="text",
        call=_no_row,
        seeds=texts("0123456789abcdef0123456789abcdef"),
    ),
    Reader(
        name="host of a request",
        sources=("studio/guard.py",),
        form="text",
        call=lambda text: (host_name(text), file_names([text, text])),
        seeds=texts("localhost:8080", "[::1]:8080", "a@b", "../../a b.jpg"),
    ),
    Reader(
        name="key of the studio",
        sources=("studio/access.py",),
        form="text",
        call=key_there,
        fname="key",
        seeds=texts("c2VjcmV0LWtleS13aXRoLTMyLWJ5dGVz\n"),
    ),
    Reader(
        name="facts that the studio keeps",
        sources=("studio/facts_cache.py",),
        form="json",
        call=lambda path: known_facts(SimpleNamespace(do=lambda *a, **k: {}), path.parent, ["scenes"]),  # type: ignore[arg-type]
        fname="facts.json",
        seeds=_seeds({"key": "0" * 64, "facts": {"models": []}}),
    ),
    Reader(
        name="pictures of a run's view",
        sources=("studio/view_files.py",),
        form="lines",
        call=lambda path: pictures_of(path.parents[1]),
        fname="view/pictures.jsonl",
        prepare=_folder,
        seeds=_seeds(LINE),
        names_file=False,
    ),
    Reader(
        name="view of a run's picture",
        sources=("studio/view_files.py", "studio/exports/maps.py"),
        form="json",
        call=lambda path: heatmap_of(path.parents[1], 0, 0),
        fname="view/00000.json",
        prepare=_folder,
        seeds=_seeds(VIEW),
        names_file=False,
    ),
    Reader(
        name="view that a killed run left",
        sources=("studio/work/outcome.py",),
        form="json",
        call=_in_order(1),
        fname="view/00000.json",
        prepare=_folder,
        fresh=True,
        seeds=_seeds(VIEW),
        names_file=False,
    ),
    Reader(
        name="items that a killed run left",
        sources=("studio/work/outcome.py",),
        form="lines",
        call=_in_order(0),
        fname="items.jsonl",
        prepare=_folder,
        fresh=True,
        seeds=_seeds(ITEM),
        names_file=False,
    ),
    Reader(
        name="record that a killed run left",
        sources=("studio/work/outcome.py",),
        form="json",
        call=_in_order(0),
        fname="run.json",
        prepare=_folder,
        fresh=True,
        seeds=_seeds(RECORD),
        names_file=False,
    ),
    Reader(
        name="refusal by a studio",
        sources=("studio/client.py",),
        form="json",
        call=_answered,
        seeds=texts('{"error": "there is no run"}'),
    ),
    Reader(
        name="map from a studio",
        sources=("studio/client.py",),
        form="json",
        call=_read_map,
        seeds=texts(json.dumps(MAP)),
    ),
)
