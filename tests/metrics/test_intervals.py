"""Bootstrap intervals: seeded, covering, honest about what is missing."""

from __future__ import annotations

import math

import pytest
import scipy.stats
import torch

from isotherm.errors import OptionError, ShapeError
from isotherm.metrics import bootstrap, bootstrap_nested, bootstrap_paired


def test_agrees_with_scipy():
    values = torch.randn(40, dtype=torch.float64) ** 2
    ours = bootstrap(values, draws=20000)
    theirs = scipy.stats.bootstrap(
        (values.numpy(),), lambda x, axis: x.mean(axis), method="percentile", n_resamples=20000, rng=1
    )
    assert ours.mean == pytest.approx(values.mean().item())
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.02)
    assert ours == bootstrap(values, draws=20000)
    assert ours != bootstrap(values, draws=20000, seed=1)


def test_covers_as_often_as_it_says():
    torch.manual_seed(1)
    samples = torch.randn(300, 30)
    hits = sum(i.low <= 0 <= i.high for i in (bootstrap(s, level=0.8, draws=400) for s in samples)) / 300
    assert 0.72 < hits < 0.86


def test_pairs_are_sharper_than_groups():
    hard = torch.randn(50) * 10
    a, b = hard + 1 + 0.1 * torch.randn(50), hard
    paired = bootstrap_paired(a, b)
    assert 0.9 < paired.low < 1 < paired.high < 1.1
    assert bootstrap(a).high - bootstrap(a).low > 20 * (paired.high - paired.low)


def test_missing_values_are_counted():
    found = bootstrap(torch.tensor([1.0, torch.nan, 3.0]))
    assert (found.mean, found.n, found.left_out) == (2, 2, 1)
    assert "1 left out" in str(found)
    assert bootstrap_paired(torch.tensor([1.0, torch.nan]), torch.tensor([torch.nan, 1.0])).n == 0
    assert math.isnan(bootstrap(torch.tensor([torch.nan])).mean)


@pytest.mark.parametrize("values", [[5.0], [5.0, 5.0], [4.0, 6.0]])
def test_one_or_two_values_have_a_mean_and_no_interval(values):
    found = bootstrap(torch.tensor(values))
    assert (found.mean, found.n, found.known) == (5, len(values), False)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert str(found) == f"5 without an interval (n={len(values)})"
    assert found.per_cent() == "500.0"
    repeats = bootstrap_nested(torch.tensor(values)[:, None].expand(-1, 5))  # of a single one they say something
    assert repeats.known == (len(values) == 1)
    assert not bootstrap_nested(torch.tensor([[4.0, 6.0]])).known
    assert bootstrap(torch.tensor([*values, 5.0, 5.0])).known


def test_nested_resamples_pictures_and_repeats():
    between = torch.randn(30, 1).expand(30, 8)
    within = torch.randn(1, 200)
    # all the spread lies between pictures: repeats do not help
    assert bootstrap_nested(between).high - bootstrap_nested(between).low == pytest.approx(
        bootstrap(between[:, 0]).high - bootstrap(between[:, 0]).low, rel=0.15
    )
    # one picture: the repeats say how well it is known
    width = bootstrap_nested(within).high - bootstrap_nested(within).low
    assert width == pytest.approx(2 * 1.96 * within.std().item() / 200**0.5, rel=0.15)


def test_mistakes(unchecked):
    with pytest.raises(OptionError, match="level"):
        bootstrap(torch.zeros(3), level=1.0)
    with pytest.raises(ShapeError, match="pairs"):
        bootstrap_paired(torch.zeros(3), torch.zeros(4))
