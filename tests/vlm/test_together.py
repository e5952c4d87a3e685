"""Pictures of one layout go through the model together, and each comes out as if it had been alone."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from isotherm.models.transformers.vlm.layouts.measured import MeasuredLayout
from isotherm.relevance.method import needs_of
from isotherm.vlm.choose import token_methods
from isotherm.vlm.guards import guarded
from isotherm.vlm.question import Question
from isotherm.vlm.scores import Answer, NextToken
from isotherm.vlm.together import alike, questions_together, record_together
from isotherm.vlm.trace import record
from rigs.breadth import wide
from rigs.vlm_kin import opened
from rigs.vlm_models import FAMILIES


def pictures(count, size=(48, 48)):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(count)]


def apart(one, other):
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-12))


@pytest.mark.parametrize("family", FAMILIES)
def test_vision_tokens_and_logits_are_those_of_each_by_itself(families, family):
    view, _ = families(family)
    prompts = [view.ask([p], "how many red ?") for p in pictures(3)]
    assert alike(prompts) == [[0, 1, 2]]
    together = questions_together(view, prompts)
    for question, prompt in zip(together, prompts, strict=True):
        alone = Question.of(view, prompt)
        assert len(question.streams) == len(alone.streams)
        for some, own in zip(question.streams, alone.streams, strict=True):
            assert some.shape == own.shape
            assert apart(some, own) < 1e-5
        assert apart(question.logits(), alone.logits()) < 1e-5
        assert question.forwards == 1


METHODS = ("attention_gradient", "gradcam", "propagation", "integrated_gradients", "attention")
FIRST = [
    ("qwen3_vl", "propagation"),
    ("qwen3_vl", "gradcam"),
    ("paligemma", "integrated_gradients"),
    ("paligemma", "attention"),
    ("idefics3", "attention_gradient"),
    ("idefics3", "propagation"),
]


@pytest.mark.parametrize(
    ("family", "method"),
    [*FIRST, *wide(p for p in product(("qwen3_vl", "paligemma", "idefics3"), METHODS) if p not in FIRST)],
)
def test_maps_are_those_of_each_by_itself(families, family, method):
    view, _ = families(family)
    compare_maps(view, method, (48, 48))


KINDS = ("llava_onevision", "mistral3", "ovis2")
"""Tiles that run on, a measured layout, words that are embedded anew beside a picture."""
OTHER_KINDS = ("qwen2_5_vl", "gemma3_crops", "internvl", "llava", "minicpmv4_7", "hunyuan_vl", "ernie4_5_vl_moe")


@pytest.mark.parametrize("name", [*KINDS, *wide(OTHER_KINDS)])
def test_maps_of_every_kind_of_layout_are_those_of_each_by_itself(name):
    view = opened(name)
    # measured layouts know the size by which they proved themselves
    compare_maps(view, "propagation", (252, 437) if isinstance(view.layout, MeasuredLayout) else (48, 48))


def compare_maps(view, method, size):
    (chosen,), _ = token_methods(method)
    needs = needs_of([chosen])
    prompts = [view.ask([p], "how many red ?") for p in pictures(3, size)]
    together = questions_together(view, prompts)
    scores = (NextToken("red"), Answer("many red"), NextToken("blue"))  # of one token and of several
    targets = [score(q)[0] for score, q in zip(scores, together, strict=True)]
    traces = record_together(together, targets, needs)
    for trace, score, prompt in zip(traces, scores, prompts, strict=True):
        question = Question.of(view, prompt)
        (alone,) = record(question, score(question)[:1], needs)
        assert trace.score == pytest.approx(alone.score, rel=1e-5, abs=1e-6)
        values, own = (guarded(chosen, [t])[0][0] for t in (trace, alone))
        assert apart(values, own) < 2e-5, method  # of the largest value; sums in another order


def test_what_is_unlike_stays_apart(families):
    view, _ = families("qwen3_vl")
    one, wide, other = (view.ask([p], "how many red ?") for p in (*pictures(1), *pictures(1, (48, 64)), *pictures(1)))
    asked = view.ask(pictures(1), "where is red ?")
    film = view.ask_video(pictures(4), "how many red ?", fps=2.0)
    assert alike([one, wide, other, asked, film, film]) == [[0, 2], [1], [3], [4], [5]]
    assert alike([]) == []
    assert torch.equal(one.ids, other.ids)
