"""A grounding model: which part of the picture speaks for the place that an instruction means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.api import explain, open_model
from isotherm.cam.view import View
from isotherm.cli.main import main
from isotherm.errors import AdapterError, LayerError, OptionError
from isotherm.runs.read import read_items
from isotherm.train.grounding.build import open_grounding, save_grounding
from isotherm.train.grounding.predict import output_maps
from isotherm.zoo.grounding.view import GroundingView
from isotherm.zoo.tiny_grounding.tables import draw_tables
from rigs.breadth import wide


@pytest.fixture(scope="module")
def trained():
    return open_grounding()[0]


@pytest.fixture(scope="module")
def picks():
    """(picture, words, the block's place) of instructions that name the block itself, on tables that were held out."""
    tables = draw_tables([900, 901, 902], ("top",), samples=1)
    return [
        (tables.pictures[tables.table[i], 0], text, tables.xy[i, 0])
        for i, text in enumerate(tables.texts)
        if text.startswith("pick the ") and len(text.split()) == 4
    ]


def strongest(heatmap) -> torch.Tensor:
    w = heatmap.values.shape[-1]
    cell = int(heatmap.values.argmax())
    return heatmap.frame.points_to_source(torch.tensor([[cell % w + 0.5, cell // w + 0.5]]).double())[0]


def test_its_maps_are_the_predictions_to_the_bit(trained, picks):
    picture, text, _ = picks[0]
    wide = np.pad(picture, ((0, 0), (20, 44), (0, 0)))
    pictures = [picture, wide, picture[::-1].copy()]
    view = GroundingView(trained, text)
    assert isinstance(view, View)
    inputs = view.prepare(pictures)
    with torch.no_grad():
        found = view.find(view.run(inputs), inputs)
    expected, frame = output_maps(trained, [[one] for one in pictures], [text] * 3)
    torch.testing.assert_close(found.values, expected[:, 0], rtol=0, atol=0)
    for row in range(3):
        assert found.frame[row].allclose(frame[row][0], atol=1e-9)


@pytest.mark.parametrize("layer", ["auto", *wide(["features"])])
def test_a_named_block_speaks_for_its_place(trained, picks, layer):
    """On 20 held-out instructions HiResCAM's strongest token of 8 pixels was the block's 19 times at the vision tokens."""
    near = []
    for picture, text, place in picks:
        (heatmap,) = explain(GroundingView(trained, text), picture, layers=layer, trust="off")
        assert heatmap.frame.size == (8, 8)
        near.append(float((strongest(heatmap) - place).abs().max()) < 8)
    assert len(near) >= 6
    assert sum(near) >= len(near) - 1


def test_other_words_have_another_map(trained, picks):
    picture, text, _ = picks[0]
    maps = [
        explain(GroundingView(trained, one), picture, trust="off")[0].values
        for one in (text, "pick the one left of the " + text.split()[2] + " block")
    ]
    assert not torch.allclose(maps[0], maps[1])


def test_layers_without_whole_tokens_are_refused(trained, picks):
    picture, text, _ = picks[0]
    view = GroundingView(trained, text)
    (heatmap,) = explain(view, picture, layers="grounding.head", trust="off")
    assert heatmap.frame.size == (64, 64)
    for layer in ("grounding.norm", "grounding.vlm.model.language_model.layers.0"):
        with pytest.raises(
            LayerError, match="no whole cells of its 8 x 8 vision tokens; choose vision_tokens or features"
        ):
            explain(view, picture, layers=layer, trust="off")


def test_it_is_told_what_to_find(trained):
    with pytest.raises(OptionError, match="the instruction is empty"):
        GroundingView(trained, " ")
    with pytest.raises(AdapterError, match="asked about 3 pictures at once"):
        GroundingView(replace(trained, views=3), "pick the red block")
    assert open_model("tiny-grounding", instruction="pick the red block").names == ("pick the red block",)
    with pytest.raises(AdapterError, match="its weights are those that ship"):
        open_model("tiny-grounding", instruction="pick the red block", weights="none")
    with pytest.raises(OptionError, match="computes in float32; leave dtype 'bfloat16' out"):
        open_model("tiny-grounding", instruction="pick the red block", dtype="bfloat16")
    with pytest.raises(OptionError, match="answers questions and is told nothing; ask it with prompt="):
        open_model("tiny-vlm", instruction="pick the red block")


def test_the_command_line_takes_the_file_or_its_folder(trained, picks, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    picture, text, _ = picks[0]
    (tmp_path / "run").mkdir()
    save_grounding(trained, "run/best.safetensors")
    Image.fromarray(picture).save("table.png")
    command = ["explain", "table.png", "--trust", "off", "--device", "cpu", "--instruction", text]
    assert main([*command, "--model", "run", "--out", "one"]) == 0
    assert main([*command, "--model", "run/best.safetensors", "--out", "two"]) == 0
    assert [one["label"] for out in ("one", "two") for item in read_items(out) for one in item["maps"]] == [
        f"{text} peak"
    ] * 2
    capsys.readouterr()
    for model in ("run", "tiny-grounding"):
        assert main(["explain", "table.png", "--model", model, "--out", "no"]) == 2
        assert "--instruction" in capsys.readouterr().err
    assert main([*command, "--out", "no"]) == 2
    assert "--instruction is for models that find what words mean; name one with --model" in capsys.readouterr().err
    assert main([*command, "--model", "run", "--size", "64", "--out", "no"]) == 2
    assert (
        "a grounding model that was trained here is used as it was trained and takes no --size"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "no").exists()
