"""A recipe that is not there: the message names one of the same kind, which is there and opens as that kind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from isotherm.cli.main import main
from isotherm.jobs.train.recipe_modules import recipe_module
from isotherm.train.recipe import read_recipe

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "words",
    [["train", "keypoints"], ["train", "grounding"], ["train", "anticipation"], ["ablate", "anticipation"]],
    ids=" ".join,
)
def test_the_message_names_a_recipe_of_the_kind(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--config", "nothing.yaml"]) == 2
    said = capsys.readouterr().err
    assert "nothing.yaml cannot be read" in said
    named = re.search(r"such as (recipes/\S+\.yaml)", said)
    recipe_module(words[-1]).recipe_from(read_recipe(ROOT / named[1]), where=named[1])


def test_a_sweep_names_a_sweep(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", "nothing.yaml"]) == 2
    named = re.search(r"nothing.yaml cannot be read .*such as (recipes/\S+\.yaml)", capsys.readouterr().err)
    assert "values" in read_recipe(ROOT / named[1])


def test_where_no_recipe_is_shipped_none_of_another_kind_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "tiny-anticipation", "--config", "nothing.yaml"]) == 2
    said = capsys.readouterr().err
    assert "nothing.yaml cannot be read" in said
    assert "such as recipes/" not in said
