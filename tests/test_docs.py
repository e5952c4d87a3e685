"""Every piece of Python and every command in the README and the docs runs as it is printed."""

from __future__ import annotations

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


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    """A folder with what the documentation speaks of: photo.jpg, a folder, the recipes, and weights with random values."""
    import torch
    from torchvision.models import ResNet50_Weights, resnet50
    from ultralytics import YOLO
    from ultralytics.utils import ASSETS
    from ultralytics.utils import ROOT as PACKAGE

    folder = tmp_path_factory.mktemp("workshop")
    shutil.copy(ASSETS / "bus.jpg", folder / "photo.jpg")
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    shorten(folder / "recipes" / "first_beetles.yaml")
    (folder / "folder").mkdir()
    shutil.copy(ASSETS / "zidane.jpg", folder / "folder" / "one.jpg")
    wide = (PACKAGE / "cfg" / "models" / "11" / "yolo11.yaml").read_text()
    slim = wide.replace("n: [0.50, 0.25,", "n: [0.50, 0.125,").replace("Conv, [64, 3, 2]]", "Conv, [64, 3, 4]]")
    assert slim.count("0.125") == slim.count("[64, 3, 4]") == 1
    described = tmp_path_factory.mktemp("slim") / "yolo11.yaml"  # half as wide, on half the cells: a tenth of the work
    described.write_text(slim)
    torch.manual_seed(0)
    yolo = YOLO(described.with_name("yolo11n.yaml"))
    make_find(yolo.model, folder / "photo.jpg")
    yolo.save(folder / "yolo11n.pt")
    cached = folder / "cache" / "checkpoints" / ResNet50_Weights.IMAGENET1K_V2.url.rpartition("/")[2]
    cached.parent.mkdir(parents=True)
    torch.save(resnet50().state_dict(), cached)
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(folder / "cache"))
    yield folder
    torch.hub.set_dir(before)


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
            yield pytest.param(page, pieces, id=page.name)
            continue
        commands = [piece for piece in pieces if piece[1].startswith("$ ")]
        yield pytest.param(page, [piece for piece in pieces if piece not in commands], id="README.md, Python")
        for number, line in commands:
            yield pytest.param(page, [(number, line)], id=f"README.md, {line.split('  #')[0].strip('$ ')}")


@pytest.mark.parametrize(("page", "pieces"), list(lessons()))
def test_page(page, pieces, workshop, monkeypatch, capsys):
    from isotherm.cli import main
    from isotherm.models.ultralytics import view

    sized = view.input_size
    monkeypatch.setattr(view, "input_size", lambda size, step: sized(DETECTOR_SIDE if size == 640 else size, step))
    monkeypatch.chdir(workshop)
    names = {"__name__": "documentation"}
    for number, piece in pieces:
        if not piece.startswith("$ "):
            exec(compile(piece, f"<{page.name}, block {number}>", "exec"), names)
            continue
        code = main(shlex.split(piece[2:].split("  #")[0])[1:])
        printed = capsys.readouterr()
        assert code == 0, f"{piece}: {printed.err}"
