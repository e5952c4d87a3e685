"""NaN and infinity between a question and its map, on models whose logits are a given function of the vision tokens."""

from __future__ import annotations

import pytest
import torch

from isotherm import explain
from isotherm.errors import NonFiniteError, TargetError
from isotherm.vlm.methods import GradientActivation, TokenOcclusion
from isotherm.vlm.scores import Answer, Custom, ExpectedNumber
from rigs.toy_language_view import Toy

TOKENS = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


def why(rule, *, streams=(TOKENS,), method=None, **options) -> str:
    view = Toy(rule, ["1", "2", "?"], streams, (2, 2))
    with pytest.raises(NonFiniteError) as caught:
        explain(view, view.picture(), prompt="?", method=method or GradientActivation(), trust="off", **options)
    return str(caught.value)


def sound(tokens, said):
    return torch.stack([tokens[0, 0], tokens[1, 1], tokens.sum() - 99])


def test_vision_tokens():
    broken = TOKENS.clone()
    broken[2, 3] = torch.nan
    assert "the vision tokens hold NaN (1 of 24 values)" in why(sound, streams=(broken,))
    assert "deepstack layer 1's vision tokens hold infinity" in why(sound, streams=(TOKENS, TOKENS / 0))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("score", [Answer("1"), Answer("2"), ExpectedNumber()])
def test_logits(value, score):
    """Whatever was asked for: an answer that is read from such logits says nothing."""
    found = why(lambda tokens, said: torch.stack([tokens[0, 0], tokens[1, 1] * value, tokens.sum() - 99]), target=score)
    assert any(word in found for word in ("NaN", "nan", "infinity", "-inf"))


def test_an_answer_without_a_number_is_another_matter():
    view = Toy(
        lambda tokens, said: torch.stack([tokens[0, 0] - 50, tokens[0, 0] - 50, tokens[0, 1] * 0 + 9]),
        ["1", "2", "?"],
        (TOKENS,),
        (2, 2),
    )
    with pytest.raises(TargetError, match="no number"):
        explain(view, view.picture(), prompt="?", target=ExpectedNumber(), method=GradientActivation(), trust="off")


def test_a_gradient_and_a_changed_version():
    """The root of a square is finite where its slope is not; and without a token the model divides by 0."""
    root = why(
        lambda tokens, said: torch.stack([(tokens[0, 0] * 0).sqrt(), tokens.sum(), tokens.sum()]),
        target=Custom(lambda logits: logits[0, 0]),
    )
    assert "the map of gradient_activation for the" in root
    gone = why(
        lambda tokens, said: torch.stack([1 / tokens[0].abs().sum(), tokens.sum(), tokens.sum()]),
        target=Custom(lambda logits: logits[0, 0]),
        method=TokenOcclusion(fill="mask"),
    )
    assert "the map of token_occlusion for the" in gone
