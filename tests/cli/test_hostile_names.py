"""Files with hostile names: computed, recorded, shown escaped, never fatal."""

from __future__ import annotations

import io
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.cli import main
from isotherm.draw import read_command
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.runs.read import read_items, read_run
from rigs.hostile_names import NAMES, files_of, hidden


def png(size=(48, 32)) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)).save(file, "png")
    return file.getvalue()


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *words: str) -> tuple[int, str]:
    """The exit code, and all that was printed."""
    code = main(list(words))
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def test_a_folder_of_hostile_names_is_explained_recorded_and_shown(place, capsys):
    paths = files_of(place / "in", png())
    code, printed = run(capsys, "explain", "in", "--model", "scenes", "--trust", "off", "--out", "out")
    assert code == 0, printed
    assert hidden(printed) == []
    assert r"bad\xff\xfe.png" in printed
    assert r"esc\x1b[31mred.png" in printed
    items = read_items("out")
    assert sorted(str(place / item["source"]) for item in items) == paths  # each can be opened again
    assert (len(items), read_run("out")["status"]) == (len(NAMES), "finished")
    names = [name for item in items for name in item["files"] if name.endswith(".npz")]
    assert len(set(names)) == len(NAMES)
    assert hidden("".join(str(fpath) for fpath in Path("out").iterdir())) == []
    for fname in ("report.html", "items.jsonl", "run.json"):
        assert hidden(Path("out", fname).read_text("utf-8")) == []
    report = Path("out/report.html").read_text("utf-8")
    assert "<script>document" not in report
    assert r"rtl\u202egnp.exe.png" in report
    code, printed = run(capsys, "show", *(str(Path("out", n)) for n in names[:3]))
    assert (code, hidden(printed)) == (0, [])
    code, printed = run(capsys, "runs", ".")
    assert (code, hidden(printed)) == (0, [])


def test_damaged_pictures_of_hostile_names_are_named_escaped(place, capsys):
    files_of(place / "in", b"\x89PNG\r\n\x1a\n no picture")
    code, printed = run(capsys, "explain", "in", "--model", "scenes", "--trust", "off", "--out", "out")
    assert code == 2
    assert hidden(printed) == []
    assert printed.count("isotherm: ") >= len(NAMES)
    assert r"line\u2028break.png" in printed


@pytest.mark.parametrize("name", NAMES)
def test_one_file_of_a_hostile_name_is_opened_or_refused_in_words(place, capsys, name):
    given = os.fsdecode(name)
    Path(given).write_bytes(png())
    code, printed = run(capsys, "explain", f"./{given}", "--model", "scenes", "--trust", "off", "--out", "out")
    assert hidden(printed) == []
    assert code == 0, printed
    assert [item["source"].removeprefix("./") for item in read_items("out")] == [given]
    (drawn,) = Path("out").glob("*HiResCAM.jpg")
    for line in (read_run("out")["command"], read_command(drawn)):  # a shell takes it apart into the same words
        words = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True).stdout
        assert words.split(b"\0")[2] == b"./" + name


def test_lists_and_annotations_that_name_such_files(place, capsys):
    paths = files_of(place / "in", png())
    Path("list.txt").write_bytes(b"".join(os.fsencode(p) + b"\n" for p in paths if "\n" not in p and "\r" not in p))
    code, printed = run(capsys, "explain", "@list.txt", "--model", "scenes", "--trust", "off", "--out", "out")
    assert hidden(printed) == []
    assert "Traceback" not in printed
    coco = {
        "images": [{"id": i, "file_name": p, "width": 48, "height": 32} for i, p in enumerate(paths)],
        "annotations": [],
        "categories": [{"id": 1, "name": "\x1b[31m", "keypoints": ["a\u202e"]}],
    }
    Path("coco.json").write_text(json.dumps(coco))
    code, printed = run(capsys, "train", "keypoints", "--set", "data.train.annotations=coco.json", "--out", "t")
    assert hidden(printed) == []
    assert code != 0


def test_counts_of_hostile_names_are_shown_escaped(place, capsys):
    for name in NAMES[:7]:
        Path(os.fsdecode(name)).write_bytes(png())
    words = ["--model", "tiny-vlm", "--category", "red", "--strategy", "global", "--out", "out"]
    code, printed = run(capsys, "count", ".", *words)
    assert code == 0, printed
    assert hidden(printed) == []
    assert r"esc\x1b[31mred.png: " in printed


def test_maps_of_hostile_labels_are_shown_escaped(place, capsys):
    for number, name in enumerate(NAMES):
        label = name.decode("utf-8", "surrogateescape")
        Heatmap(torch.ones(8, 8), Frame.identity((8, 8)), "probability", label=label).save(f"{number}.npz")
    code, printed = run(capsys, "show", *(f"{n}.npz" for n in range(len(NAMES))))
    assert (code, hidden(printed)) == (0, [])
