"""Counting from the command line: figures, JSON, a run that goes on, and the message of every mistake."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from isotherm.cli import main
from isotherm.data.fsc147 import PICTURES, write_generated_fsc147
from isotherm.draw import read_command
from isotherm.heatmap import Heatmap
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.runs.read import read_items, read_run

MODEL = ["--model", "tiny-vlm", "--weights", "none", "--prompt", "how many {category} ?", "--quiet"]


@pytest.fixture(autouse=True)
def short_answers(monkeypatch):
    """Random weights end no answer: a few words of it are as good as the sixty-four that may be said."""
    answer = TransformersVlm.answer
    monkeypatch.setattr(TransformersVlm, "answer", lambda self, asked, *, most: answer(self, asked, most=min(most, 4)))


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("counting")
    write_generated_fsc147(folder / "shapes", count=3, side=96, shapes=(3, 6), least=1)
    Image.new("RGB", (20, 20)).save(folder / "small.png")
    (folder / "broken.png").write_text("no picture")
    (folder / "bad.yaml").write_text("gird: [2, 2]\n")
    (folder / "good.yaml").write_text("grid: [1, 2]\noverlap: 0.5\nprompts: {whole: 'how many {category} ?'}\n")
    return folder


@pytest.fixture
def place(workshop, monkeypatch):
    monkeypatch.chdir(workshop)
    return workshop


def test_count_draws_and_tells(place, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(
        TransformersVlm, "answer", lambda self, asked, *, most: self.vocabulary.encode("2")
    )  # a number, so that there are maps
    out = tmp_path / "out"
    picture = f"shapes/{PICTURES}/1.png"
    assert (
        main(
            [
                "count",
                picture,
                "--category",
                "red",
                "--strategy",
                "dense",
                "--grid",
                "1x2",
                "--overlap",
                "0.5",
                *MODEL,
                "--out",
                str(out),
            ]
        )
        == 0
    )
    said = capsys.readouterr().out
    told = json.loads((out / "1.json").read_text())
    number = "no count of" if told["count"] is None else f"about {told['count']}" if told["estimate"] else told["count"]
    assert f"1.png: {number} red" in said
    assert [v["box"] for v in told["views"]] == [[0, 0, 60, 96], [36, 0, 96, 96]]
    assert told["source"] == picture
    assert told["command"].startswith("isotherm count")
    heatmap = Heatmap.load(out / "1.row_1_column_2.npz")
    assert heatmap.frame.source_size.tolist() == [96, 96]
    assert heatmap.meta["box"] == [36, 0, 96, 96]
    with Image.open(out / "1.jpg") as figure:
        assert figure.width > 3 * 300
    assert read_command(out / "1.jpg") == told["command"]
    assert json.loads((out / "counts.json").read_text())["counts"] == {"1.png": told["count"]}
    assert read_run(out)["category"] == "red"
    assert read_items(out)[0]["count"] == told["count"]


def test_answers_are_shown_and_places_are_no_counts(place, capsys, tmp_path):
    picture = f"shapes/{PICTURES}/1.png"
    assert (
        main(
            [
                "count",
                picture,
                "--model",
                "tiny-vlm",
                "--category",
                "red",
                "--prompt",
                "where is {category} ?",
                "--strategy",
                "global",
                "--out",
                str(tmp_path / "out"),
            ]
        )
        == 0
    )
    said = capsys.readouterr()
    assert "1.png: no count of red; the model did not answer with a number" in said.out
    (item,) = read_items(tmp_path / "out")
    known = item["answers"]["whole picture"]
    assert known["question"] == "where is red ?"
    assert f"question: 'where is red ?'; answers: whole picture {known['answer']!r}" in said.err
    assert item["count"] is None
    told = json.loads((tmp_path / "out" / "counts.json").read_text())
    assert told["counts"] == {"1.png": None}
    assert told["estimates"] == {"1.png": item["estimate"]}


@pytest.mark.parametrize(("category", "word"), [("peaches", "peaches"), ("red peaches", "peaches"), ("!!", "!!")])
def test_a_category_without_a_word_is_counted_with_a_doubt(place, capsys, tmp_path, category, word):
    picture = f"shapes/{PICTURES}/1.png"
    assert (
        main(
            [
                "count",
                picture,
                "--model",
                "tiny-vlm",
                "--category",
                category,
                "--strategy",
                "global",
                "--out",
                str(tmp_path / "out"),
            ]
        )
        == 0
    )
    said = capsys.readouterr()
    assert f"{category}; doubtful: the model has no word for {word!r}" in said.out
    assert f"has no {word!r}: give a prompt of words that it knows" in said.err
    assert (
        json.loads((tmp_path / "out" / "counts.json").read_text())["doubts"]["1.png"][0]
        == f"the model has no word for {word!r}"
    )


def test_one_bad_picture_does_not_stop_a_folder(place, capsys, tmp_path):
    arguments = [
        "count",
        "broken.png",
        "small.png",
        f"shapes/{PICTURES}/1.png",
        "--category",
        "red",
        "--strategy",
        "comparison",
        "--crop",
        "0,0,48,48",
        *MODEL,
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert "broken.png" in said.err
    assert "small.png: the crop 0,0,48,48 reaches outside of the picture, which is 20 x 20" in said.err
    assert "1 done, 2 failed" in said.out


def test_a_file_configures_and_options_go_before_it(place, tmp_path):
    arguments = [
        "count",
        f"shapes/{PICTURES}/1.png",
        "--category",
        "red",
        "--strategy",
        "dense",
        "--config",
        "good.yaml",
        "--overlap",
        "0",
        "--model",
        "tiny-vlm",
        "--weights",
        "none",
        "--quiet",
    ]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    told = json.loads((tmp_path / "out" / "1.json").read_text())
    assert [v["box"] for v in told["views"]] == [[0, 0, 48, 96], [48, 0, 96, 96]]
    assert told["views"][0]["prompt"] == "how many red ?"


def test_eval_judges_and_goes_on(place, capsys, tmp_path):
    arguments = ["eval", "fsc147", "shapes", "--strategy", "global", *MODEL, "--out", str(tmp_path / "out")]
    assert main([*arguments, "--limit", "1"]) == 0
    assert "MAE" in capsys.readouterr().out
    assert main(arguments) == 2  # other pictures, another recipe
    assert "differ in data" in capsys.readouterr().err
    assert main([*arguments[:-1], str(tmp_path / "all")]) == 0
    lines = (tmp_path / "all" / "pictures.jsonl").read_text().splitlines()
    assert len(lines) == 2
    (tmp_path / "all" / "pictures.jsonl").write_text(lines[0] + "\n" + lines[1][:10])
    assert main([*arguments[:-1], str(tmp_path / "all")]) == 0
    results = json.loads((tmp_path / "all" / "results.json").read_text())
    assert results["pictures"] == 2
    assert results["data"] == "shapes test"
    said = capsys.readouterr().out
    assert f"{results['mae']:.2f}" in said


def test_eval_judges_strategies_and_methods_side_by_side(place, capsys, tmp_path):
    out = tmp_path / "out"
    ways = ["--strategy", "global,hybrid", "--method", "gradcam,propagation", "--limit", "1"]
    assert main(["eval", "fsc147", "shapes", *ways, *MODEL, "--out", str(out)]) == 0
    table = capsys.readouterr().out
    for name in ("strategy", "method", "MAE", "RMSE", "bias", "dot recall", "border", "occluded", "cluster", "other"):
        assert name in table
    results = json.loads((out / "results.json").read_text())
    assert [(way["strategy"], way["config"]["method"]) for way in results["ways"]] == [
        ("global", "gradcam"),
        ("global", "propagation"),
        ("hybrid", "gradcam"),
        ("hybrid", "propagation"),
    ]
    assert sum(line.split()[:1] in (["global"], ["hybrid"]) for line in table.splitlines()) == 4
    (row,) = (json.loads(line) for line in (out / "hybrid-gradcam" / "pictures.jsonl").read_text().splitlines())
    assert sum(objects for objects, _ in row["kinds"].values()) == row["true"]
    assert sum(hits for _, hits in row["kinds"].values()) == row["hits"]


PICTURE = f"shapes/{PICTURES}/1.png"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["count", PICTURE, "--category", "red", "--strategy", "custom", *MODEL],
            "--strategy custom counts in crops of yours",
        ),
        (
            ["count", PICTURE, "--category", "red", "--strategy", "custom", "--crop", "1,2,3", *MODEL],
            "--crop 1,2,3: expected four numbers",
        ),
        (
            ["count", PICTURE, "--category", "red", "--strategy", "custom", "--crop", "0,0,200,48", *MODEL],
            "which is 96 x 96 pixels",
        ),
        (
            ["count", PICTURE, "--category", "red", "--strategy", "hybrid", "--crop", "0,0,48,48", *MODEL],
            "go with the strategies comparison and custom",
        ),
        (["count", PICTURE, "--category", "red", "--grid", "three", *MODEL], "--grid three: expected rows x columns"),
        (
            ["count", PICTURE, "--category", "red", "--strategy", "dense", "--grid", "9x9", *MODEL],
            "has cells below 16 pixels",
        ),
        (["count", PICTURE, "--category", "red", "--overlap", "1", *MODEL], "--overlap 1: expected a share"),
        (["count", PICTURE, "--category", "red", "--crop-side", "3", *MODEL], "crop_side is 3"),
        (["count", PICTURE, "--category", "red", "--config", "bad.yaml", *MODEL], "did you mean 'grid'"),
        (["count", PICTURE, "--category", "red", "--config", "nothing.yaml", *MODEL], "nothing.yaml cannot be read"),
        (
            [
                "count",
                PICTURE,
                "--category",
                "peaches",
                "--model",
                "tiny-vlm",
                "--weights",
                "none",
                "--prompt",
                "{category} !",
            ],
            "has no word of 'peaches !', so there is nothing to ask",
        ),
        (
            ["count", PICTURE, "--category", "red", "--model", "tiny-vlm", "--prompt", "how many?"],
            "it must have {category}",
        ),
        (["count", PICTURE, "--category", "red", "--model", "scenes"], "answers no questions"),
        (["count", PICTURE, "--category", "red", "--trust", "mine.pt", *MODEL], "named with --allow-code mine.pt"),
        (["count", "nothing.png", "--category", "red", *MODEL], "nothing.png"),
        (["count", "broken.png", "--category", "red", *MODEL], "none of the pictures could be counted"),
        (
            ["eval"],
            "say what, as in: isotherm eval keypoints | isotherm eval grounding | isotherm eval gaze | isotherm eval fsc147",
        ),
        (["eval", "fsc147", "nowhere", "--out", "x", *MODEL], "there is no folder nowhere"),
        (["eval", "fsc147", ".", "--out", "x", *MODEL], "has no annotation_FSC147_384.json"),
        (
            ["eval", "fsc147", "shapes", "--split", "tset", "--out", "x", *MODEL],
            "--split is 'tset'; did you mean 'test'",
        ),
        (
            ["eval", "fsc147", "shapes", "--strategy", "global,comparison", "--out", "x", *MODEL],
            "--strategy is 'comparison'",
        ),
        (
            ["eval", "fsc147", "shapes", "--strategy", "global,global", "--out", "x", *MODEL],
            "name one of their entries twice",
        ),
        (["eval", "fsc147", "shapes", "--method", "gradcan", "--out", "x", *MODEL], "there is no method 'gradcan'"),
        (
            ["eval", "fsc147", "shapes", "--limit", "0", "--out", "x", *MODEL],
            "--limit 0: expected a whole number of at least 1",
        ),
    ],
)
def test_every_mistake_has_one_message(place, capsys, arguments, says):
    before = set(os.listdir())  # noqa: PTH208
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
    assert "not foreseen" not in said
    assert set(Path().iterdir()) - {Path(b) for b in before} <= {Path("runs")}
