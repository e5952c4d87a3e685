"""Judging counts: figures by hand, a run that is stopped and gone on with, and what a model must reach."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from isotherm.data.fsc147 import CountedPicture, read_fsc147, write_generated_fsc147
from isotherm.errors import InputError, OptionError
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.points import Points
from isotherm.systems import counting_evaluation
from isotherm.systems.counting_config import CountingConfig, CountPrompts
from isotherm.systems.counting_evaluation import dots_on_points, evaluate_counting, read_rows, summarised
from isotherm.zoo.tiny_vlm.network import random_tiny_vlm, tiny_processor

CONFIG = CountingConfig(prompts=CountPrompts(whole="how many {category} ?"), answer_tokens=4)


@pytest.fixture(scope="module")
def tiny():
    return TransformersVlm(random_tiny_vlm(0), tiny_processor(), name="tiny")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return read_fsc147(write_generated_fsc147(tmp_path_factory.mktemp("fsc"), count=10), "test")


class Found:
    """What a count of a picture comes to, as far as the evaluation looks."""

    def __init__(self, number, dots=()):
        self.count, self.exact, self.unplaced = number, None if number is None else float(number), 0.0
        self.dots, self.looks, self.counts = Points(torch.tensor(dots).view(-1, 2).float()), (), ()


@pytest.fixture
def counter(monkeypatch):
    """A model that is off by one, and a list of what it was asked."""
    asked = []

    def count(view, image, category, **options):
        asked.append((category, options["strategy"]))
        return Found(len(asked))

    monkeypatch.setattr(counting_evaluation, "count", count)
    return asked


def test_the_figures_by_hand():
    rows = [
        {"true": 3, "count": 4, "dots": 4, "hits": 3},
        {"true": 10, "count": 10, "dots": 8, "hits": 6},
        {"true": 11, "count": 8, "dots": 0, "hits": 0},
        {"true": 400, "count": None, "dots": 0, "hits": 0},
    ]
    found = summarised(rows)
    assert found["pictures"] == 4
    assert found["mae"] == pytest.approx((1 + 0 + 3 + 400) / 4)
    assert found["rmse"] == pytest.approx(np.sqrt((1 + 0 + 9 + 160000) / 4))
    assert found["bias"] == pytest.approx((1 + 0 - 3 - 400) / 4)
    assert found["exact"] == 0.25
    assert found["uncounted"] == 1
    assert found["dot_recall"] == pytest.approx(9 / 424)
    assert found["dot_precision"] == pytest.approx(9 / 12)
    assert list(found["ranges"]) == ["0-10", "11-30", "301 and more"]
    assert found["ranges"]["0-10"]["mae"] == 0.5
    assert found["ranges"]["11-30"]["dot_precision"] is None
    # a zero is a count; none is not
    assert summarised([{"true": 0, "count": 0, "dots": 0, "hits": 0}])["uncounted"] == 0


def test_dots_are_on_objects_one_to_one(tmp_path):
    one = CountedPicture(
        "a", tmp_path, "red", np.array([[10.0, 10.0], [30.0, 10.0]]), np.array([[5.0, 6.0, 15.0, 14.0]])
    )  # reach: 5
    assert dots_on_points(np.array([[12.0, 13.0], [30.0, 10.0]]), one) == 2
    assert dots_on_points(np.array([[12.0, 13.0], [9.0, 9.0]]), one) == 1
    assert dots_on_points(np.array([[16.0, 10.0]]), one) == 0
    assert dots_on_points(np.zeros((0, 2)), one) == 0


def test_a_run_writes_a_line_for_each_picture_and_the_figures(tiny, pictures, counter, tmp_path):
    lines: list[str] = []
    found = evaluate_counting(
        tiny,
        pictures,
        tmp_path / "run",
        strategy="global",
        config=CONFIG,
        data="shapes",
        command="isotherm eval",
        say=lines.append,
    )
    rows = read_rows(tmp_path / "run" / "pictures.jsonl")
    assert [r["name"] for r in rows] == [p.name for p in pictures]
    assert [r["count"] for r in rows] == [1, 2, 3, 4, 5]
    assert found == json.loads((tmp_path / "run" / "results.json").read_text())
    assert found["mae"] == pytest.approx(np.mean([abs(i + 1 - p.count) for i, p in enumerate(pictures)]))
    assert (found["model"], found["strategy"], found["data"], found["command"]) == (
        "tiny",
        "global",
        "shapes",
        "isotherm eval",
    )
    assert found["config"]["prompts"]["whole"] == "how many {category} ?"
    assert str(lines[-1]).startswith("counting, 5 of 5: mean error")


def test_a_run_that_was_stopped_goes_on(tiny, pictures, counter, tmp_path, monkeypatch):
    counting = counting_evaluation.count

    def stops(*args, **options):
        if len(counter) == 3:
            raise KeyboardInterrupt
        return counting(*args, **options)

    monkeypatch.setattr(counting_evaluation, "count", stops)
    with pytest.raises(KeyboardInterrupt):
        evaluate_counting(tiny, pictures, tmp_path, strategy="global", config=CONFIG)
    fpath = tmp_path / "pictures.jsonl"
    assert len(read_rows(fpath)) == 3
    assert not (tmp_path / "results.json").exists()
    fpath.write_bytes(fpath.read_bytes()[:-20])  # the last line was cut short by the stop
    monkeypatch.setattr(counting_evaluation, "count", counting)
    lines: list[str] = []
    evaluate_counting(tiny, pictures, tmp_path, strategy="global", config=CONFIG, say=lines.append)
    assert lines[0].startswith("2 picture(s) are done already")
    assert len(counter) == 3 + 3  # none of the two finished ones was asked again
    rows = read_rows(fpath)
    assert [r["name"] for r in rows] == [p.name for p in pictures]
    assert [r["count"] for r in rows] == [1, 2, 4, 5, 6]
    evaluate_counting(tiny, pictures, tmp_path, strategy="global", config=CONFIG)
    assert len(counter) == 6


def test_another_recipe_does_not_mix_with_a_run(tiny, pictures, counter, tmp_path):
    evaluate_counting(tiny, pictures[:1], tmp_path, strategy="global", config=CONFIG)
    with pytest.raises(OptionError, match="differ in strategy"):
        evaluate_counting(tiny, pictures[:1], tmp_path, strategy="dense", config=CONFIG)
    with pytest.raises(OptionError, match="differ in config"):
        evaluate_counting(tiny, pictures[:1], tmp_path, strategy="global", config=CountingConfig())
    other = TransformersVlm(random_tiny_vlm(1), tiny_processor(), name="tiny")
    with pytest.raises(OptionError, match="differ in weights"):
        evaluate_counting(other, pictures[:1], tmp_path, strategy="global", config=CONFIG)


def test_mistakes(tiny, pictures, counter, tmp_path):
    with pytest.raises(OptionError, match="no pictures"):
        evaluate_counting(tiny, [], tmp_path)
    with pytest.raises(OptionError, match="needs crops of each picture"):
        evaluate_counting(tiny, pictures, tmp_path, strategy="custom")
    (tmp_path / "lines").write_text('{"name": "1", "true": 1, "count": 1, "dots": 1, "hits": 1}\nnonsense\n')
    with pytest.raises(InputError, match="lines:2 cannot be read as JSON"):
        read_rows(tmp_path / "lines")
    assert read_rows(tmp_path / "none") == []


def test_a_real_look_at_a_picture_is_written_down(tiny, pictures, tmp_path):
    evaluate_counting(tiny, pictures[:1], tmp_path, strategy="global", config=CONFIG)
    (row,) = read_rows(tmp_path / "pictures.jsonl")
    assert row["true"] == pictures[0].count
    assert row["views"][0]["name"] == "whole picture"
    assert row["seconds"] > 0


@pytest.mark.slow
def test_crops_count_better_than_one_look(pictures, tmp_path):
    """The shipped model says at most 5, and was taught on pictures a third as wide: crops of a third are what it knows."""
    from isotherm.zoo.tiny_vlm.view import load

    view = load()
    whole = evaluate_counting(view, pictures[:2], tmp_path / "global", strategy="global", config=CONFIG)
    crops = evaluate_counting(view, pictures[:2], tmp_path / "dense", strategy="dense", config=CONFIG)
    assert crops["mae"] < whole["mae"] / 2
    assert crops["uncounted"] == 0
    assert crops["dot_precision"] > 0.5
