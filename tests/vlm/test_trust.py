"""Taking vision tokens away: curves by hand, maps that are right and wrong, weights that do and do not matter."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from isotherm.vlm.fills import filled
from isotherm.vlm.methods import GradientActivation
from isotherm.vlm.question import Question
from isotherm.vlm.scores import Custom
from isotherm.vlm.trace import record
from isotherm.vlm.trust import centre_distance, deletion_curves, judge_answer
from rigs.toy_language_view import Toy

WORTH = torch.zeros(36)
WORTH[[7, 8, 13, 14]] = torch.tensor([4.0, 3.0, 2.0, 1.0])


def trace_of(worth=WORTH):
    """The score is the sum of the tokens by their worth; tokens are 1 or -1, so the mean of a picture is 0."""
    tokens = torch.where(torch.arange(36) % 2 == 0, 1.0, -1.0)[:, None]
    signs = tokens[:, 0]
    view = Toy(
        lambda seen, said: torch.stack([(seen[:, 0] * signs * worth).sum(), seen.sum()]), ["a", "?"], (tokens,), (6, 6)
    )
    question = Question.of(view, view.ask([view.picture()], "?"))
    (trace,) = record(question, Custom(lambda logits: logits[0, 0])(question), frozenset({"gradient"}))
    return trace


def test_a_curve_by_hand():
    trace = trace_of()
    order = torch.cat([torch.tensor([7, 8, 13, 14]), torch.tensor([i for i in range(36) if i not in (7, 8, 13, 14)])])
    curves = deletion_curves(partial(filled, trace, fill="mean"), order[None], steps=36)
    assert curves.scores[0, :6].tolist() == pytest.approx([10, 6, 3, 1, 0, 0])
    assert float(curves.whole[0]) == pytest.approx(10)
    assert float(curves.normalised_auc[0]) == pytest.approx((10 / 2 + 6 + 3 + 1) / 360, abs=1e-6)


def test_a_right_map_is_believable_and_its_opposite_is_not():
    trace = trace_of()
    values = GradientActivation()(trace)
    torch.testing.assert_close(values, WORTH)

    def shuffled():
        return values[torch.randperm(36, generator=torch.Generator().manual_seed(1))]

    good = judge_answer(trace, values, shuffled, level="full")
    assert good.deletion.value < 0.15 < 0.4 < good.deletion.random
    assert good.insertion.value > 0.85 > 0.6 > good.insertion.random
    assert good.verdict == "believable"
    bad = judge_answer(trace, -values, shuffled)
    assert bad.verdict == "no evidence"
    wrong = judge_answer(trace, 5 - values, shuffled, level="full")
    assert wrong.deletion.standing == wrong.insertion.standing == "worse"
    assert wrong.verdict == "do not trust"
    assert judge_answer(trace, values, None).depends_on_weights is None


def test_a_map_that_ignores_the_weights_is_found_out():
    trace = trace_of()
    values = GradientActivation()(trace)
    assert judge_answer(trace, values, lambda: values).depends_on_weights is False
    again = partial(GradientActivation(), trace)  # the toy's rule has no weights that could be randomised
    assert judge_answer(trace, values, again).similarity == pytest.approx(1)


def test_hidden_tokens_without_a_score_are_told():
    trace = trace_of()
    signs = trace.question.streams[0][0, :, 0]
    trace.question.view.rule = lambda seen, said: torch.stack(
        [torch.where((seen == 0).all(), torch.nan, (seen[:, 0] * signs * WORTH).sum()), seen.sum()]
    )
    found = judge_answer(trace, GradientActivation()(trace), lambda: -WORTH)
    assert found.deletion.lost == found.insertion.lost == 1
    assert "not checked (NaN or infinity is the score of 1 changed picture)" in found.line()
    assert found.reasons[0] == "deletion and insertion could not be checked: changed pictures score NaN or infinity"


def test_full_is_finer_and_knows_the_centre():
    trace = trace_of()
    found = judge_answer(trace, GradientActivation()(trace), None, level="full")
    assert found.deletion.orders == 16
    assert found.insertion.centre == found.insertion.centre  # not NaN
    near = centre_distance(trace.question.prompt.pictures).view(6, 6)
    assert near[2, 2] == near.min() == pytest.approx((2 * (0.5 / 6) ** 2) ** 0.5)
    assert near[0, 0] == near.max()


def test_the_same_seed_gives_the_same_figures():
    trace = trace_of()
    values = GradientActivation()(trace)
    assert judge_answer(trace, values, None) == judge_answer(trace, values, None, seed=0) or str(
        judge_answer(trace, values, None)
    ) == str(judge_answer(trace, values, None, seed=0))
    assert (
        judge_answer(trace, values, None, seed=1).deletion.random != judge_answer(trace, values, None).deletion.random
    )
