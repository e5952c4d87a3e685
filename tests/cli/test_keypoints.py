"""Keypoints from the command line: trained, killed and gone on with, judged, used; every mistake gets its message."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.cli import main
from isotherm.data.beetles import HELD_OUT, make_beetle
from isotherm.errors import OptionError
from isotherm.train import keypoint_run
from isotherm.train.keypoint_run import open_run
from isotherm.train.run_folder import read_figures

RECIPE = """
data:
  train: [{format: generated, count: 16, side: 64}]
  validation: [{format: generated, split: validation, count: 6, side: 64}]
  margin: 0.0
model: {widths: [8, 16], depth: 1, head_options: {widths: [8], groups: 4}}
training:
  size: [64, 64]
  steps: 12
  batch: 8
  rate: 3.0e-3
  backbone_rate: 1.0
  keep_every: 4
  log_every: 4
  schedule: {warm_up: 2}
  augmentation: {flip: 0.5, degrees: 30}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a recipe and its run."""
    folder = tmp_path_factory.mktemp("keypoints")
    (folder / "recipe.yaml").write_text(RECIPE)
    before = Path.cwd()
    os.chdir(folder)
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(keypoint_run, "EXTREMES", 2)
            assert main(["train", "keypoints", "--config", "recipe.yaml", "--quiet"]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def place(trained, monkeypatch):
    monkeypatch.chdir(trained)
    monkeypatch.setattr(keypoint_run, "EXTREMES", 2)
    return trained


def test_a_run_holds_everything(place):
    run = place / "runs" / "keypoints-001"
    names = {f.name for f in run.iterdir()}
    assert {
        "recipe.json",
        "run.json",
        "metrics.csv",
        "metrics.parquet",
        "checkpoint.pt",
        "model.safetensors",
        "best.safetensors",
        "evaluation.json",
        "pictures",
    } <= names
    told = json.loads((run / "run.json").read_text())
    assert told["status"] == "finished"
    assert told["starts"][0]["command"] == "isotherm train keypoints --config recipe.yaml --quiet"
    assert "torch" in told["starts"][0]["versions"]
    recipe = json.loads((run / "recipe.json").read_text())
    assert recipe["training"]["steps"] == 12
    assert recipe["model"]["widths"] == [8, 16]
    assert len(list((run / "pictures").glob("*.jpg"))) == 4
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(run / "metrics.parquet").to_pydict()
    assert [s for s, v in zip(table["step"], table["validation point_err_px"], strict=True) if v is not None] == [
        4,
        8,
        12,
    ]
    best, which = open_run(run)
    assert "best by validation" in which
    assert best.covariance_scale > 0
    assert best.names == ("width_p0", "width_p1", "length_p0", "length_p1")


def test_predict_draws_and_tells(place, capsys, tmp_path):
    for i in range(2):
        Image.fromarray(make_beetle(HELD_OUT[i]).picture).save(tmp_path / f"{i}.png")
    (tmp_path / "bad.png").write_text("no picture")
    code = main(
        [
            "predict",
            "keypoints",
            str(tmp_path),
            "--run",
            "runs/keypoints-001",
            "--px-per-cm",
            "20",
            "--out",
            str(tmp_path / "out"),
            "--quiet",
        ]
    )
    assert code == 1  # one could not be read, and the others came through
    said = capsys.readouterr()
    assert "bad.png" in said.err
    assert "2 done, 1 failed" in said.out
    told = json.loads((tmp_path / "out" / "points.json").read_text())
    assert [p["picture"] for p in told["pictures"]] == ["0.png", "1.png"]
    first = told["pictures"][0]
    assert set(first["points"]) == {"width_p0", "width_p1", "length_p0", "length_p1"}
    a, b = (first["points"][f"length_p{i}"] for i in (0, 1))
    assert first["lines"]["length"]["px"] == pytest.approx(np.hypot(a["x"] - b["x"], a["y"] - b["y"]), abs=2e-3)
    assert first["lines"]["length"]["cm"] == pytest.approx(first["lines"]["length"]["px"] / 20, abs=1e-4)
    covariance = np.array(a["covariance"])
    assert (np.linalg.eigvalsh(covariance) > 0).all()
    with Image.open(tmp_path / "out" / "0.jpg") as drawn:
        assert drawn.width == 512


def test_a_box_is_looked_into(place, tmp_path):
    Image.fromarray(make_beetle(HELD_OUT[0]).picture).save(tmp_path / "a.png")
    assert (
        main(
            [
                "predict",
                "keypoints",
                str(tmp_path / "a.png"),
                "--run",
                "runs/keypoints-001",
                "--box",
                "10,20,70,80",
                "--out",
                str(tmp_path / "out"),
                "--quiet",
            ]
        )
        == 0
    )
    points = json.loads((tmp_path / "out" / "points.json").read_text())["pictures"][0]["points"]
    assert all(5 < p["x"] < 75 and 15 < p["y"] < 85 for p in points.values())


def test_eval_makes_table_diagrams_and_pictures(place, capsys, tmp_path):
    out = tmp_path / "out"
    assert (
        main(
            [
                "eval",
                "keypoints",
                "--run",
                "runs/keypoints-001",
                "--out",
                str(out),
                "--extremes",
                "2",
                "--quiet",
                "--track",
                "tensorboard",
            ]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "width_line_err_cm" in said
    assert "Hawaii (n=" in said
    assert "OKS with true boxes: AP " in said
    assert {
        "evaluation.json",
        "table.txt",
        "pictures.csv",
        "pck.png",
        "lines.png",
        "calibration.png",
        "pictures",
        "tensorboard",
    } <= {f.name for f in out.iterdir()}
    assert sorted(f.name for f in (out / "pictures").iterdir()) == [
        "best-1.jpg",
        "best-2.jpg",
        "worst-1.jpg",
        "worst-2.jpg",
    ]
    rows = (out / "pictures.csv").read_text().splitlines()
    assert len(rows) == 7
    # the figures are those of the run's own evaluation, from the same model and pictures
    mine, its = (
        json.loads(f.read_text())["groups"]["all"]["point_err_px"]["mean"]
        for f in (out / "evaluation.json", place / "runs/keypoints-001/evaluation.json")
    )
    assert mine == pytest.approx(its)


def test_eval_on_a_file_of_annotations(place, tmp_path, capsys):
    lines = ["picture,group,scale_bar,scale_bar_cm,width,length"]
    for i in range(4):
        beetle = make_beetle(HELD_OUT[i])
        Image.fromarray(beetle.picture).save(tmp_path / f"{i}.png")
        (w0, w1, l0, l1), (a, b) = beetle.points, beetle.ruler
        ends = [
            f'"{p[0]} {p[1]}; {q[0]} {q[1]}"' for p, q in ((a, b), (w0, w1), (l1, l0))
        ]  # the length the other way round
        lines.append(f"{i}.png,Hawaii,{ends[0]},{beetle.ruler_cm},{ends[1]},{ends[2]}")
    (tmp_path / "true.csv").write_text("\n".join(lines))
    assert (
        main(
            [
                "eval",
                "keypoints",
                "--run",
                "runs/keypoints-001",
                "--data",
                str(tmp_path / "true.csv"),
                "--out",
                str(tmp_path / "out"),
                "--quiet",
            ]
        )
        == 0
    )
    assert "all (n=4)" in capsys.readouterr().out


FEW = "data.train=[{format: generated, count: 10, side: 64}]"
KILLED = [
    "train",
    "keypoints",
    "--config",
    "recipe.yaml",
    "--out",
    "killed",
    "--set",
    FEW,
    "--set",
    "training.steps=24",
]


def test_killed_and_gone_on_with_it_is_the_same_run(place, programs):
    """SIGKILL while it trains; every step is logged once, as if nothing had been."""
    code = "import sys; from isotherm.cli import main; sys.exit(main(sys.argv[1:]))"
    process = programs.start(code, KILLED, cwd=place)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.runs() and not (place / "killed" / "checkpoint.pt").exists():
        time.sleep(0.02)
    ended = process.kill()
    assert ended.returncode == -signal.SIGKILL, ended
    assert json.loads((place / "killed" / "run.json").read_text())["status"] == "running"
    state = torch.load(place / "killed" / "checkpoint.pt", weights_only=True)
    assert 4 <= state["step"] < 24
    assert main([*KILLED[:-1], "training.steps=8", "--quiet"]) == 2  # another recipe is refused, and nothing is lost
    assert main(["train", "keypoints", "--resume", "killed", "--quiet"]) == 0
    steps = [row["step"] for row in read_figures(place / "killed" / "metrics.csv") if "loss" in row]
    assert steps == list(range(4, 28, 4))
    assert json.loads((place / "killed" / "run.json").read_text())["status"] == "finished"


def test_resume_needs_no_recipe(place, capsys):
    run = place / "runs" / "keypoints-001"
    before = (run / "best.safetensors").read_bytes()
    assert main(["train", "keypoints", "--resume", str(run), "--quiet"]) == 0
    assert (run / "best.safetensors").read_bytes() == before
    assert len(json.loads((run / "run.json").read_text())["starts"]) >= 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train"], "say what, as in: isotherm train keypoints"),
        (["train", "keypoints"], "give one of --config RECIPE, --data ANNOTATIONS, or --resume RUN"),
        (["train", "keypoints", "--config", "nothing.yaml"], "nothing.yaml cannot be read"),
        (
            ["train", "keypoints", "--config", "recipe.yaml", "--set", "training.step=3"],
            "training.step is not an option; did you mean 'steps'?",
        ),
        (["train", "keypoints", "--config", "recipe.yaml", "--set", "training"], "'training' sets nothing"),
        (["train", "keypoints", "--config", "recipe.yaml", "--set", "training.steps=-1"], "steps is -1"),
        (
            ["train", "keypoints", "--config", "recipe.yaml", "--set", "training.backbone_rate=0"],
            "a frozen backbone has the rate 0",
        ),
        (["train", "keypoints", "--config", "recipe.yaml", "--images", "x"], "--images goes with --data"),
        (
            ["train", "keypoints", "--config", "recipe.yaml", "--orientation", "stored"],
            "--orientation goes with --data",
        ),
        (["eval", "keypoints", "--run", "other", "--orientation", "stored"], "--orientation goes with --data"),
        (
            ["train", "keypoints", "--config", "recipe.yaml", "--device", "toaster"],
            "--device toaster: expected auto, cpu, cuda",
        ),
        (["train", "keypoints", "--config", "recipe.yaml", "--out", "other"], "other holds other files (mine.txt)"),
        (["train", "keypoints", "--data", "nothing.csv"], "nothing.csv cannot be read"),
        (["train", "keypoints", "--data", "points.csv"], "missing.png"),
        (["train", "keypoints", "--resume", "runs"], "runs holds no run to go on with"),
        (["train", "keypoints", "--resume", "runs/keypoints-001", "--steps", "5"], "--steps changes the run"),
        (["train", "keypoints", "--config", "broken.yaml"], "broken.yaml:3: no YAML"),
        (["train", "keypoints", "--config", "recipe.yaml", "--backbone", "no_such_network"], "no_such_network"),
        (["eval", "keypoints", "--run", "nothing"], "there is no nothing; expected the folder of a training run"),
        (["eval", "keypoints", "--run", "other"], "other holds no trained model"),
        (
            ["eval", "keypoints", "--run", "runs/keypoints-001", "--data", "points.csv", "--skip-bad"],
            "has the points beak",
        ),
        (
            ["eval", "keypoints", "--run", "runs/keypoints-001/best.safetensors"],
            "a model file does not say what to judge it by",
        ),
        (["eval", "keypoints", "--run", "runs/keypoints-001", "--out", "other"], "--out other holds other files"),
        (["predict", "keypoints", "nothing.png", "--run", "runs/keypoints-001"], "no file or folder 'nothing.png'"),
        (["predict", "keypoints", "a.png", "--run", "recipe.yaml"], "recipe.yaml cannot be read"),
        (["predict", "keypoints", "a.png", "--run", "runs/keypoints-001", "--box", "1,2,3"], "expected four numbers"),
        (
            ["predict", "keypoints", "a.png", "--run", "runs/keypoints-001", "--level", "95"],
            "--level 95.0: expected a probability",
        ),
        (
            ["predict", "keypoints", "a.png", "--run", "runs/keypoints-001", "--px-per-cm", "0"],
            "--px-per-cm 0.0: expected a number above 0",
        ),
        (["sweep", "nothing.yaml"], "nothing.yaml cannot be read"),
        (["sweep", "recipe.yaml"], "is not an option"),
        (["sweep", "bad_sweep.yaml"], "rat is not an option; did you mean 'rate'?"),
        (["sweep", "range_sweep.yaml"], "a grid needs a list of values"),
        (["sweep", "blind_sweep.yaml"], "nothing validates, so trials cannot be compared"),
    ],
)
def test_mistakes_get_their_message(place, arguments, says, capsys):
    (place / "other").mkdir(exist_ok=True)
    (place / "other" / "mine.txt").write_text("precious")
    (place / "broken.yaml").write_text("data:\n  train: [\n")
    (place / "points.csv").write_text("picture,beak_x,beak_y\nmissing.png,1,2\n")
    (place / "bad_sweep.yaml").write_text("recipe: recipe.yaml\nvalues: {training.rat: [1, 2]}\n")
    (place / "range_sweep.yaml").write_text(
        "recipe: recipe.yaml\nvalues: {training.rate: {low: 1.0e-4, high: 1.0e-2}}\n"
    )
    (place / "blind.yaml").write_text(
        RECIPE.replace("validation:", "# validation:").replace("margin: 0.0", "hold_out: 0.0")
    )
    (place / "blind_sweep.yaml").write_text("recipe: blind.yaml\nvalues: {training.rate: [1.0e-4]}\n")
    Image.new("RGB", (20, 20)).save(place / "a.png")
    runs = sorted(f.name for f in (place / "runs").iterdir())
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert says in " ".join(said.split()), said
    assert "Traceback" not in said
    assert sorted(f.name for f in (place / "runs").iterdir()) == runs  # nothing half-made stays
    assert [f.name for f in (place / "other").iterdir()] == ["mine.txt"]


def test_the_top_of_the_package_predicts_by_a_runs_folder(place):
    import isotherm

    picture = make_beetle(HELD_OUT[0]).picture
    run = place / "runs" / "keypoints-001"
    one = isotherm.predict(run, picture)
    assert one.xy.shape == (1, 4, 2)
    both = isotherm.predict(open_run(run)[0], [picture, Image.fromarray(picture)], boxes=[(0, 0, 60, 60), None])
    torch.testing.assert_close(both.xy[1], one.xy[0])
    assert not torch.allclose(both.xy[0], one.xy[0])
    with pytest.raises(OptionError, match="1 boxes for 2 pictures"):
        isotherm.predict(run, [picture, picture], boxes=[None])
