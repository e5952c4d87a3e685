"""The worker's process: what it has from one run to the next."""

from __future__ import annotations

from multiprocessing import Pipe

import pytest

pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed")
from isotherm.data.demo_pictures import demo_picture_paths
from isotherm.data.pictures import read_picture
from isotherm.jobs.explain.options import ExplainJob
from isotherm.runs.read import read_items
from isotherm.studio.work import decoded, worker
from isotherm.studio.work.decoded import DecodedPictures
from isotherm.studio.work.models import Models


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
