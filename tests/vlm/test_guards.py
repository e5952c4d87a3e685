"""What makes a map meaningless is found out: each guard on a case that has the fault, and silent on one that has not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from isotherm.errors import MethodError, NonFiniteError
from isotherm.relevance.attention import FusedRows
from isotherm.vlm.guards import attention_sinks, cancellation, guarded
from isotherm.vlm.methods import Attention, GradientActivation, TokenActivation
from isotherm.vlm.question import Question
from isotherm.vlm.scores import Answer, Custom
from isotherm.vlm.trace import LayerRows, record
from rigs.toy_language_view import Toy

TOKENS = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


def trace_of(rule, score=None, needs=frozenset({"gradient"}), streams=None):
    view = Toy(rule, ["a", "b", "?"], streams or (TOKENS,), (2, 2))
    question = Question.of(view, view.ask([view.picture()], "?"))
    return record(question, (score or Custom(lambda logits: logits[0, 0]))(question), needs)[0]


def of_one(method, trace):
    return guarded(method, [trace])[0]


def normed(tokens, said):
    """A norm comes first, as behind the last vision block: the scale of a token does not matter."""
    unit = tokens / tokens.norm(dim=-1, keepdim=True)
    return torch.stack([unit[0, 0] * 3 + unit[2, 1], unit.sum(), unit.sum()])


def test_the_plain_product_vanishes_behind_a_norm_and_is_centred():
    trace = trace_of(normed)
    assert cancellation(trace) < 1e-6
    values, notes = of_one(GradientActivation(centre=False), trace)
    torch.testing.assert_close(values, GradientActivation()(trace))
    assert float(values.abs().max()) > 0.1
    assert "a norm follows that does not see a token's scale" in notes[0]
    healthy = trace_of(lambda tokens, said: torch.stack([tokens[0, 0], tokens.sum(), tokens.sum()]))
    assert cancellation(healthy) == 1.0
    assert of_one(GradientActivation(centre=False), healthy)[1] == []


def test_dead_gradients_are_refused_and_dead_streams_are_told():
    with pytest.raises(MethodError, match="every gradient is exactly 0"):
        of_one(GradientActivation(), trace_of(lambda tokens, said: torch.stack([0 * tokens.sum() + 1] * 3)))
    half = trace_of(lambda tokens, said: torch.stack([tokens[0, 0]] * 3), streams=(TOKENS, TOKENS * 0))
    zeroed = replace(half, gradients=(half.gradients[0], torch.zeros_like(half.gradients[1])))
    assert "deepstack layer 1 has no gradient" in of_one(GradientActivation(), zeroed)[1][0]


def test_a_sure_model_is_told():
    sure = trace_of(
        lambda tokens, said: torch.stack([tokens[0, 0] * 0 + 40, tokens.sum() * 0, tokens.sum() * 0.001]), Answer("a")
    )
    assert "sure of this" in of_one(GradientActivation(), sure)[1][0]
    unsure = trace_of(lambda tokens, said: torch.stack([tokens[0, 0], tokens[1, 0], tokens[2, 0]]), Answer("a"))
    assert of_one(GradientActivation(), unsure)[1] == []


def test_values_that_are_not_finite_are_refused():
    trace = trace_of(normed)
    broken = replace(trace, gradients=(trace.gradients[0] * torch.inf,))
    with pytest.raises(NonFiniteError, match=r"the map of gradient_activation for the .* holds NaN"):
        of_one(GradientActivation(), broken)


def test_pictures_in_front_of_the_question_are_blind_to_it():
    trace = trace_of(normed, needs=frozenset())
    assert "stands before the question" in of_one(TokenActivation(), trace)[1][0]
    trace.question.view.causal = False
    assert of_one(TokenActivation(), trace)[1] == []


def with_attention(share, lengths):
    """A layer whose one query looks at the tokens by these shares; their values have these lengths."""
    trace = trace_of(lambda tokens, said: torch.stack([tokens.sum()] * 3), streams=(torch.randn(36, 4),))
    trace.question.view.grid = (6, 6)
    n = len(share)
    key = torch.zeros(1, 1, n + 1, 2)
    key[0, 0, :n, 0] = torch.log(share)
    key[0, 0, n, 0] = -50.0
    query = torch.zeros(1, 1, n + 1, 2)
    query[..., 0] = 1.0
    value = torch.zeros(1, 1, n + 1, 2)
    value[0, 0, :n, 0] = lengths
    layer = FusedRows(value, torch.zeros(1, 1, n + 1, 2), query, key, None, True, 1.0)
    prompt = replace(trace.question.prompt, positions=torch.arange(n))
    trace.question.prompt = prompt
    return replace(trace, reads=((LayerRows(layer, 0, torch.tensor([n]), None),),))


def test_sinks_are_what_is_looked_at_and_gives_nothing():
    share, lengths = torch.full((36,), 0.5 / 35), torch.ones(36)
    share[5] = 0.5
    lengths[5] = 0.01
    sink = with_attention(share, lengths)
    assert attention_sinks(sink).nonzero().flatten().tolist() == [5]
    values, notes = of_one(Attention(), sink)
    assert "attention sinks" in notes[0]
    assert float(values[5]) == pytest.approx(float(values[0]), rel=1e-4)
    honest = with_attention(share, torch.ones(36))  # looked at, and read: evidence
    assert not bool(attention_sinks(honest).any())
    assert int(of_one(Attention(), honest)[0].argmax()) == 5
