"""Ctrl+C is told as such, also before the first picture: nobody shall read that no picture could be read."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
import tyro
from PIL import Image

from isotherm.cli import main, predict_keypoints
from isotherm.data.sources import Item
from isotherm.errors import JobCancelled
from isotherm.runs.read import read_items, read_run
from isotherm.runs.record import Summary
from rigs.breadth import wide

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
    assert "stopped after 0" in said.err
    assert "what was finished is kept" in said.err
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


INTERRUPTING = """
import os, signal, sys
import isotherm.jobs.explain.outputs as outputs
signal.signal(signal.SIGINT, signal.default_int_handler)
real, count = outputs.save_picture, [0]
def save_picture(*arguments, **options):
    count[0] += 1
    if count[0] == {at}:  # in the third picture, of which the raw map and the overlay's file are there already
        path = real(*arguments, **options)
        os.kill(os.getpid(), signal.{signal})
        return path
    return real(*arguments, **options)
outputs.save_picture = save_picture
from isotherm.console import entry
sys.argv = ["isotherm", "explain", *[f"{{i}}.png" for i in range(5)], "--model", "scenes", "--trust", "off", "--out", "out"]
entry()
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_in_the_third_picture_leaves_two_whole_ones_and_says_how_far_it_came(tmp_path, programs, name, code):
    for i in range(5):
        Image.new("RGB", (40, 40), (50 * i, 90, 90)).save(tmp_path / f"{i}.png")
    program = INTERRUPTING.format(at=5, signal=name)  # an overlay and a panel for each picture
    ended = programs.run(program, cwd=tmp_path)
    assert ended.returncode == code, ended.stderr
    assert "interrupted after 2 of 5: 2 done, 0 failed in " in ended.stdout
    assert "stopped after 2 of 5; what was finished is kept" in ended.stderr
    out = tmp_path / "out"
    assert read_run(out)["status"] == "interrupted"
    items = read_items(out)
    assert [item["name"] for item in items] == ["0.png", "1.png"]
    listed = {fname for item in items for fname in item["files"]}
    assert {fpath.name for fpath in out.iterdir()} == listed | {"run.json", "items.jsonl", "report.html"}
    assert "The run was interrupted after 2 of 5." in (out / "report.html").read_text()


SECOND = {
    "while the report is ended": """
import isotherm.jobs.explain.run as job
job.missing_lines = again(job.missing_lines)
""",
    "while the record is ended": """
from isotherm.runs.file import RunFile
RunFile.end = again(RunFile.end)
""",
    "before the last lines": """
import isotherm.cli.explain as command
command.closing = again(command.closing)
""",
    "while the message is printed": """
class Error:
    def __getattr__(self, name):
        return getattr(sys.__stderr__, name)
    def write(self, text):
        written = sys.__stderr__.write(text)
        if "stopped after" in text:
            again(len)(text)
        return written
sys.stderr = Error()
""",
    "while the interpreter ends": """
import atexit
atexit.register(again(print))
""",
}
"""When Ctrl+C comes a second time, after a first one in the third picture."""
SHORTLY = ("while the record is ended", "while the interpreter ends")
"""Those for make test: within the job, and behind all of it."""
TWICE = """
import os, signal, sys
def again(inner):
    def stopped(*arguments, **options):
        global twice
        if count[0] >= 5 and not twice:
            twice = True
            os.kill(os.getpid(), signal.SIGINT)
        return inner(*arguments, **options)
    return stopped
twice = False
"""


@pytest.mark.parametrize("when", [*SHORTLY, *wide(when for when in SECOND if when not in SHORTLY)])
def test_a_second_ctrl_c_while_the_run_ends_gives_one_message_and_a_whole_record(tmp_path, programs, when):
    for i in range(4):
        Image.new("RGB", (40, 40), (50 * i, 90, 90)).save(tmp_path / f"{i}.png")
    program = INTERRUPTING.format(at=5, signal="SIGINT").replace("range(5)", "range(4)")
    before, entry = program.split("from isotherm.console import entry\n")
    program = f"{before}{TWICE}{SECOND[when]}\nfrom isotherm.console import entry\n{entry}"
    ended = programs.run(program, cwd=tmp_path)
    assert ended.returncode == 130, ended.stderr
    assert ended.stderr.count("what was finished is kept") == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert read_run(tmp_path / "out")["status"] == "interrupted"
    assert [item["name"] for item in read_items(tmp_path / "out")] == ["0.png", "1.png"]


def test_ctrl_c_while_options_are_read_ends_quietly(monkeypatch, capsys):
    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(tyro, "cli", interrupted)
    assert main(["explain", "a.png"]) == 130
    assert capsys.readouterr().err == ""


def test_pictures_that_failed_stand_in_the_report_and_at_the_end(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 40), (200, 20, 20)).save("good.png")
    for name in ("cut.png", "<b>.png"):
        Path(name).write_bytes(Path("good.png").read_bytes()[:50])
    options = ["--model", "scenes", "--trust", "off", "--out"]
    assert main(["explain", "cut.png", "good.png", "<b>.png", *options, "out"]) == 1
    said = capsys.readouterr().out
    assert "failed: cut.png is damaged" in said
    page = Path("out/report.html").read_text()
    assert "cut.png could not be explained: cut.png is damaged" in page
    assert "&lt;b&gt;.png could not be explained" in page
    assert main(["explain", "cut.png", "<b>.png", *options, "none"]) == 2
    said = capsys.readouterr()
    assert "look at" not in said.out + said.err
    assert Path("none/report.html").read_text().count("could not be explained") == 2
