"""Every piece of Python and every command in the README and the docs runs as it is printed."""

from __future__ import annotations

import math
import re
import shlex
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DETECTOR_SIDE = 320
"""What detectors see in these tests instead of 640 pixels a side: every step of a check takes a quarter of the work."""
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# a twentieth of the pictures and a tenth of the steps: the lesson runs, and need not end well
SHORTER = {
    "count: 400": "count: 20",
    "count: 60": "count: 5",
    "steps: 240": "steps: 24",
    "keep_every: 80": "keep_every: 12",
}
DETECTOR_STEPS = ("train(Detector(), steps=60)", "train(Detector(), steps=6)")
"""The same of the detector that a page trains."""
LONG_PAGES = (
    *("counting.md", "keypoints.md", "clips.md", "vlm.md", "gaze.md", "own_model.md", "drawing.md"),
    *("imagenet.md", "yolo.md", "models.md", "grounding.md", "methods.md", "gaze_files.md"),
)
"""Pages that make test-all follows: half of all the time, for what has tests of its own and commands of the README."""
FURTHER_LINES = (
    "--model yolo11n.pt --box",
    "resnet50",
    "--trust full",
    "folder/",
    "where is red",
    "--target class,width",
)
"""Parts of the README's commands that differ by an option from one that make test runs."""
OF_PIXELS = ("drawing.md",)
"""Pages that name places of the photograph, which for them is as large as it is; they need nothing else of the folder."""


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    """A folder with what the documentation speaks of: photo.jpg, a folder, the recipes, and weights with random values."""
    import torch
    from PIL import Image
    from ultralytics import YOLO
    from ultralytics.utils import ASSETS
    from ultralytics.utils import ROOT as PACKAGE

    folder = tmp_path_factory.mktemp("workshop")
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    shorten(folder / "recipes" / "first_beetles.yaml")
    (folder / "folder").mkdir()
    for name, place in {"bus.jpg": "photo.jpg", "zidane.jpg": "folder/one.jpg"}.items():
        with Image.open(ASSETS / name) as picture:  # half as wide: drawing costs by the pixel
            picture.reduce(2).save(folder / place)
    wide = (PACKAGE / "cfg" / "models" / "11" / "yolo11.yaml").read_text()
    slim = wide.replace("n: [0.50, 0.25,", "n: [0.50, 0.125,").replace("Conv, [64, 3, 2]]", "Conv, [64, 3, 4]]")
    assert slim.count("0.125") == slim.count("[64, 3, 4]") == 1
    described = tmp_path_factory.mktemp("slim") / "yolo11.yaml"  # half as wide, on half the cells: a tenth of the work
    described.write_text(slim)
    torch.manual_seed(0)
    yolo = YOLO(described.with_name("yolo11n.yaml"))
    make_find(yolo.model, folder / "photo.jpg")
    yolo.save(folder / "yolo11n.pt")
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(folder / "cache"))
    lay_table(folder)
    yield folder
    torch.hub.set_dir(before)


def lay_resnet(folder):
    """Weights of torchvision's ResNet-50 where they are looked for, with random values."""
    import torch
    from torchvision.models import ResNet50_Weights, resnet50

    cached = folder / "cache" / "checkpoints" / ResNet50_Weights.IMAGENET1K_V2.url.rpartition("/")[2]
    cached.parent.mkdir(parents=True)
    torch.save(resnet50().state_dict(), cached)


def lay_table(folder):
    """What the README's robot lines speak of: a table of the demo, lines about it, and a language model in the folder of its
    name, of the same architecture with few weights."""
    import json

    from isotherm.cli import demo_instructions
    from isotherm.runs.record import Run
    from rigs.grounding import tiny_folder

    with pytest.MonkeyPatch.context() as patched, Run("demo", out=folder / "demo", command=[], options={}) as record:
        patched.setattr(demo_instructions, "ASKED", demo_instructions.ASKED[:1])
        demo_instructions.follow_instructions(record)
    line = {"picture": "demo/table-1-top.png", "text": "pick the red block", "annotation": "[0.5, 0.5]"}
    (folder / "points.jsonl").write_text(json.dumps(line | {"flag": "single_point"}))
    tiny_folder(folder / "google" / "paligemma-3b-pt-224")


def shorten(recipe):
    text = recipe.read_text()
    for long, short in SHORTER.items():
        assert long in text
        text = text.replace(long, short)
    recipe.write_text(text)


def make_find(model, photo):
    """Random weights find nothing; lift the class biases until the photo's two best cells count as findings.

    Two: every finding is explained, and a hundred prove no more. Random scores are nearly equal, so they are spread first.
    """
    import numpy as np
    import torch
    from PIL import Image

    from isotherm.models.ultralytics.input import letterbox

    picture = np.array(Image.open(photo))  # as the detector gets it, so that the count holds there
    x = letterbox([picture], (DETECTOR_SIDE,) * 2, stride=64, like=next(model.parameters())).tensor
    classes = [branch[-1] for branch in model.model[-1].cv3]
    model.train()
    with torch.no_grad():
        for _ in range(10):  # batch norms learn the photo's statistics, so that activations neither die nor explode
            model(x)
        model.eval()
        for layer in classes:
            layer.weight *= 1000
        lift = -1.05 - float(model(x)[1]["scores"].flatten().topk(2).values[-1])  # found are logits above -1.1
        for layer in classes:
            layer.bias += lift


def pieces_of(page):
    """What a page has to run, from top to bottom: (block's number, Python) and (block's number, line of a console)."""
    for number, match in enumerate(BLOCK.finditer(page.read_text())):
        if match[1] == "python":
            yield number, match[2]
        for line in match[2].splitlines() if match[1] == "console" else ():
            if line.startswith("$ isotherm"):
                yield number, line


def lessons():
    """A page is a lesson whose later pieces use what the earlier ones made; but each command of the README stands alone."""
    for page in PAGES:
        pieces = list(pieces_of(page))
        if page.name != "README.md":
            yield _row(page, pieces, page.name, further=page.name in LONG_PAGES)
            continue
        commands = [piece for piece in pieces if piece[1].startswith("$ ")]
        yield _row(page, [piece for piece in pieces if piece not in commands], "README.md, Python", further=False)
        for number, line in commands:
            name = f"README.md, {line.split('  #')[0].strip('$ ')}"
            yield _row(page, [(number, line)], name, further=any(part in line for part in FURTHER_LINES))


def _row(page, pieces, name, *, further):
    return pytest.param(page, pieces, id=name, marks=[pytest.mark.wide] * further)


@pytest.mark.parametrize(("page", "pieces"), list(lessons()))
def test_page(page, pieces, workshop, monkeypatch, capsys, tmp_path, quick_verdicts):
    from ultralytics.utils import ASSETS

    from isotherm.cli import main
    from isotherm.jobs.train import grounding
    from isotherm.models.ultralytics import view

    sized, recipe_of = view.input_size, grounding.recipe_of

    def shortened(options):
        """As SHORTER, of a training whose line says no number of steps."""
        plain, root, name = recipe_of(options)
        plain.setdefault("training", {}).setdefault("steps", 3)
        return plain, root, name

    monkeypatch.setattr(grounding, "recipe_of", shortened)
    monkeypatch.setattr(view, "input_size", lambda size, step: sized(DETECTOR_SIDE if size == 640 else size, step))
    monkeypatch.chdir(tmp_path if page.name in OF_PIXELS else workshop)
    if any("--model resnet50" in piece for _, piece in pieces):
        lay_resnet(workshop)
    if page.name in OF_PIXELS:
        shutil.copy(ASSETS / "bus.jpg", "photo.jpg")
    names = {"__name__": "documentation"}
    shown = []
    for number, piece in pieces:
        if not piece.startswith("$ "):
            exec(compile(piece.replace(*DETECTOR_STEPS), f"<{page.name}, block {number}>", "exec"), names)
            shown.append(capsys.readouterr().out)
            continue
        code = main(shlex.split(piece[2:].split("  #")[0])[1:])
        printed = capsys.readouterr()
        assert code == 0, f"{piece}: {printed.err}"
    if page.name in CLAIMS:
        CLAIMS[page.name](names, shown)


def robot_claims(names, shown):
    """What docs/robot.md says of the numbers that its lesson prints."""
    from isotherm import decode

    made, table, lifted = names["made"], names["table"], names["lifted"]
    assert made.losses[0] == pytest.approx(math.log(112 * 112), abs=0.05)  # a map that knows nothing
    assert made.losses[-1] < made.losses[0] - 2
    assert decode.entropy(made.looks[16]).mean() < decode.entropy(made.looks[0]).mean() - 1
    assert lifted.disagreement > 0.5  # after a few steps the views do not agree yet
    # perfect maps of the oblique views mean the place in space; voxels have 2.5 cm
    place = next(i for i in table.instructions if i.text == "pick the orange block").point
    oblique = [float(number) for number in re.findall(r"-?\d+\.\d+", shown[2].splitlines()[-1])]
    assert oblique == pytest.approx(place, abs=0.0125)
    blind, seeing = (float(line) for line in shown[4].split())
    assert blind == 0
    assert seeing > 0.01
    # two Gaussians of 2 cells: their shares, ln 2 more than one has, and twice 2 pi sigma^2 ln 10 cells
    assert names["found"].score[:2].tolist() == pytest.approx([0.5, 0.5], abs=0.01)
    assert names["found"].xy[:2].tolist() == [pytest.approx(p, abs=0.1) for p in ((12.8, 19.2), (51.2, 44.8))]
    assert float(decode.entropy(names["target"], kind="probability")) == pytest.approx(
        math.log(2) + 1 + math.log(8 * math.pi), abs=0.02
    )
    most, honest = (
        int(decode.credible_region(names["target"], level=level, kind="probability").sum())
        for level in (0.9, names["honest"])
    )
    assert most == pytest.approx(16 * math.pi * math.log(10), rel=0.03)
    assert honest == pytest.approx(most / 9, rel=0.35)  # of maps three times as wide as their errors
    path = decode.plan_path(names["free"], start=(5.0, 5.0), goal=(60.0, 5.0)).xy
    assert path[(path[:, 0] > 30) & (path[:, 0] < 34), 1].min() > 40  # through the gap
    tracks = decode.track(names["moments"], most_distance=4.0)
    assert [track.moments for track in tracks] == [[0, 1, 2, 3]] * 2
    assert [x - tracks[0].places[0][0] for x, _ in tracks[0].places] == pytest.approx([0, 1, 2, 3], abs=0.01)
    assert names["rule"].bound == pytest.approx(0.2, abs=0.01)
    assert 0.75 <= names["report"].coverage(0.9) <= 1


CLAIMS = {"robot.md": robot_claims}
"""What a page says of the numbers that it prints."""
