"""How a command that went through pictures ends: what stands at the end, and nothing twice."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from isotherm.cli import main
from isotherm.cli.exit_code import MOST_FAILURES, closing
from isotherm.runs.record import Summary

OPTIONS = ["--model", "scenes", "--trust", "off", "--out"]


def test_one_picture_that_failed_is_told_once_and_of_several_a_list_stands_at_the_end(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 40), (200, 20, 20)).save("good.png")
    Path("cut.png").write_bytes(Path("good.png").read_bytes()[:50])
    assert main(["explain", "cut.png", *OPTIONS, "one"]) == 2
    said = capsys.readouterr()
    assert (said.out + said.err).count("cut.png is damaged") == 1
    assert "isotherm: cut.png is damaged" in said.err
    assert "0 done, 1 failed in " in said.out
    assert main(["explain", "cut.png", "good.png", *OPTIONS, "two"]) == 1
    said = capsys.readouterr()
    assert "  failed: cut.png is damaged" in said.out
    assert "isotherm: cut.png is damaged" in said.err


def test_the_list_of_failures_is_short_and_says_where_the_others_stand():
    failed = tuple((f"{i}.png", "damaged") for i in range(MOST_FAILURES + 3))
    lines = closing(Summary(Path("runs/a"), 0, failed, 1.0, "finished")).splitlines()
    assert len(lines) == 1 + MOST_FAILURES + 1
    assert lines[1] == "  failed: 0.png: damaged"
    assert lines[-1] == "  and 3 more, in runs/a/items.jsonl"
    assert len(closing(Summary(Path("runs/a"), 0, failed[:MOST_FAILURES], 1.0, "finished")).splitlines()) == 21
