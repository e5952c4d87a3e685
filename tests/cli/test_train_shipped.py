"""``isotherm train scenes | detector | tiny-vlm | tiny-grounding``: one way to train what ships, interrupted and gone on with."""

from __future__ import annotations

import json
import shlex

import pytest
import torch

from isotherm.cli import main
from isotherm.errors import OptionError
from isotherm.progress import Progress
from isotherm.train.grounding.build import open_grounding
from isotherm.train.run_folder import RunFolder
from isotherm.zoo.detector.network import load_detector
from isotherm.zoo.scenes.network import load_scene_net
from isotherm.zoo.scenes.recipe import SceneRecipe
from isotherm.zoo.scenes.training import SceneTraining
from isotherm.zoo.shipped import command_of, ship
from isotherm.zoo.tiny_vlm.network import load_tiny_vlm

SCENES = {
    "training.close_ups": 8,
    "training.close_up_steps": 1,
    "training.scenes": 8,
    "training.batch": 4,
    "training.keep_every": 2,
    "training.sizes": [[64, 64]],
    "network.size": [64, 64],
    "network.widths": [4, 6, 8, 8],
}
DETECTOR = {
    "training.scenes": 4,
    "training.batch": 2,
    "training.sizes": [[64, 64]],
    "network.size": [64, 64],
    "network.widths": [8, 16],
    "network.hidden": 8,
}
FEW = {"validated": 2, "held_out": 3}


def words(values):
    return [word for path, value in {**values, **FEW}.items() for word in ("--set", f"{path}={json.dumps(value)}")]


def test_scenes_are_trained_and_the_recipes_command_makes_the_same_bits(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "scenes", "--seed", "2", "--steps", "4", "--threads", "1", "--quiet", *words(SCENES)]) == 0
    shown = capsys.readouterr()
    assert "held out: mean average precision" in shown.out
    assert shown.err == ""
    fpath = tmp_path / "runs" / "scenes-2.safetensors"
    facts = json.loads(fpath.with_suffix(".json").read_text())
    assert facts["training"]["seed"] == 2
    assert facts["training"]["steps"] == 4
    model = load_scene_net(fpath)
    assert model.config.names[:2] == ("star", "cross")  # all classes, though the network was changed
    arguments = shlex.split(facts["command"])
    assert arguments[:3] == ["isotherm", "train", "scenes"]
    assert main([*arguments[1:], "--quiet"]) == 0
    again = tmp_path / "scenes-2.safetensors"
    assert again.read_bytes() == fpath.read_bytes()
    assert json.loads(again.with_suffix(".json").read_text())["sha256"] == facts["sha256"]
    # the same command once more trains nothing
    before = (tmp_path / "scenes-2.run" / "model.safetensors").stat().st_mtime_ns
    assert main([*arguments[1:], "--quiet"]) == 0
    assert (tmp_path / "scenes-2.run" / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("task", "values", "opened"),
    [
        ("detector", DETECTOR, load_detector),
        ("tiny-vlm", {"training.batch": 2}, load_tiny_vlm),
        ("tiny-grounding", {"training.batch": 2, "training.tables": 2, "training.views": ["top"]}, open_grounding),
    ],
)
def test_the_others_are_trained_alike(task, values, opened, tmp_path, capsys):
    out = tmp_path / "net.safetensors"
    assert main(["train", task, "--steps", "2", "--threads", "1", "--out", str(out), *words(values)]) == 0
    opened(out)
    facts = json.loads(out.with_suffix(".json").read_text())
    assert facts["command"].startswith(f"isotherm train {task} --seed 0 --threads 1 --set training.steps=2")
    assert facts["results"]["held_out"]
    assert "training, 2 of 2: loss" in capsys.readouterr().err


def test_a_recipe_from_a_file_and_an_interrupted_run(tmp_path, capsys):
    """Killed after its first checkpoint, the same call ends in the same bits as a run that was left alone."""
    recipe = SceneRecipe(
        training=SceneTraining(
            steps=6, close_ups=8, close_up_steps=2, scenes=8, batch=4, keep_every=2, log_every=1, sizes=((64, 64),)
        ),
        **FEW,
    )

    def stop(message):
        if isinstance(message, Progress) and message.stage == "training" and message.step == 5:
            raise KeyboardInterrupt

    cut, whole = tmp_path / "cut.safetensors", tmp_path / "whole.safetensors"
    with pytest.raises(KeyboardInterrupt):
        ship(recipe, cut, say=stop)
    assert not cut.exists()
    assert (tmp_path / "cut.run" / "checkpoint.pt").exists()
    said = []
    ship(recipe, cut, say=said.append)
    assert "going on from step 4" in said
    assert not (tmp_path / "cut.run" / "checkpoint.pt").exists()
    ship(recipe, whole)
    assert cut.read_bytes() == whole.read_bytes()
    (tmp_path / "recipe.yaml").write_text(
        "training: {steps: 6, close_ups: 8, close_up_steps: 2, scenes: 8, batch: 4, keep_every: 2, log_every: 1, sizes: [[64, 64]]}\n"
        "validated: 2\nheld_out: 3\n"
    )
    read = tmp_path / "read.safetensors"
    assert main(["train", "scenes", "--config", str(tmp_path / "recipe.yaml"), "--out", str(read), "--quiet"]) == 0
    assert read.read_bytes() == whole.read_bytes()


def test_weights_of_something_else_are_not_replaced(tmp_path):
    out = tmp_path / "mine.safetensors"
    out.write_bytes(b"precious")
    with pytest.raises(OptionError, match="exists already"):
        ship(SceneRecipe(), out)
    assert out.read_bytes() == b"precious"
    RunFolder(tmp_path / "other.run", {"model": "detector"})
    with pytest.raises(OptionError, match="another recipe"):
        ship(SceneRecipe(), tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--out", "net.bin"], "the name must end in .safetensors"),
        (["--out", "nowhere/net.safetensors"], "there is no folder nowhere"),
        (["--threads", "0"], "--threads 0: expected a whole number of at least 1"),
        (["--seed", "-1"], "--seed -1: expected a whole number of at least 0"),
        (["--seed", "1048576"], "seed below 2**20"),
        (["--set", "training.colour=3"], "training.colour is not an option"),
        (["--set", "validated=0"], "validated is 0"),
        (["--config", "nothing.yaml"], "nothing.yaml cannot be read"),
        (["--device", "toaster"], "--device toaster: expected auto, cpu, cuda"),
    ],
)
def test_mistakes(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "scenes", *arguments]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.glob("**/*.safetensors"))


def test_the_command_of_a_recipe_says_what_is_not_the_default(tmp_path):
    out = tmp_path / "x.safetensors"
    assert command_of(SceneRecipe(), out) == (
        f"isotherm train scenes --seed 0 --threads {torch.get_num_threads()} --out x.safetensors"
    )
    recipe = SceneRecipe(training=SceneTraining(seed=2, precision="float32", sizes=((64, 64),)), held_out=5)
    assert command_of(recipe, out).endswith(
        "--set training.precision=float32 --set 'training.sizes=[[64, 64]]' --set held_out=5 --out x.safetensors"
    )
    assert "--seed 2" in command_of(recipe, out)
