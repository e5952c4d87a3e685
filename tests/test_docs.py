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


def blocks(language: str):
    for page in PAGES:
        for number, match in enumerate(BLOCK.finditer(page.read_text())):
            if match[1] == language:
                yield pytest.param(match[2], id=f"{page.name}-{number}")


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    """A folder with what the documentation speaks of: photo.jpg, a folder, and weights with random values."""
    import torch
    from ultralytics import YOLO, YOLOE
    from ultralytics.utils import ASSETS

    folder = tmp_path_factory.mktemp("workshop")
    shutil.copy(ASSETS / "bus.jpg", folder / "photo.jpg")
    (folder / "folder").mkdir()
    shutil.copy(ASSETS / "zidane.jpg", folder / "folder" / "one.jpg")
    for kind, name in ((YOLO, "yolo11n"), (YOLOE, "yoloe-11s-seg")):
        torch.manual_seed(0)
        model = kind(f"{name}.yaml")
        model.save(folder / f"{name}.pt")
    return folder


@pytest.mark.parametrize("code", list(blocks("python")))
def test_python(code, workshop, monkeypatch):
    monkeypatch.chdir(workshop)
    exec(compile(code, "<documentation>", "exec"), {"__name__": "documentation"})


def commands():
    for param in blocks("console"):
        for line in param.values[0].splitlines():
            if line.startswith("$ isotherm"):
                yield pytest.param(line[2:].split("  #")[0], id=line[2:60])


@pytest.mark.parametrize("command", list(commands()))
def test_commands(command, workshop, monkeypatch, capsys):
    from isotherm.cli import main

    monkeypatch.chdir(workshop)
    code = main(shlex.split(command)[1:])
    said = capsys.readouterr()
    assert code == 0, said.err
