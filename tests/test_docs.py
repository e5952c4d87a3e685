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


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    """A folder with what the documentation speaks of: photo.jpg, a folder, the recipes, and weights with random values."""
    import torch
    from torchvision.models import ResNet50_Weights, resnet50
    from ultralytics import YOLO
    from ultralytics.utils import ASSETS

    folder = tmp_path_factory.mktemp("workshop")
    shutil.copy(ASSETS / "bus.jpg", folder / "photo.jpg")
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    (folder / "folder").mkdir()
    shutil.copy(ASSETS / "zidane.jpg", folder / "folder" / "one.jpg")
    torch.manual_seed(0)
    yolo = YOLO("yolo11n.yaml")
    make_find(yolo.model, folder / "photo.jpg")
    yolo.save(folder / "yolo11n.pt")
    cached = folder / "cache" / "checkpoints" / ResNet50_Weights.IMAGENET1K_V2.url.rpartition("/")[2]
    cached.parent.mkdir(parents=True)
    torch.save(resnet50().state_dict(), cached)
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(folder / "cache"))
    yield folder
    torch.hub.set_dir(before)


def make_find(model, photo):
    """Random weights find nothing; lift the class biases until the photo's best cells count as findings."""
    import numpy as np
    import torch
    from PIL import Image

    picture = Image.open(photo).resize((320, 320))
    x = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
    model.train()
    with torch.no_grad():
        for _ in range(20):  # batch norms learn the photo's statistics, so that activations neither die nor explode
            model(x)
        model.eval()
        scores = model(x)[1]["scores"].flatten()
        lift = 0.5 - float(scores.topk(40).values[-1])
        for branch in model.model[-1].cv3:
            branch[-1].bias += lift


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
