"""NaN and infinity from the command line: the picture has failed, the folder goes on, and nothing of the failed picture is left."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from isotherm.cli import main
from isotherm.data.shape_questions import make_question
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.models.choose import OpenModel
from isotherm.runs.read import read_items, read_run
from isotherm.zoo.detector.network import save_detector
from isotherm.zoo.detector.view import load
from rigs.tiny_views import TinyClassifier, TinyNet


class Picky(TinyNet):
    """Divides by the picture's first blue value: a picture that is black there has no finite answer."""

    def forward(self, x):
        return super().forward(x) / x[:, 2, 0, 0, None].round()


class Overflows(TinyNet):
    def forward(self, x):
        return self.head(((torch.relu(self.second(torch.relu(self.first(x)))) + 0.1) * 1e6).mean((2, 3)))


class Typed(TinyClassifier):
    def prepare(self, pictures):
        inputs = super().prepare(pictures)
        return inputs.with_tensor(inputs.tensor.to(next(self.model.parameters()).dtype))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name, grey in {"a": 255, "b": 0, "c": 200}.items():
        Image.fromarray(np.full((80, 120, 3), grey, np.uint8)).save(tmp_path / "in" / f"{name}.png")
    return tmp_path


def opens(monkeypatch, view):
    monkeypatch.setattr("isotherm.jobs.open_model.open_model", lambda options: OpenModel(view, "given"))


@pytest.mark.parametrize("trust", ["off", "fast"])
@pytest.mark.parametrize("batch", ["1", "3"])
def test_a_picture_that_overflows_fails_and_the_folder_goes_on(folder, monkeypatch, capsys, trust, batch):
    opens(monkeypatch, TinyClassifier(Picky()))
    assert (
        main(
            [
                "explain",
                "in",
                "--model",
                "x",
                "--out",
                "out",
                "--trust",
                trust,
                "--batch",
                batch,
                "--target",
                "class",
                "--class",
                "cat",
            ]
        )
        == 1
    )
    said = capsys.readouterr()
    assert "isotherm: b.png: the model's answer is" in said.err
    assert "an operation behind layer head" in " ".join(said.err.split())
    assert "2 done, 1 failed" in said.out
    assert "evidence" not in said.err.partition("b.png")[2].partition("\n")[0]
    states = {item["name"]: item["status"] for item in read_items(folder / "out")}
    assert states == {"a.png": "done", "b.png": "failed", "c.png": "done"}
    record = read_run(folder / "out")
    assert [one["name"] for one in record["summary"]["failed"]] == ["b.png"]
    assert list((folder / "out").glob("b*")) == []
    assert len(list((folder / "out").glob("a*.npz"))) == 1


def test_half_precision_is_told_in_the_command_lines_words(folder, monkeypatch, capsys):
    opens(monkeypatch, Typed(Overflows().half()))
    assert main(["explain", "in/a.png", "--model", "x", "--out", "out", "--trust", "off"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "float16 holds nothing above 65504" in said
    assert "run it with --dtype float32 or --dtype bfloat16" in said
    assert "dtype=" not in said
    assert "--dtype bfloat16" in read_items(folder / "out")[0]["reason"]


def test_a_map_whose_check_fails_is_kept_and_says_so(folder, monkeypatch, capsys):
    """The maps are there, and judging them ends in an error: one line says so, and so does the record."""

    class Once(TinyClassifier):
        runs = 0

        def run(self, inputs):
            Once.runs += 1
            if Once.runs > 1:
                raise RuntimeError("out of luck")
            return super().run(inputs)

    opens(monkeypatch, Once())
    assert main(["explain", "in/a.png", "--model", "x", "--out", "out", "--trust", "fast"]) == 0
    told = capsys.readouterr().err
    assert "a.png: its maps could not be checked: RuntimeError: out of luck" in told
    assert "trust: not checked (the check failed: RuntimeError: out of luck)" in told
    (item,) = read_items(folder / "out")
    assert (item["status"], item["unchecked"]) == ("done", "the check failed: RuntimeError: out of luck")
    assert [facts["verdict"] for facts in item["maps"]] == ["not checked"]
    assert {path.suffix for path in (folder / "out").glob("a.00*")} == {".npz", ".jpg"}


def test_a_detector_with_broken_weights_does_not_claim_to_find_nothing(folder, capsys):
    view = load("detector")
    with torch.no_grad():
        next(p for name, p in view.model.named_parameters() if name.endswith("bias")).view(-1)[0] = torch.nan
    save_detector(view.model, folder / "nan.safetensors")
    assert (
        main(
            [
                "explain",
                "in/a.png",
                "--model",
                "detector",
                "--weights",
                "nan.safetensors",
                "--out",
                "out",
                "--trust",
                "off",
            ]
        )
        == 2
    )
    said = " ".join(capsys.readouterr().err.split())
    assert "what the detector says of its candidates is NaN" in said
    assert "bias holds NaN (1 of" in said
    assert "found nothing" not in said


@pytest.mark.parametrize("together", [[], ["--together"]])
def test_a_question_to_a_broken_model(folder, monkeypatch, capsys, together):
    from isotherm.api import open_model

    view = open_model("tiny-vlm", weights="none")
    with torch.no_grad():
        norm = next(
            m
            for name, m in view.model.named_modules()
            if isinstance(m, nn.Linear) and "language_model.layers.1" in name
        )
        norm.weight[0, 0] = torch.nan
    Image.fromarray(make_question(0, "count").picture).save("q.png")
    opens(monkeypatch, view)
    assert (
        main(
            [
                "explain",
                "q.png",
                "q.png",
                "--model",
                "x",
                "--prompt",
                "how many red ?",
                "--out",
                "out",
                "--trust",
                "off",
                *together,
            ]
        )
        == 2
    )
    said = " ".join(capsys.readouterr().err.split())
    assert "NaN" in said
    assert "its weight holds NaN (1 of" in said
    assert "language_model.layers.1" in said
    assert {item["status"] for item in read_items(folder / "out")} == {"failed"}
    assert list((folder / "out").glob("q*")) == []


def test_counting_goes_on_behind_a_broken_answer(folder, monkeypatch, capsys):
    from isotherm.api import open_model

    view = open_model("tiny-vlm", weights="none")
    with torch.no_grad():
        view.model.get_output_embeddings().weight[0] = torch.inf
    monkeypatch.setattr("isotherm.jobs.open_model.open_model", lambda options: OpenModel(view, "given"))
    assert (
        main(["count", "in", "--model", "tiny-vlm", "--category", "red", "--strategy", "global", "--out", "out"]) == 2
    )
    said = " ".join(capsys.readouterr().err.split())
    assert "isotherm: a.png: " in said
    assert "isotherm: c.png: " in said
    assert "holds infinity" in said
    assert {item["status"] for item in read_items(folder / "out")} == {"failed"}


def test_show_counts_gaps_and_infinite_cells(folder, capsys):
    values = torch.rand(4, 5)
    heatmap = Heatmap(values, Frame.identity((4, 5)), "relevance")
    heatmap.save("whole.npz")
    values[0, :3], values[1, 1] = torch.nan, torch.inf
    heatmap.save("broken.npz")
    assert main(["show", "whole.npz"]) == 0
    assert "NaN" not in capsys.readouterr().out
    assert main(["show", "broken.npz"]) == 0
    said = capsys.readouterr().out
    assert "3 of 20 cells are NaN: what was never seen" in said
    assert "1 of 20 cells: no scale holds them" in said
