"""Methods that give one and the same map: said once, drawn once, and all of their maps are there."""

from __future__ import annotations

import shutil
from importlib.resources import files

import pytest
import torch

from isotherm.api import explain
from isotherm.cam.same import is_first, told_apart
from isotherm.cli import main
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.runs.read import read_items


def column(*values: float, method: str = "a", layer: str = "last", **more) -> list[Heatmap]:
    frame = Frame.resize((8, 8), (2, 2))
    return [
        Heatmap(
            torch.tensor([[v, 2 * v], [0.0, 1e-3]]), frame, "relevance", meta={"method": method, "layer": layer}, **more
        )
        for v in values
    ]


def side_by_side(*columns) -> list[Heatmap]:
    return [m for row in zip(*columns, strict=True) for m in row]


def test_a_method_whose_maps_are_those_of_another_is_named_once():
    maps, notes = told_apart(
        side_by_side(column(1, 2), column(3, 2, method="b"), column(1, 2, method="c"), column(3, 2, method="d")), 4
    )
    assert [m.meta.get("same_as") for m in maps] == [None, None, "a", "b"] * 2
    assert [is_first(m) for m in maps[:4]] == [True, True, False, False]
    assert notes == (
        "c gives the same map as a here, which is drawn once",
        "d gives the same map as b here, which is drawn once",
    )


@pytest.mark.parametrize(
    "other",
    [
        column(1, 2.001, method="b"),  # one target differs
        column(1, 2, method="b", signed=True),
        [m.with_(frame=Frame.resize((8, 8), (2, 2)).resized((2, 2)).cropped((0, 0, 2, 2))) for m in column(9, 9)],
    ],
)
def test_maps_that_differ_in_anything_are_drawn_both(other):
    maps = side_by_side(column(1, 2), other)
    assert told_apart(maps, 2) == (tuple(maps), ())


def test_maps_without_evidence_and_single_columns_are_left_alone():
    for maps, columns in ((side_by_side(column(-1.0), column(-1.0, method="b")), 2), (column(1, 1), 1), ([], 2)):
        for m in maps:
            m.values.clamp_(max=0)
        assert told_apart(maps, columns) == (tuple(maps), ())


def test_the_same_method_at_layers_is_named_with_its_layer():
    _, notes = told_apart(side_by_side(column(1), column(1, layer="first")), 2)
    assert notes == ("a at first gives the same map as a at last here, which is drawn once",)


def test_grad_cam_in_front_of_global_pooling_is_drawn_with_hirescam(tmp_path, monkeypatch, capsys):
    """The scenes' classifier pools the mean behind its last layer, where all of a channel's gradient is one number."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(str(files("isotherm") / "assets" / "scene-1.jpg"), "scene.jpg")
    command = ["explain", "scene.jpg", "--model", "scenes", "--trust", "off", "--compare", "hirescam,layercam,gradcam"]
    assert main([*command, "--out", "out"]) == 0
    said = "".join(capsys.readouterr())
    (item,) = read_items("out")
    methods = [m["method"] for m in item["maps"]]
    assert methods == ["HiResCAM", "LayerCAM", "GradCAM"] * (len(methods) // 3)
    drawn = [name for name in item["files"] if name.endswith(".jpg")]
    assert sum("GradCAM" in name for name in drawn) == 0
    assert sum("HiResCAM" in name for name in drawn) == len(methods) // 3
    assert sum(name.endswith(".npz") for name in item["files"]) == len(methods)
    assert said.count("\n      the same map as HiResCAM") == len(methods) // 3
    assert "note: GradCAM gives the same map as HiResCAM here, which is drawn once" in said
    page = (tmp_path / "out" / "report.html").read_text()
    assert "GradCAM gives the same map as HiResCAM here" in page
    assert page.count("<dd>GradCAM</dd>") == 0 < page.count("<dd>HiResCAM</dd>")
    maps = explain("scenes", "scene.jpg", method=["hirescam", "layercam", "gradcam"], trust="off")
    assert len(maps) == len(methods)
    assert maps._repr_html_().count("<img") == 2 * len(methods) // 3
