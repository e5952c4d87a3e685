"""When to answer: the risk that was promised is kept, and as much is answered as may be."""

from __future__ import annotations

import pytest
import torch

from isotherm.decode import fit_abstention
from isotherm.errors import OptionError, ShapeError


def answers(n, seed):
    """Scores, and hits whose chance is the score."""
    generator = torch.Generator().manual_seed(seed)
    score = torch.rand(n, generator=generator)
    return score, torch.rand(n, generator=generator) < score


def test_the_bound_is_that_of_clopper_and_pearson():
    """Twenty right answers of twenty: 1 - 0.05^(1/20) wrong ones at most, with 95 %."""
    rule = fit_abstention(torch.ones(20), torch.ones(20, dtype=torch.bool), most_risk=0.2)
    assert rule.bound == pytest.approx(1 - 0.05 ** (1 / 20))
    assert (rule.threshold, rule.risk, rule.answered) == (1.0, 0.0, 1.0)


def test_the_promise_is_kept_on_new_answers_nearly_always():
    kept = shares = 0.0
    score, hit = answers(20000, 999)
    for seed in range(60):
        rule = fit_abstention(*answers(1000, seed), most_risk=0.15)
        assert rule.bound <= 0.15
        chosen = rule.answers(score)
        kept += float((~hit[chosen]).float().mean()) <= 0.15 + 0.005
        shares += float(chosen.float().mean()) / 60
    assert kept >= 54  # 95 % of 60 are 57
    assert 0.1 < shares < 0.3  # with all numbers known .3 could be answered


def test_where_nothing_can_be_promised_nothing_is_answered():
    score, hit = answers(10, 0)
    rule = fit_abstention(score, hit, most_risk=0.01)
    assert not rule.answers(score).any()
    wrong = fit_abstention(torch.rand(500), torch.zeros(500, dtype=torch.bool), most_risk=0.3)
    assert not wrong.answers(torch.ones(3)).any()


def test_answers_of_one_score_are_given_together():
    score = torch.tensor([0.9] * 100 + [0.5] * 100)
    hit = torch.tensor([True] * 150 + [False] * 50)
    rule = fit_abstention(score, hit, most_risk=0.1)
    assert rule.threshold == pytest.approx(0.9)
    assert rule.answered == 0.5


def test_misuse(unchecked):
    score, hit = answers(5, 0)
    with pytest.raises(OptionError, match="most_risk is 0"):
        fit_abstention(score, hit, most_risk=0.0)
    with pytest.raises(OptionError, match="confidence is 1"):
        fit_abstention(score, hit, most_risk=0.1, confidence=1.0)
    with pytest.raises(ShapeError, match=r"\(5,\) and hit \(4,\)"):
        fit_abstention(score, hit[:4], most_risk=0.1)
    with pytest.raises(ShapeError, match=r"hit has dtype torch.float32; expected torch.bool"):
        fit_abstention(score, hit.float(), most_risk=0.1)
    with pytest.raises(ShapeError, match=r"score has dtype torch.int64; expected floating point"):
        fit_abstention(torch.arange(5), hit, most_risk=0.1)
    with pytest.raises(ShapeError, match="hit is a ndarray; expected a tensor"):
        fit_abstention(score, hit.numpy(), most_risk=0.1)
    with pytest.raises(ShapeError, match="score is None"):
        fit_abstention(None, hit, most_risk=0.1)
