"""A clip explained with a recording of gaze: the record says whether the model looked where the person looked."""

from __future__ import annotations

import json

import pytest

from isotherm.data.egocentric.clips import make_egocentric
from isotherm.data.gaze.points_store import write_points
from isotherm.data.gaze.stores import open_gaze_store
from isotherm.data.video_writer import VideoWriter
from isotherm.jobs.explain.options import ExplainJob
from isotherm.jobs.explain.run import run
from isotherm.jobs.reporter import Reporter
from isotherm.train.anticipation.build import open_anticipation
from isotherm.zoo.assets import asset
from isotherm.zoo.tiny_anticipation.view import SHIPPED, AnticipationView


class Lines(Reporter):
    """Keeps what is told."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def message(self, text, kind="note"):
        self.lines.append(text)


@pytest.mark.parametrize("known", [True, False], ids=["gaze", "none"])
def test_relevance_is_held_beside_the_gaze(tmp_path, known):
    clip = make_egocentric(3)
    with VideoWriter(tmp_path / "clip.mp4") as video:
        for frame, time_s in zip(clip.video.transpose(0, 2, 3, 1), clip.time_s, strict=True):
            video.add(frame.copy(), float(time_s))
    write_points(clip.recording(), tmp_path / "gaze.parquet")
    gaze = open_gaze_store(tmp_path / "gaze.parquet") if known else None
    view = AnticipationView(open_anticipation(asset(SHIPPED)), gaze=gaze, name="tiny-anticipation")
    reporter = Lines()
    job = ExplainJob(
        sources=(str(tmp_path / "clip.mp4"),), trust="off", out=tmp_path / "out", model="tiny-anticipation"
    )
    run(job, reporter, opened=view)
    (item,) = [json.loads(line) for line in (tmp_path / "out" / "items.jsonl").read_text().splitlines()]
    assert item["maps"][0]["label"].startswith(clip.label) == known
    assert ("gaze" in item) == known
    assert any("NSS" in line for line in reporter.lines) == known
    if known:
        assert len(item["gaze"][0]["moments"]) == 4
        assert set(item["gaze"][0]["model"]) == {"AUC-Judd", "sAUC", "NSS", "KL", "CC", "SIM"}
