"""Every piece of Python and every command in the README and the docs runs as it is printed."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# a fifth of the pictures and a quarter of the steps: the lesson runs, and need not end well
SHORTER = {
    "count: 400": "count: 80",
    "count: 60": "count: 20",
    "steps: 240": "steps: 60",
    "keep_every: 80": "keep_every: 20",
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
    slim = re.sub(r"n: \[0\.50, 0\.25,", "n: [0.50, 0.125,", wide)
    assert slim != wide
    described = tmp_path_factory.mktemp("slim") / "yolo11.yaml"  # half as wide: a quarter of the work
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

    picture = Image.open(photo).resize((480, 640))  # as the detector gets it, so that the count holds there
    x = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page(page, workshop, monkeypatch, capsys):
    """From top to bottom, so that a page is a lesson whose later pieces use what the earlier ones made."""
    from isotherm.cli import main

    monkeypatch.chdir(workshop)
    names = {"__name__": "documentation"}
    for number, match in enumerate(BLOCK.finditer(page.read_text())):
        if match[1] == "python":
            exec(compile(match[2], f"<{page.name}, block {number}>", "exec"), names)
        for line in match[2].splitlines() if match[1] == "console" else ():
            if line.startswith("$ isotherm"):
                code = main(shlex.split(line[2:].split("  #")[0])[1:])
                said = capsys.readouterr()
                assert code == 0, f"{line}: {said.err}"
