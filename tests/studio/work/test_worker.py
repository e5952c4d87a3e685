"""The worker's process: what it has from one run to the next."""

from __future__ import annotations

from multiprocessing import Pipe

import numpy as np
import pytest

pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed")
from isotherm.data.demo_pictures import demo_picture_paths
from isotherm.data.pictures import read_picture
from isotherm.jobs.explain.options import ExplainJob
from isotherm.runs.read import read_items
from isotherm.studio.work import decoded, worker
from isotherm.studio.work.decoded import DecodedPictures
from isotherm.studio.work.models import Models
from isotherm.studio.work.view import ViewWriter


def test_a_second_question_about_a_picture_does_not_decode_it_again(tmp_path, monkeypatch):
    reads: list[str] = []

    def counting(source, *, name=None):
        reads.append(str(name))
        return read_picture(source, name=name)

    monkeypatch.setattr(decoded, "read_picture", counting)
    pictures, (ours, theirs), fpath = DecodedPictures(), Pipe(), demo_picture_paths()[0]
    models = Models(worker._open_model, worker._size_of, most_bytes=1 << 30)
    for number, method in enumerate(("gradcam", "hirescam")):
        options = ExplainJob(sources=(str(fpath),), model="scenes", method=method, trust="off")
        order = {"job": "explain", "options": options.to_json(), "out": str(tmp_path / f"{number}"), "command": ()}
        reporter = worker.PipeReporter(theirs, str(number), lambda order=order: worker._view_of(order, None), "")
        worker._do(order, worker.JOBS, models, pictures, reporter)
        while (event := ours.recv())["event"] not in ("finished", "failed"):
            pass
        assert event["event"] == "finished", event
    assert (reads, len(pictures)) == ([str(fpath)], 1)
    made = [read_items(tmp_path / f"{number}")[0]["maps"][0]["method"] for number in range(2)]
    assert len(set(made)) == 2


@pytest.mark.parametrize("fetched", [True, False])
def test_the_page_has_the_processor_until_it_has_fetched_and_drawn_the_first_map_of_a_run(
    tmp_path, monkeypatch, fetched
):
    ours, theirs = Pipe()
    waits: list[tuple[float, bool]] = []
    reporter = worker.PipeReporter(theirs, "1", lambda: ViewWriter(tmp_path, command="isotherm explain a.png"), "")

    def until_fetched(seconds: float) -> bool:
        waits.append((seconds, ours.poll()))
        return fetched

    monkeypatch.setattr(reporter._was_fetched, "wait", until_fetched)
    monkeypatch.setattr(reporter._cancelled, "wait", lambda seconds: waits.append((seconds, True)))
    for name in ("a.png", "b.png"):
        reporter.preview({"name": name}, np.zeros((8, 8, 3), np.uint8), [])
    # the page was told before; it is not waited for where nobody draws, nor for the second picture
    assert waits == [(worker.FETCH_S, True), (worker.DRAW_S, True)][: 1 + fetched]
