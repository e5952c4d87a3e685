"""Referring expressions in RefCOCO's form, from two files to a trained model and its figures, by the job and by the command
line.
"""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isotherm.cli import main
from isotherm.errors import InputError
from isotherm.jobs.evaluate import grounding as evaluate
from isotherm.jobs.evaluate.grounding_options import EvalGroundingJob
from isotherm.jobs.train import grounding as train
from isotherm.jobs.train.grounding_options import TrainGroundingJob
from isotherm.train.grounding import run
from isotherm.train.run_folder import read_figures
from rigs.grounding import tiny_folder

SETTINGS = ("training.batch=8", "training.rate=0.02", "training.log_every=1", "training.keep_every=30")
SETTINGS += ("model.head_options={ratio: 2, hidden_dim: 8}", "model.side=32", "data.hold_out=0.3")
SENTENCES = [{"sent": "pick the red block", "tokens": ["pick"]}, {"raw": "Pick it!"}]
COMMON = ["--instances", "instances.json", "--images", "pictures", "--device", "cpu"]
TRAIN = ["train", "grounding", "--data", "refs.json", *COMMON, "--model", "./tiny", "--steps", "2"]
TRAIN += [word for setting in SETTINGS for word in ("--set", setting)]
EVAL = ["eval", "grounding", "--data", "refs.json", *COMMON]


def parts():
    """Refs and instances about pictures with a white square: of 'train' and 'val' the boxes lie around it, of 'testA' around its
    place in a mirror."""
    rng = np.random.default_rng(0)
    refs, boxes, images = [], [], []
    for i in range(16):
        x, y = (2 + 4 * rng.integers(0, 6, 2)).tolist()
        images.append({"id": 100 + i, "file_name": f"{i}.png", "height": 32, "width": 32})
        for k, (split, left) in enumerate((("train" if i < 12 else "val", x), ("testA", 24 - x))):
            boxes.append({"id": 10 * i + k, "image_id": 100 + i, "bbox": [left, y, 8, 8]})
            ref = {"ref_id": len(refs), "ann_id": 10 * i + k, "image_id": 100 + i, "split": split}
            refs.append(ref | {"sentences": SENTENCES})
    return refs, boxes, images


def write(dpath, refs, boxes, images):
    """A line for each entry: of refs from 1, of images from 2, of boxes from 20."""
    (dpath / "refs.json").write_text(",\n".join(map(json.dumps, refs)).join("[]"))
    lists = {name: ",\n".join(map(json.dumps, some)) for name, some in (("images", images), ("annotations", boxes))}
    text = ",\n".join(f'"{name}": [\n{lines}\n]' for name, lines in lists.items())
    (dpath / "instances.json").write_text("{" + text + "}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files, and a model that was trained from them by the job."""
    folder = tmp_path_factory.mktemp("refcoco")
    refs, boxes, images = parts()
    (folder / "pictures").mkdir()
    for i, box in enumerate(boxes[::2]):
        x, y, w, h = box["bbox"]
        picture = np.zeros((32, 32, 3), np.uint8)
        picture[y : y + h, x : x + w] = 255
        Image.fromarray(picture).save(folder / f"pictures/{i}.png")
    write(folder, refs, boxes, images)
    tiny_folder(folder / "tiny")
    before = Path.cwd()
    os.chdir(folder)
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(run, "EXTREMES", 1)
            options = {"model": "./tiny", "steps": 30, "set": SETTINGS, "out": Path("run"), "split": "train"}
            train.run(TrainGroundingJob(data=Path("refs.json"), device="cpu", **files(), **options))
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def place(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(run, "EXTREMES", 1)
    write(folder, *parts())
    return folder


def files():
    return {"instances": Path("instances.json"), "images": Path("pictures")}


def judged(split, out):
    options = {"out": Path(out), "overwrite": True, "extremes": 1, "device": "cpu"}
    return evaluate.run(EvalGroundingJob(run=Path("run"), data=Path("refs.json"), split=split, **files(), **options))


def test_what_boxes_lie_around_is_learned_and_the_chosen_split_is_judged(place):
    loss = [row["loss"] for row in read_figures(place / "run" / "metrics.csv") if "loss" in row]
    assert loss[-1] < loss[0] - 1
    held = json.loads((place / "run" / "evaluation.json").read_text())["maps"]
    assert 0 < held < 24
    assert held % 2 == 0  # both sentences about a picture lie on one side
    found = judged("val", "val")
    assert len(found.judged.error_px) == 8
    assert found.judged.error_px.max() < 3
    assert found.report.hits[:, 0].all()
    # the same pictures and sentences, and boxes in a mirror
    assert judged("testA", "mirrored").judged.error_px.median() > 8


def test_the_command_line_trains_and_judges_by_the_same_files(place, capsys):
    assert main([*TRAIN, "--split", "train", "--out", "short"]) == 0
    assert "refs.json: 24 instructions, 1 picture(s) each (refcoco)" in capsys.readouterr().err
    kept = json.loads((place / "short" / "recipe.json").read_text())["data"]["train"]
    assert [(one["file"], one["split"]) for one in kept] == [("refs.json", "train")]
    # of the run that learned: figures, and a row for every sentence with the line of its ref
    assert main([*EVAL, "--run", "run", "--split", "val", "--extremes", "1", "--out", "told"]) == 0
    assert "hit@1" in capsys.readouterr().out
    with (place / "told" / "places.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["origin"] for row in rows] == [f"refs.json:{2 * i + 1}" for i in range(12, 16) for _ in SENTENCES]
    assert {row["instruction"].partition(": ")[2] for row in rows} == {"pick the red block", "Pick it!"}
    assert all(float(row["error_px"]) < 3 for row in rows)


@pytest.mark.parametrize(
    ("which", "line", "changes", "message"),
    [
        ("refs", 3, {"ann_id": 999}, "refs.json:3: there is no annotation 999 among the instances"),
        ("refs", 3, {"image_id": 999}, "refs.json:3: there is no image 999 among the instances"),
        ("refs", 3, {"image_id": 100}, "refs.json:3: the ref is about image 100, and its annotation 10 lies in image 101"),
        ("refs", 3, {"sentences": []}, "refs.json:3: 'sentences' is empty"),
        ("images", 2, {"file_name": "no.png"}, "refs.json:1: there is no picture pictures/no.png"),
        ("images", 3, {"id": 100}, "instances.json:3: the id 100 is that of instances.json:2 too"),
        ("boxes", 20, {"bbox": [1, 2, 3]}, "instances.json:20: bbox is [1, 2, 3]; expected [x, y, w, h]"),
        ("boxes", 20, {"bbox": [60, 2, 8, 8]}, "instances.json:20: bbox is [60, 2, 8, 8], whose middle lies outside of 0.png"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_file_and_line_before_anything_is_made(
    place, capsys, which, line, changes, message
):
    named = dict(zip(("refs", "boxes", "images"), parts(), strict=True))
    named[which][line - {"refs": 1, "images": 2, "boxes": 20}[which]] |= changes
    write(place, named["refs"], named["boxes"], named["images"])
    job = TrainGroundingJob(data=Path("refs.json"), model="./tiny", out=Path("never"), **files())
    with pytest.raises(InputError) as raised:
        train.run(job)
    assert message in str(raised.value)
    for command in ([*TRAIN, "--out", "never"], [*EVAL, "--run", "run", "--out", "never"]):
        assert main(command) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert message in said
        assert "Traceback" not in said
    assert not (place / "never").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ([*TRAIN, "--split", "test"], "no ref is of the split 'test'; there are testA, train, val"),
        ([word for word in TRAIN if word not in ("--instances", "instances.json")], "give that file as instances"),
        (["train", "grounding", "--config", "a.yaml", "--split", "val"], "--split goes with --data"),
        (["train", "grounding", "--resume", "run", "--split", "val"], "--split changes the run"),
    ],
)
def test_a_split_belongs_to_its_file(place, capsys, command, message):
    assert main(command) == 2
    assert message in " ".join(capsys.readouterr().err.split())
