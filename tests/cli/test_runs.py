"""``isotherm runs``: the table, the JSON, and what is said of folders that hold no run."""

from __future__ import annotations

import json
from datetime import datetime

from isotherm.cli import main
from isotherm.runs.record import Run


def make(root, command):
    with Run(command[1], root=root, command=command) as run:
        run.done("a.jpg")
        run.failed("b.jpg", "damaged")
    return run.dpath


def test_a_row_for_each_run_and_a_line_for_what_is_skipped(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    dpath = make("runs", ["isotherm", "explain", *(f"picture-{i}.jpg" for i in range(40)), "--layer", "layer4[-1]"])
    (tmp_path / "runs" / "notes").mkdir()
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    head, row = out.rstrip("\n").split("\n")
    assert head.split() == ["started", "job", "status", "done", "failed", "seconds", "folder", "command"]
    cells = row.split()
    assert cells[2:6] == ["explain", "finished", "1", "1"]
    assert cells[7] == str(dpath)
    # whole, and no words of it taken for markup
    assert cells[8:] == ["isotherm", "explain", *(f"picture-{i}.jpg" for i in range(40)), "--layer", "'layer4[-1]'"]
    assert err == "skipped runs/notes: it holds no run.json, nor does a folder in it\n"


def test_json_has_the_same_and_what_was_skipped(tmp_path, capsys):
    dpath = make(tmp_path, ["isotherm", "count", "a.jpg"])
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text("{")
    assert main(["runs", str(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert err == ""
    record = json.loads((dpath / "run.json").read_text())
    (entry,) = answer["runs"]
    assert datetime.fromisoformat(entry.pop("started")) == datetime.fromisoformat(record["started"])
    assert entry == {
        "dpath": str(dpath),
        "job": "count",
        "command": "isotherm count a.jpg",
        "status": "finished",
        "done": 1,
        "failed": 1,
        "seconds": record["seconds"],
    }
    assert [one["dpath"] for one in answer["skipped"]] == [str(tmp_path / "bad")]


def test_an_empty_folder_and_none_at_all(tmp_path, capsys):
    assert main(["runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"there are no runs in {tmp_path}\n"
    assert main(["runs", str(tmp_path / "nowhere")]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_what_a_terminal_would_obey_is_spelt_out(tmp_path, monkeypatch, capsys):
    """A record of somebody else's may hold anything: colours, a window's title, text from right to left."""
    monkeypatch.chdir(tmp_path)
    hostile = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egpj"
    dpath = make("runs", ["isotherm", "explain", "a.jpg"])
    record = json.loads((dpath / "run.json").read_text())
    (dpath / "run.json").write_text(json.dumps({**record, "job": hostile, "status": hostile, "command": hostile}))
    (tmp_path / "runs" / "\x1b[31mred").mkdir()
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    assert out.count(r"\x1b]0;owned\x07\x1b[2J\x9b31m\u202egpj") == 3
    assert r"skipped runs/\x1b[31mred" in err
    assert not {"\x1b", "\x9b", "\x07", "\u202e"} & {*out, *err}
