"""Looks at a picture: where their maps lie, what is answered, and the words of every mistake."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.api import open_model
from isotherm.data.shape_questions import make_question
from isotherm.draw import overlay
from isotherm.errors import AdapterError, MethodError, OptionError, TargetError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.progress import Progress
from isotherm.systems.counting_config import CountingConfig, CountPrompts
from isotherm.systems.counting_look import look, peaks_of
from isotherm.systems.counting_views import CountView
from isotherm.systems.vlm_counting import count
from isotherm.zoo.tiny_vlm.network import random_tiny_vlm, tiny_processor

TINY = CountPrompts(whole="how many {category} ?")
CONFIG = CountingConfig(prompts=TINY, answer_tokens=4)


@pytest.fixture(scope="module")
def tiny():
    return TransformersVlm(random_tiny_vlm(0), tiny_processor(), name="tiny")


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)


# --- looks, with a model -------------------------------------------------------------------------------------


def test_a_crops_map_lies_over_the_whole_picture(tiny, noise):
    view = CountView("crop", (40, 16, 104, 80))
    one = look(tiny, noise, view, "red", CONFIG)
    assert one.prompt == "how many red ?"
    assert one.heatmap.frame.source_size.tolist() == [96, 128]
    corners = one.heatmap.frame.points_to_source(torch.tensor([[0.0, 0.0], [64.0, 64.0]], dtype=torch.float64))
    assert corners.tolist() == [[40, 16], [104, 80]]
    assert np.asarray(overlay(one.heatmap, noise)).shape == (96, 128, 3)
    assert one.heatmap.values is one.own_map.values
    assert one.token_px == 8
    # the model got these pixels: the same question about the crop by itself has the same answer
    alone = look(tiny, noise[16:80, 40:104], CountView("whole", (0, 0, 64, 64), "whole"), "red", CONFIG)
    assert alone.answer == one.answer
    assert alone.expected == pytest.approx(one.expected, rel=1e-5)
    inside = (one.peaks.xy >= torch.tensor([40, 16])) & (one.peaks.xy <= torch.tensor([104, 80]))
    assert len(inside)
    assert inside.all()
    torch.testing.assert_close(alone.peaks.xy + torch.tensor([40.0, 16.0]), one.peaks.xy)


def test_crops_are_made_larger_and_come_back(tiny, noise, monkeypatch):
    monkeypatch.setattr(
        tiny, "answer", lambda asked, most: tiny.vocabulary.encode("2")
    )  # a number, so that there is a map
    config = CountingConfig(
        prompts=CountPrompts(whole="how many {category} ?", part="how many {category} circle ?"), crop_side=96
    )
    one = look(tiny, noise, CountView("crop", (40, 16, 88, 48)), "red", config)
    assert one.picture.shape == (64, 96, 3)
    assert one.prompt == "how many red circle ?"
    assert one.token_px == 4
    corners = one.heatmap.frame.points_to_source(torch.tensor([[0.0, 0.0], [96.0, 64.0]], dtype=torch.float64))
    assert corners.tolist() == [[40, 16], [88, 48]]
    whole = look(tiny, noise, CountView("whole", (0, 0, 128, 96), "whole"), "red", config)
    assert whole.picture.shape == (96, 128, 3)
    assert whole.prompt == "how many red ?"


def test_peaks_are_apart_by_a_token_however_fine_the_map_is():
    values = torch.zeros(24, 24)
    values[4, 4], values[4, 8], values[20, 20] = 1.0, 0.8, 0.5
    values[0, 0] = torch.nan
    fine = Heatmap(values, Frame.identity((24, 24)), "relevance")
    assert len(peaks_of(fine, CONFIG, token_px=1.0).xy) == 3
    coarse = peaks_of(fine, CONFIG, token_px=8.0)
    assert coarse.score.tolist() == [1.0, 0.5]
    assert coarse.xy.round().tolist()[1] == [20, 20]
    assert len(peaks_of(fine, CountingConfig(prompts=TINY, dot_threshold=0.9), token_px=1.0).xy) == 1
    # attention's values may be tiny
    torch.testing.assert_close(peaks_of(fine.with_(values=values * 1e-12), CONFIG, token_px=8.0).xy, coarse.xy)
    assert len(peaks_of(fine.with_(values=-values.abs()), CONFIG, token_px=8.0).xy) == 0


def test_an_answer_without_a_number_has_no_map_and_says_why(tiny, noise, monkeypatch):
    monkeypatch.setattr(type(tiny.vocabulary), "texts", lambda self: ["yes"] * len(self))
    monkeypatch.setattr(tiny, "answer", lambda asked, most: tiny.vocabulary.encode("yes"))
    one = look(tiny, noise, CountView("whole", (0, 0, 128, 96), "whole"), "red", CONFIG)
    assert one.answer == "yes"
    assert one.answer_count.value is None
    assert one.heatmap is None
    assert one.expected is None
    assert "no map: the vocabulary of tiny has no number" in one.notes[0]


# --- the front ----------------------------------------------------------------------------------------------


def test_mistakes_are_told(tiny, noise):
    with pytest.raises(AdapterError, match="answers no questions"):
        count("scenes", noise, "red")
    with pytest.raises(TargetError, match="has no word of 'peaches !', so there is nothing to ask"):
        count(tiny, noise, "peaches", config=CountingConfig(prompts=CountPrompts(whole="{category} !")))
    with pytest.raises(OptionError, match="the category is empty"):
        count(tiny, noise, " ", config=CONFIG)
    with pytest.raises(OptionError, match="strategy is 'densely'"):
        count(tiny, noise, "red", strategy="densely", config=CONFIG)
    with pytest.raises(MethodError, match="there is no method 'gradcan'"):
        count(tiny, noise, "red", config=CountingConfig(prompts=TINY, method="gradcan"))
    (note,) = (n for n in count(tiny, noise, "red", strategy="global").notes if "vocabulary" in n)
    assert "has no 'How'" in note
    assert "give a prompt of words that it knows" in note
    unread = count(tiny, noise[:48, :48], "peaches", strategy="global", config=CONFIG)
    assert "the vocabulary of tiny has no 'peaches': give a prompt of words that it knows" in unread.notes
    assert unread.count is None or "the model has no word for 'peaches'" in unread.line()


def test_a_model_is_asked_as_it_was_taught_unless_told(tiny, noise):
    taught = TransformersVlm(tiny.model, tiny.processor, name="taught", count_prompt="how many {category} ?")
    asked = [
        count(taught, noise, "red", strategy="global", config=c).looks[0].prompt
        for c in (None, CountingConfig(prompts=CountPrompts(whole="where is {category} ?")))
    ]
    assert asked == ["how many red ?", "where is red ?"]
    assert (
        count(tiny, noise, "red", strategy="global").looks[0].prompt
        == "How many red are there in this picture? Answer with one number."
    )


def test_looks_are_told(tiny, noise):
    lines: list[str] = []
    count(tiny, noise[:48, :48], "red", strategy="comparison", config=CONFIG, say=lines.append)
    assert lines == [
        Progress(step=1, total=2, text="whole picture", stage="looking"),
        Progress(step=2, total=2, text="middle", stage="looking"),
    ]


def test_the_top_of_the_package_counts_by_a_models_name():
    import isotherm

    question = make_question(3)
    by_name = isotherm.count("tiny-vlm", question.picture, question.colour)
    assert by_name.count == count(open_model("tiny-vlm"), question.picture, question.colour).count
    with pytest.raises(AdapterError, match="answers no questions"):
        isotherm.count("scenes", question.picture, "red")
