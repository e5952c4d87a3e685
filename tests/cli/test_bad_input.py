"""Forty mistakes: each gets a message that says what to do, exit code 2, and leaves nothing half-written."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isotherm.cli import main


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ISOTHERM_HOME", str(tmp_path / "home"))
    rng = np.random.default_rng(0)
    good = Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))
    good.save("good.jpg")
    good.save("good.png")
    whole = Path("good.png").read_bytes()
    Path("cut.png").write_bytes(whole[: len(whole) // 2])
    good.save("-mine.jpg")
    Path("cut.jpg").write_bytes(Path("good.jpg").read_bytes()[:300])
    Path("text.jpg").write_text("this is no picture")
    Path("empty.jpg").write_bytes(b"")
    Path("bomb.png").write_bytes(bomb(30_000, 30_000))
    Path("notes.docx").write_bytes(b"PK\x03\x04")
    Path("nothing").mkdir()
    Path("empty.txt").write_text("")
    Path("list.txt").write_text("missing-one.jpg\n")
    Path("video.mp4").write_bytes(b"\x00" * 100)
    Path("evil.pt").write_bytes(pickle.dumps(Evil()))
    Path("half.safetensors").write_bytes(struct.pack("<Q", 1 << 40) + b"{}")
    Path("full").mkdir()
    Path("full/mine.doc").write_text("precious")
    Path("afile").write_text("")
    return tmp_path


class Evil:
    def __reduce__(self):
        return (Path.write_text, (Path("ran.txt"), "code in a weights file ran"))


def bomb(h: int, w: int) -> bytes:
    """A small PNG that would open to gigabytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


SCENES = ["--model", "scenes", "--trust", "off"]
CASES = {
    # what is looked at
    "missing picture": (["godo.jpg", *SCENES], "did you mean|good.jpg"),
    "file like an option": (["-mine.jpg", *SCENES], "-mine.jpg is a file here.*write ./-mine.jpg"),
    "nothing given": ([*SCENES], "nothing was given"),
    "empty folder": (["nothing", *SCENES], "nothing"),
    "glob without a match": (["*.webp", *SCENES], r"\*\.webp"),
    "empty list": (["empty.txt", *SCENES], "empty"),
    "list of missing pictures": (["list.txt", *SCENES], "missing-one"),
    "not a picture": (["text.jpg", *SCENES], "text.jpg"),
    "empty file": (["empty.jpg", *SCENES], "empty"),
    "picture cut short": (["cut.png", *SCENES], "cut.png"),
    "JPEG cut short": (["cut.jpg", *SCENES], "cut.jpg"),
    "picture bomb": (["bomb.png", *SCENES], "megapixel|pixels"),
    "document": (["notes.docx", *SCENES], "notes.docx"),
    "broken video": (["video.mp4", *SCENES], "video.mp4"),
    "no such webcam": (["7", *SCENES], "camera|webcam"),
    "address of this machine": (["http://127.0.0.1/a.jpg", *SCENES], "127.0.0.1|private|loopback"),
    "address without a scheme we know": (["ftp://example.org/a.jpg", *SCENES], "ftp"),
    # the model
    "unknown model": (["good.jpg", "--model", "resnet51"], "did you mean .*resnet50"),
    "missing weights": (["good.jpg", "--model", "yolo99.pt"], "yolo99.pt"),
    "weights without a model": (
        ["good.jpg", "--model", "half.safetensors"],
        "a safetensors file without a tensor in it",
    ),
    "broken weights": (["good.jpg", "--model", "resnet18", "--weights", "half.safetensors"], "half.safetensors"),
    "weights that run code": (
        ["good.jpg", "--model", "evil.pt"],
        "evil.pt is a pickle that calls pathlib.Path.write_text, and no network",
    ),
    "allowing it in the old spelling": (
        ["good.jpg", "--model", "evil.pt", "--trust=evil.pt"],
        "named with --allow-code evil.pt",
    ),
    "allowing a file that is not there": (
        ["good.jpg", "--model", "evil.pt", "--allow-code", "nowhere.pt"],
        "nowhere.pt",
    ),
    "folder without a model": (["good.jpg", "--model", "nothing"], "config.json"),
    "hub name without a network": (["good.jpg", "--model", "nobody/nothing"], "nobody/nothing"),
    "unknown prefix name": (["good.jpg", "--model", "timm:resnet_fifty"], "resnet"),
    "option the model does not take": (
        ["good.jpg", *SCENES, "--classes", "cat"],
        "scenes, which ships with isotherm, takes no --classes; leave it out .known are --device, --seed, --weights",
    ),
    # what to explain
    "unknown class": (["good.jpg", *SCENES, "--class", "trianlge"], "triangle"),
    "class number too high": (["good.jpg", *SCENES, "--class", "99"], "numbered from 0"),
    "class against itself": (["good.jpg", *SCENES, "--class", "star", "--versus", "star"], "itself"),
    "detector's option on a classifier": (["good.jpg", *SCENES, "--box", "0"], "classifier|ClassLogit"),
    "class and box": (["good.jpg", *SCENES, "--class", "star", "--box", "0"], "give one of them"),
    "box that is no box": (["good.jpg", *SCENES, "--box", "5,5,1,1"], "less than"),
    "box of three numbers": (["good.jpg", *SCENES, "--box", "1,2,3"], "four numbers"),
    "unknown part": (["good.jpg", *SCENES, "--target", "tail"], "expected class, box"),
    "keypoint without a number": (["good.jpg", *SCENES, "--target", "keypoint"], "keypoint:3"),
    "top 0": (["good.jpg", *SCENES, "--top", "0"], "at least 1"),
    "top too many": (["good.jpg", *SCENES, "--top", "500"], "number of classes"),
    # how
    "several methods where one goes": (["good.jpg", *SCENES, "--method", "gradcam,hirescam"], "--compare takes them"),
    "unknown method": (["good.jpg", *SCENES, "--method", "gradcamm"], "did you mean gradcam"),
    "method and compare": (
        ["good.jpg", *SCENES, "--method", "gradcam", "--compare", "gradcam,hirescam"],
        "one of the two",
    ),
    "empty entry in a list": (["good.jpg", *SCENES, "--compare", "gradcam,,hirescam"], "empty entry"),
    "unknown layer": (["good.jpg", *SCENES, "--layer", "layer99"], "no layer 'layer99'"),
    "layer without cells": (["good.jpg", *SCENES, "--method", "rollout"], "attention"),
    "unknown style": (["good.jpg", *SCENES, "--style", "isotherms"], "did you mean 'isotherm'"),
    "opacity": (["good.jpg", *SCENES, "--opacity", "1.5"], "from 0 to 1"),
    "unknown colour map": (["good.jpg", *SCENES, "--colormap", "infernal"], "infernal"),
    "batch 0": (["good.jpg", *SCENES, "--batch", "0"], "at least 1"),
    "device that is not there": (["good.jpg", *SCENES, "--device", "cuda:9"], "there is no device 'cuda:9' here"),
    "device that is none": (["good.jpg", *SCENES, "--device", "toaster"], "expected auto"),
    "size": (["good.jpg", *SCENES, "--size", "12"], "from 16"),
    "confidence": (["good.jpg", *SCENES, "--confidence", "2"], "from 0 to 1"),
    "trust in nothing": (["good.jpg", "--model", "scenes", "--trust", "fsat"], "'fast', 'full'"),
    "folder of others as output": (["good.jpg", *SCENES, "--out", "full"], "other files"),
    "file as output": (["good.jpg", *SCENES, "--out", "afile"], "afile"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_gets_a_message_and_leaves_nothing(name, place, capsys):
    arguments, says = CASES[name]
    before = {p: p.read_bytes() for p in place.rglob("*") if p.is_file()}
    code = main(["explain", *arguments])
    said = capsys.readouterr()
    assert code == 2, said
    assert "Traceback" not in said.err + said.out
    assert "look at" not in said.out  # there is nothing
    import re

    assert re.search(says, said.err, re.IGNORECASE | re.DOTALL), said.err
    assert not (place / "ran.txt").exists()
    for fpath, content in before.items():
        assert fpath.read_bytes() == content
    # nothing new stays, but for the record of pictures that could not be read
    new = {p for p in place.rglob("*") if p.is_file()} - before.keys()
    assert not new or "could be explained" in said.err, new
    assert not [p for p in new if p.name.startswith(".") and p.suffix != ".cache"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["explain"],
        ["layers"],
        ["explian"],
        ["explain", "good.jpg", "--model", "scenes", "--fuse", "sum"],
        ["show", "none.npz"],
        ["show"],
        ["layers", "--model", "scenes", "--at", "nowhere"],
    ],
)
def test_other_commands(arguments, place, capsys):
    assert main(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_debug_shows_the_traceback(place, capsys):
    assert main(["explain", "good.jpg", *SCENES, "--method", "nothing-like-it", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "advice"), [("expalin", "did you mean explain?"), ("zzz", "there are explain, layers, methods")]
)
def test_a_command_that_there_is_not(word, advice, capsys):
    from isotherm.cli.main import main

    for more in ("photo.jpg", "--help", "-h"):
        assert main([word, more]) == 2
        said = capsys.readouterr()
        assert said.err.startswith(f"isotherm: there is no command {word!r}; {advice}")
        assert said.out == ""


@pytest.mark.parametrize(
    ("word", "advice"), [("keypionts", "did you mean train keypoints?"), ("zzz", "there are train keypoints, train")]
)
def test_a_second_word_that_there_is_not(word, advice, capsys):
    for more in ("photo.jpg", "--help"):
        assert main(["train", word, more]) == 2
        said = capsys.readouterr()
        assert said.err.startswith(f"isotherm: there is no command 'train {word}'; {advice}")
        assert said.out == ""


def test_a_name_with_a_slip_does_not_wait_for_torch(place):
    code = "import sys; from isotherm.cli import main; print(main(['explain', 'godo.jpg']), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2 False\n"
    assert done.stderr.startswith("isotherm: there is no file or folder 'godo.jpg'; did you mean good.jpg")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--help", "expalin"], 2, "there is no command 'expalin'; did you mean explain?"),
        (["-h", "train", "keypionts"], 2, "there is no command 'train keypionts'; did you mean train keypoints?"),
        (["train", "--help", "keypionts"], 2, "isotherm train: say what, as in: isotherm train keypoints"),
        (["--bogus", "--help"], 2, "--bogus stands before a command; write: isotherm COMMAND --bogus"),
        (["--quiet", "explain", "good.jpg"], 2, "--quiet stands before a command"),
        (["gaze", "--help"], 0, "isotherm gaze: say what, as in: isotherm gaze predict"),
    ],
)
def test_help_before_a_command_hides_no_slip_and_what_was_asked_for_goes_to_the_standard_output(
    words, code, said, capsys
):
    assert main(words) == code
    told = capsys.readouterr()
    assert said in (told.err if code else told.out)
    assert (told.out if code else told.err) == ""


def test_a_reason_that_begins_with_the_name_of_its_file_says_it_once(place, capsys):
    main(["explain", "text.jpg", "good.jpg", "cut.jpg", *SCENES])
    out, err = capsys.readouterr()
    assert "text.jpg is not a picture" in err
    assert "failed: text.jpg is not a picture" in out + err
    assert "text.jpg: text.jpg" not in out + err
    assert "cut.jpg: cut.jpg" not in out + err


def test_help_that_nobody_reads_to_its_end_leaves_no_traceback(place):
    start = "import sys; from isotherm.console import entry; sys.argv = ['isotherm', 'explain', '--help']; entry()"
    with subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
