"""The whole studio on a PostgreSQL: it explains, finds and keeps there what it did, across a restart."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed")
pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")
from rigs.studio_forks import know_facts
from rigs.studio_server import running


def test_a_studio_explains_searches_and_restarts(tmp_path, postgres_url, forks):
    know_facts(tmp_path)
    words = ["--database", postgres_url, "--no-example"]
    with running(tmp_path, words, forks=forks) as studio, studio.client() as client:
        picture = client.post("/api/samples/scene-1").json()["id"]
        asks = {"pictures": [picture], "options": {"model": "detector", "trust": "off"}}
        answer = client.post("/api/runs", json=asks)
        assert answer.status_code == 202, answer.text
        run_id = answer.json()["id"]
        with client.stream("GET", f"/api/runs/{run_id}/events", timeout=120) as events:
            lines = list(events.iter_lines())
        assert "event: finished" in lines
        marks = [{"picture": 0, "kind": "box", "points": [[1, 2], [30, 40]]}]
        changes = {"star": True, "tags": ["paper"], "note": "Look at the Äpfel.", "marks": marks}
        assert client.patch(f"/api/runs/{run_id}", json=changes).status_code == 200
        found = client.get("/api/runs", params={"words": "äpfel"}).json()["runs"]
        assert [one["id"] for one in found] == [run_id]
    assert not (tmp_path / "studio" / "history.db").exists()
    with running(tmp_path, words, forks=forks) as studio, studio.client() as client:
        run = client.get(f"/api/runs/{run_id}").json()
        assert (run["status"], run["star"], run["tags"], run["note"]) == ("finished", True, ["paper"], changes["note"])
        label = run["maps"][0]["label"]
        for search in (
            {"label": label},
            {"tag": "paper"},
            {"starred": True},
            {"model": "detector"},
            {"words": "scene"},
        ):
            assert [one["id"] for one in client.get("/api/runs", params=search).json()["runs"]] == [run_id], search
        assert client.get("/api/runs", params={"label": "nothing"}).json()["runs"] == []
        assert client.get(f"/api/runs/{run_id}/view/0").json()["maps"]
        again = client.post("/api/runs", json=asks)
        assert (again.status_code, again.json()) == (200, {"id": run_id, "same": True})
        assert client.delete(f"/api/runs/{run_id}").status_code == 204
        assert client.get(f"/api/runs/{run_id}").status_code == 404
