"""Ctrl+C is told as such, also before the first picture: nobody shall read that no picture could be read."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from PIL import Image

from isotherm.cli import main, predict_keypoints
from isotherm.data.sources import Item
from isotherm.errors import JobCancelled
from isotherm.runs.read import read_run
from isotherm.runs.record import Summary

COMMANDS = {
    "explain": ["explain", "a.png", "--model", "scenes", "--trust", "off"],
    "explain several": ["explain", "a.png", "b.png", "--model", "scenes", "--trust", "off"],
    "count": ["count", "a.png", "--category", "red", "--model", "tiny-vlm", "--weights", "none"],
    "predict grounding": ["predict", "grounding", "a.png", "pick the red block"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("stop", [KeyboardInterrupt, JobCancelled])
def test_stopped_before_the_first_picture(command, stop, tmp_path, monkeypatch, capsys):
    def stopping(*_args, **_options):
        raise stop

    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 40)).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Item, "load", stopping)
    assert main([*COMMANDS[command], "--out", "out"]) == 130
    said = capsys.readouterr()
    assert "stopped; what was finished is kept" in said.err
    assert "none of" not in said.err
    assert "look at" not in said.out
    status = read_run(tmp_path / "out")["status"]
    assert status == ("interrupted" if stop is KeyboardInterrupt else "cancelled")
    assert "Traceback" not in json.dumps(status)


def test_points_of_pictures_are_told_the_same(tmp_path, monkeypatch, capsys):
    summary = Summary(Path("out"), 0, (), 1.0, "interrupted")
    monkeypatch.setattr(predict_keypoints, "run_job", lambda *_args, **_options: summary)
    assert main(["predict", "keypoints", "a.png", "--run", "runs/keypoints-001"]) == 130
    assert "none of" not in capsys.readouterr().err
    monkeypatch.setattr(
        predict_keypoints, "run_job", lambda *_args, **_options: Summary(Path("out"), 0, (("a", "b"),), 1.0, "finished")
    )
    assert main(["predict", "keypoints", "a.png", "--run", "runs/keypoints-001"]) == 2
    said = capsys.readouterr()
    assert "none of the pictures could be read" in said.err
    assert "look at" not in said.out


def test_where_no_picture_is_counted_nothing_is_promised(tmp_path, monkeypatch, capsys):
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    monkeypatch.chdir(tmp_path)
    assert main([word if word != "a.png" else "cut.png" for word in COMMANDS["count"]]) == 2
    said = capsys.readouterr()
    assert "none of the pictures could be counted" in said.err
    assert "look at" not in said.out


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch, capsys):
    def refused(*_args, **_options):
        raise PermissionError(13, "Permission denied", "out/.run.json.x")

    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "mkstemp", refused)
    assert main(COMMANDS["predict grounding"]) == 2
    said = capsys.readouterr().err
    assert "out/.run.json.x cannot be read or written (Permission denied); look at the permissions" in said
    assert "not foreseen" not in said
