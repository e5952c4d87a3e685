"""The demo's clip: the right gaze decides what the shipped model predicts."""

from __future__ import annotations

import json

from isotherm.cli.demo_gaze import anticipate_with_gaze
from isotherm.runs.record import Run


def test_the_persons_own_gaze_says_what_happens_next(tmp_path):
    with Run("demo", out=tmp_path / "demo", command=["isotherm", "demo"]) as record:
        table, entries, model = anticipate_with_gaze(record)
    (item,) = [json.loads(line) for line in (tmp_path / "demo" / "items.jsonl").read_text().splitlines()]
    own, other, none = item["predictions"].values()
    assert max(own, key=own.get) == item["truth"]
    assert max(other, key=other.get) != item["truth"]
    assert max(none.values()) < 0.5
    assert model == "tiny-anticipation"
    assert table.row_count == 3
    assert len(entries) == 4
    assert "NSS" in item["gaze"]
    names = {f.name for f in (tmp_path / "demo").iterdir()}
    assert {"clip.mp4", "clip-gaze.parquet", "clip-gaze-panels.mp4"} <= names
