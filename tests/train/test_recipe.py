"""Configurations from plain data: round trips, and the message for everything that is wrong."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from isotherm.errors import OptionError
from isotherm.train.keypoint_build import ModelChoice
from isotherm.train.keypoints import KeypointTraining
from isotherm.train.recipe import from_plain, read_recipe

YAML = """
seed: 3
steps: 500
size: [128, 96]
objective: {loss: mse, sigma: 1.5}
augmentation:
  scale: [0.9, 1.1]
schedule: {shape: wsd, warm_up: 10}
average: null
"""


def test_from_yaml(tmp_path):
    (tmp_path / "recipe.yaml").write_text(YAML)
    config = from_plain(KeypointTraining, read_recipe(tmp_path / "recipe.yaml"))
    assert (config.seed, config.size, config.average) == (3, (128, 96), None)
    assert config.objective.loss == "mse"
    assert config.augmentation.scale == (0.9, 1.1)
    assert config.schedule.shape == "wsd"


@pytest.mark.parametrize(
    "config",
    [
        KeypointTraining(),
        KeypointTraining(size=(32, 64), clip=None),
        ModelChoice(widths=(8,), head_options={"widths": [8]}),
    ],
)
def test_there_and_back(config):
    assert from_plain(type(config), json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize(
    ("plain", "says"),
    [
        ({"stpes": 5}, "a.yaml: stpes is not an option; did you mean 'steps'"),
        ({"objective": {"sgima": 2}}, r"a.yaml: objective.sgima is not an option; did you mean 'sigma'"),
        ({"zebra": 1}, "expected one of seed, steps"),
        ({"steps": "many"}, "a.yaml: steps: .*integer.*'many'"),
        ({"size": [1, 2, 3]}, "a.yaml: size"),
        (
            {"objective": {"loss": "l1"}},
            "a.yaml: objective.loss: .*'cross_entropy', 'mse' or 'coordinate_mse'.*given 'l1'",
        ),
        ({"objective": {"sigma": -1.0}}, "sigma is -1"),
        ({"steps": 0}, "steps is 0; expected at least 1"),
        ({"objective": 3}, "a.yaml: objective"),
    ],
)
def test_what_is_wrong_is_named(plain, says):
    with pytest.raises(OptionError, match=says):
        from_plain(KeypointTraining, plain, where="a.yaml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seed: [1", r"recipe\.yaml:1: no YAML"),
        ("- 1", "holds list; expected names with values"),
        ("seed: 1\nmodel:\n  size: 3\n  size: 4\n", r"recipe\.yaml:4: no YAML \(size is given twice\)"),
        ("a: !!python/object:os.system {}", "no YAML"),
        ("", "NoneType"),
    ],
)
def test_files_that_are_no_recipe(text, says, tmp_path):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(OptionError, match=says):
        read_recipe(tmp_path / "recipe.yaml")
    with pytest.raises(OptionError, match="cannot be read"):
        read_recipe(tmp_path / "missing.yaml")


def test_what_is_merged_may_be_given_again(tmp_path):
    (tmp_path / "recipe.yaml").write_text("base: &base {rate: 1, decay: 2}\nprobe: {<<: *base, rate: 3}\n")
    assert read_recipe(tmp_path / "recipe.yaml")["probe"] == {"rate": 3, "decay": 2}
