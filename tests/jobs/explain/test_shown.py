"""``--like``: a job that is shown by boxes on its first picture what to look for in all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import Image

from isotherm.api import open_model
from isotherm.data.sources import expand
from isotherm.errors import AdapterError, InputError, OptionError
from isotherm.jobs.explain.options import ExplainJob
from isotherm.jobs.explain.run import run
from isotherm.jobs.explain.shown import shown_model
from isotherm.models.choose import OpenModel
from isotherm.models.ultralytics.prompts import VisualPrompt
from isotherm.models.ultralytics.view import wrap
from isotherm.runs.read import read_items
from isotherm.studio.work.models import Models
from rigs.yolo_models import bus, made

BOXES = {"person": [(40.0, 400.0, 260.0, 900.0), (660.0, 390.0, 809.0, 880.0)], "bus": [(5.0, 220.0, 800.0, 770.0)]}
LIKE = "person=40,400,260,900;person=660,390,809,880;bus=5,220,800,770"


@pytest.fixture
def pictures(tmp_path):
    first = Image.fromarray(bus())
    first.save(tmp_path / "1.png")
    first.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "2.png")
    return [str(tmp_path / "1.png"), str(tmp_path / "2.png")]


def opened():
    """As a job opens it: with other boxes than the job's, which the worker's cache may have been opened with."""
    yolo = made("yoloe-11s-seg.yaml")
    return OpenModel(wrap(yolo, like={"old": [(0, 0, 9, 9)]}, size=320, confidence=0.3), "it was open")


def test_the_first_picture_is_read_as_the_package_reads_it_and_the_others_by_its_embedding(pictures):
    shown, items = shown_model(LIKE, opened(), iter(expand(pictures)))
    first, second = [item.load().array for item in items]
    view = shown.view
    assert view.names == ("person", "bus")
    drawn = wrap(
        made("yoloe-11s-seg.yaml"),
        class_prompt=VisualPrompt(
            boxes=[*BOXES["person"], *BOXES["bus"]], classes=[0, 0, 1], picture=None, names=("person", "bus")
        ),
        size=320,
        confidence=0.3,
    )
    inputs = view.prepare([first])
    assert torch.equal(view.run(inputs).dense, drawn.run(drawn.prepare([first])).dense)
    assert torch.equal(view.embeddings, drawn.prepare([first]).extra["prompt"])
    assert not torch.allclose(view.embeddings, drawn.prepare([second]).extra["prompt"])
    assert "it looks for person, bus, as shown by 3 box(es) on 1.png" in shown.reason


def test_a_run_explains_what_it_was_shown(pictures, tmp_path):
    job = ExplainJob(sources=tuple(pictures), like=LIKE, trust="off", raw="none", box="0", out=tmp_path / "out")
    summary = run(job, opened=opened())
    assert (summary.done, summary.failed) == (2, ())
    items = read_items(tmp_path / "out")
    labels = {finding["label"] for item in items for finding in item["findings"]}
    assert labels == {"person", "bus"}
    assert items[0]["files"][0].startswith("1.00-")


def test_other_models_and_other_boxes_are_refused(pictures, tmp_path):
    job = ExplainJob(sources=tuple(pictures), like=LIKE, out=tmp_path / "out")
    scenes = open_model("scenes")
    with pytest.raises(OptionError, match=r"--like: .* cannot be shown what to look for; take a YOLOE"):
        run(job, opened=scenes)
    with pytest.raises(OptionError, match=r"a model of scenes cannot be shown by boxes.*take a YOLOE"):
        run(replace(job, model="scenes"))
    with pytest.raises(OptionError, match="--like is for models that can be shown"):
        run(job)
    with pytest.raises(AdapterError, match="takes no prompts"):
        run(job, opened=wrap(made("yolo11n.yaml"), size=320))
    with pytest.raises(OptionError, match=r"does not lie on 1\.png, which is 810 pixels wide and 1080 high"):
        run(replace(job, like="900,0,1000,50"), opened=opened())
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(InputError, match=r"its boxes lie on 1\.png, which cannot be read"):
        run(job, opened=opened())
    assert not (tmp_path / "out").exists()


def test_the_workers_cache_opens_a_model_once_whatever_it_is_shown():
    opening = []
    models = Models(lambda options: opening.append(options) or object(), lambda _: 1, most_bytes=10)
    plain = ExplainJob(sources=("a.jpg",), model="yoloe-11s-seg.pt")
    one = models.get(replace(plain, like="1,2,3,4"))
    assert models.get(replace(plain, like="5,6,7,8")) is one
    assert models.get(replace(plain, classes="bus")) is not one
    assert models.get(replace(plain, classes="person")) is not models.get(replace(plain, classes="bus"))
    assert models.get(plain) is not one  # opened with what it was shown, it would look for that
    assert len(opening) == 4
