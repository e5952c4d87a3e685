"""A studio that is killed at any moment forgets nothing that it acknowledged, and shows nothing that is half done."""

from __future__ import annotations

import hashlib

import httpx
import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed")
from rigs.breadth import wide
from rigs.studio_forks import know_facts
from rigs.studio_kills import Ledger, kill_while_it_writes, wrong_after
from rigs.studio_server import StudioProcess

KILLS = [(0, 1), *wide([((2, 3),), ((4, 5),), ((6, 7),)]), (8,)]
"""Seeds of kills, two of each folder but the last: the second one meets what the first one left."""


@pytest.mark.slow
@pytest.mark.parametrize("seeds", KILLS)
def test_a_studio_killed_while_it_writes_loses_nothing_that_it_acknowledged(seeds, tmp_path, forks):
    """Server, worker and all; the last one is killed while runs end, which makes it the longest: it is killed once."""
    ledger, late = Ledger(), seeds == KILLS[-1]
    know_facts(tmp_path)
    studio = StudioProcess(tmp_path, ["--no-example"], forks=forks)
    for seed in seeds:
        faults = kill_while_it_writes(studio, ledger, seed=seed, late=late)
        studio = StudioProcess(tmp_path, ["--no-example"], forks=forks)
        with studio.client() as client:
            assert (faults, wrong_after(client, ledger)) == ([], [])
    studio.end()
    assert ledger.pictures
    if late:
        assert ledger.notes
        assert "finished" in ledger.runs.values()


def test_what_is_lost_or_broken_is_seen():
    runs = [
        {"id": "unended", "status": "running", "note": "", "maps": [1]},
        {"id": "broken", "status": "finished", "note": "", "maps": []},
        {"id": "back", "status": "interrupted", "note": "", "maps": []},
        {"id": "undone", "status": "interrupted", "note": "", "maps": []},
        {"id": "noted", "status": "interrupted", "note": "another", "maps": []},
        {"id": "whole", "status": "finished", "note": "n", "maps": [1]},
    ]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/runs":
            return httpx.Response(200, json={"runs": runs, "next": None})
        if request.url.path == "/api/runs/whole":
            return httpx.Response(200, json={"files": ["run.json", "items.jsonl"]})
        if request.url.path.startswith("/api/runs/whole/files/") or request.url.path == "/api/pictures/kept":
            return httpx.Response(200, content=b"kept")
        return httpx.Response(200, json={"files": []})

    ledger = Ledger(
        pictures={"kept": hashlib.sha256(b"kept").hexdigest(), "lost": hashlib.sha256(b"lost").hexdigest()},
        runs={
            "unended": "asked",
            "broken": "asked",
            "undone": "finished",
            "noted": "asked",
            "gone": "asked",
            "whole": "finished",
        },
        notes={"noted": "mine", "whole": "n"},
        removed={"back"},
    )
    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://studio") as client:
        assert wrong_after(client, ledger) == [
            "picture lost is lost or another one",
            "run undone was finished and is interrupted",
            "the note of run noted is another one",
            "run gone, asked, is lost",
            "run back was removed and is there",
            "run unended is running, and nobody works on it",
            "run broken: it has no maps",
            "run broken: its run.json is missing",
            "run broken: its items.jsonl is missing",
        ]
