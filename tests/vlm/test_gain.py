"""Verdicts of answers by the evidence gain, on the vision-language model that ships."""

from __future__ import annotations

import pytest

from isotherm import explain
from isotherm.data.shape_questions import HELD_OUT, make_question
from isotherm.metrics.randomisation import randomised
from isotherm.relevance.judge import go_on
from isotherm.vlm.fine_cells import fine_cells
from isotherm.vlm.gain import answer_gain
from isotherm.vlm.methods import Propagation
from isotherm.vlm.question import Question
from isotherm.vlm.scores import Answer, Custom
from isotherm.vlm.trace import record
from isotherm.zoo.tiny_vlm.view import load


@pytest.fixture(scope="module")
def view():
    return load()


def trace_of(view, q, score=None):
    question = Question.of(view, view.ask([q.picture], q.question))
    (trace,) = record(question, (score or Answer())(question), Propagation().needs)
    return trace


def gain(trace, values):
    return answer_gain(trace, values, fine_cells(trace.question.prompt), seed=0, pause=go_on)


def test_a_right_map_gains_and_its_opposite_does_not(view):
    for seed in (HELD_OUT[0], HELD_OUT[9]):
        trace = trace_of(view, make_question(seed, "count"))
        values = Propagation()(trace)
        assert gain(trace, values).value > 1.1
        assert gain(trace, -values).value < 0
    with randomised(view.model, 1.0, seed=1):
        trace = trace_of(view, make_question(HELD_OUT[0], "count"), Answer("3"))
        assert abs(gain(trace, Propagation()(trace)).value) < 0.7


def test_a_score_of_ones_own_is_no_word_and_has_none(view):
    trace = trace_of(view, make_question(HELD_OUT[0], "count"), Custom(lambda logits: logits[0, 7]))
    assert gain(trace, Propagation()(trace)) is None


def test_several_pictures_of_a_prompt_are_covered_together(view):
    first, second = (make_question(seed, "count") for seed in HELD_OUT[:2])
    maps = explain(view, [first.picture, second.picture], prompt=first.question, target="whole")
    assert maps.trust[0].gain == maps.trust[1].gain
    assert maps.trust[0].gain.kept
