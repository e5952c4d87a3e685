"""Trust: thresholds, verdicts and their words; and that the whole of it tells true maps from random ones."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from scipy.stats import t as student
from torch import nn

from isotherm.errors import OptionError
from isotherm.metrics import Beside, Trust, assess, compare, random_maps
from isotherm.metrics.gain import Gain
from isotherm.metrics.trust import _T95, BELIEVABLE, DOUBTFUL, MARGIN, SEEN, SPREAD, UNTRAINED

DOWN = Beside(value=0.21, random=0.48, spread=0.05, orders=3, centre=0.44)
UP = Beside(value=0.71, random=0.48, spread=0.05, orders=3, lower_is_better=False)
LOST = Beside(value=math.nan, random=0.48, spread=0.05, orders=3, lost=2)
GOOD = Trust(DOWN, UP, similarity=0.07)


def test_the_line():
    assert GOOD.line() == (
        "trust: deletion 0.21 vs random 0.48 ± 0.05 (better), centre 0.44, insertion 0.71 vs random 0.48 ± 0.05 (better), "
        "randomised weights: similarity 0.07 (map depends on the weights) → believable"
    )
    full = replace(GOOD, road=0.125, level="full")
    assert ", ROAD +0.12, " in full.line()
    assert "\n" not in full.line()


@pytest.mark.parametrize(
    ("trust", "verdict", "words"),
    [
        (GOOD, "believable", ()),
        (
            replace(GOOD, deletion=replace(DOWN, value=0.45), insertion=replace(UP, value=0.5)),
            "do not trust",
            ("no better than random",),
        ),
        (
            replace(GOOD, deletion=replace(DOWN, value=0.41), insertion=replace(UP, value=0.5)),
            "doubtful",
            ("not clearly better than random",),
        ),
        (
            replace(GOOD, deletion=replace(DOWN, value=0.41), insertion=replace(UP, value=0.1)),
            "do not trust",
            ("insertion worse than random, deletion no better",),
        ),
        (
            replace(GOOD, deletion=replace(DOWN, value=0.9, centre=math.nan)),
            "do not trust",
            ("deletion worse than random, insertion better",),
        ),
        (
            replace(GOOD, insertion=replace(UP, value=0.1)),
            "do not trust",
            ("insertion worse than random, deletion better",),
        ),
        (
            replace(GOOD, deletion=replace(DOWN, value=0.9, centre=math.nan), insertion=replace(UP, value=0.1)),
            "do not trust",
            ("deletion and insertion worse than random",),
        ),
        (replace(GOOD, similarity=0.93), "do not trust", ("hardly depends on the weights",)),
        (replace(GOOD, insertion=replace(UP, value=0.5)), "doubtful", ("better than random in deletion only",)),
        (replace(GOOD, deletion=replace(DOWN, value=0.45)), "doubtful", ("better than random in insertion only",)),
        (replace(GOOD, similarity=math.nan), "doubtful", ("weights not checked",)),
        (replace(GOOD, deletion=replace(DOWN, centre=0.1)), "doubtful", ("the picture's centre does better",)),
        (replace(GOOD, evidence=False), "no evidence", ("no value of the map is positive",)),
        (
            replace(GOOD, deletion=replace(DOWN, value=math.nan), insertion=replace(UP, value=math.nan)),
            "cannot be judged",
            ("it is known as well from the covered picture",),
        ),
        (
            replace(GOOD, deletion=LOST, insertion=LOST),
            "not checked",
            ("deletion and insertion could not be checked: changed pictures score NaN or infinity",),
        ),
        (
            replace(GOOD, deletion=LOST),
            "doubtful",
            ("deletion could not be checked: changed pictures score NaN or infinity",),
        ),
        (
            replace(GOOD, deletion=LOST, insertion=replace(UP, value=0.1)),
            "do not trust",
            ("deletion could not be checked: changed pictures score NaN or infinity", "insertion worse than random"),
        ),
        (
            replace(GOOD, deletion=LOST, insertion=LOST, similarity=0.93),
            "do not trust",
            (
                "deletion and insertion could not be checked: changed pictures score NaN or infinity",
                "hardly depends on the weights",
            ),
        ),
    ],
)
def test_verdicts(trust, verdict, words):
    assert trust.verdict == verdict
    assert trust.reasons == words
    assert f"→ {verdict}" in trust.line()
    assert all(w in trust.line() or not trust.evidence for w in words)
    assert "nan" not in trust.line()


def test_thresholds():
    # three random maps: t = 2.92, times sqrt(1 + 1/3), times the spread
    needed = 2.920 * 0.05 * (4 / 3) ** 0.5
    assert replace(DOWN, value=0.48 - needed - 1e-6).standing == "better"
    assert replace(DOWN, value=0.48 - needed + 1e-6).standing == "no better"
    assert replace(DOWN, value=0.48 + needed + 1e-6).standing == "worse"
    assert replace(UP, value=0.48 + needed + 1e-6).standing == "better"
    tight = replace(DOWN, spread=0.0)
    assert replace(tight, value=0.48 - MARGIN - 1e-6).standing == "better"
    assert replace(tight, value=0.48 - MARGIN + 1e-6).standing == "no better"
    assert replace(DOWN, value=0.48 - needed - 1e-6, orders=100, spread=0.05).standing == "better"
    assert GOOD.depends_on_weights is True
    assert replace(GOOD, similarity=0.5).depends_on_weights is False
    assert replace(DOWN, centre=0.21 - 0.05 + 1e-6).centre_is_better is False
    assert replace(DOWN, centre=0.21 - 0.05 - 1e-6).centre_is_better is True
    assert replace(UP, centre=0.71 + 0.05 + 1e-6).centre_is_better is True
    assert max(abs(a - student.ppf(0.95, n)) for n, a in enumerate(_T95, start=1)) < 1e-3


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["filled", "between"])
def test_changed_pictures_without_a_score_are_counted_and_told(bad, where):
    """One picture's score is not finite: that of the filled one, or those from which exactly the brightest pixel is gone."""
    picture = torch.arange(1.0, 37).view(1, 1, 6, 6)

    def score(x, target):
        zeros = (x == 0).sum((1, 2, 3))
        gone = zeros == 36 if where == "filled" else (x.amax((1, 2, 3)) < 31) & (zeros == 6)
        return torch.where(gone, bad, x.sum((1, 2, 3)))

    (trust,) = assess(picture[:, 0], picture, score, fill=torch.zeros(1), grid=(6, 6))
    if where == "filled":
        assert trust.deletion.lost == trust.insertion.lost == 1
        assert trust.verdict == "not checked"
        assert "not checked (NaN or infinity is the score of 1 changed picture)" in trust.line()
    else:
        assert (trust.deletion.lost, trust.insertion.lost) == (1, 0)
        assert trust.insertion.standing == "better"
        assert trust.verdict == "doubtful"
        assert trust.reasons[0] == "deletion could not be checked: changed pictures score NaN or infinity"
    assert "as high as the whole one" not in trust.line()
    even = assess(picture[:, 0], picture, lambda x, target: x.new_ones(len(x)), fill=torch.zeros(1), grid=(6, 6))[0]
    assert even.deletion.lost == 0
    assert "the filled picture scores as high as the whole one" in even.line()


class Patches(nn.Module):
    """Score of class k: how much of pattern k is in the picture; every pixel's contribution is known."""

    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.nn.functional.interpolate(torch.rand(4, 1, 7, 7) ** 8, size, mode="bilinear"))

    def forward(self, x):
        return torch.einsum("nchw,kchw->nk", x, self.weight)


def test_random_maps_are_called_better_in_one_case_of_twenty():
    torch.manual_seed(0)
    t, size, grid = 240, (16, 16), (4, 4)
    weights = torch.rand(t, 1, *size)

    def score(x, target):
        return (x * weights[target]).sum((1, 2, 3))

    both = compare(
        random_maps(t, size, grid=grid, seed=77),
        torch.rand(t, 1, *size),
        score,
        fill=torch.zeros(1),
        grid=grid,
        orders=4,
        centre=(),
        steps=8,
        batch=256,
    )
    map_auc, random = both.deletion.map.normalised_auc, both.deletion.random.normalised_auc
    standings = [
        Beside(float(m), float(r.mean()), float(r.std()), 4).standing for m, r in zip(map_auc, random, strict=True)
    ]
    assert 3 <= standings.count("better") <= 24  # 12 expected; outside with less than one chance in a thousand
    assert 3 <= standings.count("worse") <= 24


@pytest.mark.parametrize("level", ["fast", "full"])
def test_assess_tells_true_maps_from_random_and_blind_ones(level):
    torch.manual_seed(1)
    size = (16, 16)
    model, pictures = Patches(size), torch.rand(4, 1, *size)
    old = model.weight.detach().clone()
    classes = torch.arange(4)
    calls = []

    def score(x, target):
        calls.append(len(x))
        return model(x)[torch.arange(len(x)), classes[target]]

    def explain():
        return (model.weight * pictures)[:, 0].detach()

    settings = {"fill": torch.zeros(1), "grid": (7, 7), "level": level, "batch": 64}
    truth = assess(explain(), pictures, score, model=model, explain=explain, **settings)
    assert [t.verdict for t in truth] == ["believable"] * 4
    assert sum(calls) == 4 * (42 if level == "fast" else 2 + 19 * 14 + 1 + 18)
    assert all(t.level == level for t in truth)
    assert all(math.isfinite(t.road) == (level == "full") for t in truth)
    assert all(len(t.stages) == (4 if level == "full" else 0) for t in truth)
    assert torch.equal(model.weight, old)
    chance = assess(random_maps(4, size, grid=(7, 7), seed=3), pictures, score, **settings)
    assert all(t.verdict != "believable" for t in chance)
    assert all(t.depends_on_weights is None for t in chance)
    fixed = explain()
    blind = assess(fixed, pictures, score, model=model, explain=lambda: fixed, **settings)
    assert all(t.verdict == "do not trust" and t.similarity == pytest.approx(1) for t in blind)
    nothing = assess(-fixed.abs() - 1, pictures, score, **settings)
    assert all(t.verdict == "no evidence" for t in nothing)
    once, twice = (assess(fixed, pictures, score, **settings) for _ in range(2))
    assert [t.line() for t in once] == [t.line() for t in twice]


@pytest.mark.parametrize("level", ["fast", "full"])
def test_what_is_random_belongs_to_the_picture_and_the_seed(level):
    torch.manual_seed(2)
    size, pictures, weights = (8, 8), torch.rand(2, 1, 8, 8), torch.rand(8, 8)
    maps = torch.rand(3, *size).round(decimals=1)  # with ties

    def figures(rows, picture, seed=0):
        def score(x, target):
            return (x[:, 0] * weights).sum((1, 2))

        judged = assess(
            maps[rows],
            pictures,
            score,
            fill=torch.zeros(1),
            grid=(4, 4),
            level=level,
            picture=torch.tensor(picture),
            seed=seed,
            batch=7,
        )
        return [repr(t) for t in judged], [t.deletion.random for t in judged]

    together, random = figures([0, 1, 2], [0, 1, 0])
    assert random[0] == random[2] != random[1]
    for i, row in enumerate([0, 1, 0]):
        assert figures([i], [row])[0] == [together[i]]
    assert figures([2, 0, 1], [0, 0, 1])[0] == [together[2], together[0], together[1]]
    assert figures([0, 1, 2], [0, 1, 0], seed=0)[0] == together
    assert all(a != b for a, b in zip(figures([0, 1, 2], [0, 1, 0], seed=7)[1], random, strict=True))


def test_mistakes(unchecked):
    maps, pictures = torch.rand(1, 4, 4), torch.rand(1, 1, 4, 4)
    with pytest.raises(OptionError, match="level"):
        assess(maps, pictures, lambda x, t: x.sum((1, 2, 3)), fill=torch.zeros(1), grid=(2, 2), level="slow")
    with pytest.raises(OptionError, match="both model= and explain="):
        assess(maps, pictures, lambda x, t: x.sum((1, 2, 3)), fill=torch.zeros(1), grid=(2, 2), model=nn.Linear(1, 1))


def by_gain(value: float, *, whole: float = 3.0, empty: float = 0.0, stays: float = 0.1, **more) -> Trust:
    """Of a map of this gain, where a share of what there is to lose stays as random halves are covered."""
    halves = (empty + stays * (whole - empty),) * 6
    return Trust(gain=Gain(whole, empty, (1.0 + value,), (1.0,), (0.5,), halves), **more)


@pytest.mark.parametrize(
    ("trust", "verdict", "reason"),
    [
        (by_gain(BELIEVABLE), "believable", None),
        (by_gain(BELIEVABLE, stays=0.9), "believable", None),
        (by_gain(BELIEVABLE, untrained=True), "doubtful", UNTRAINED),
        (by_gain(BELIEVABLE, whole=SEEN), "believable", None),
        (by_gain(2.5, whole=SEEN - 0.01), "doubtful", "the model itself hardly sees it in the whole picture"),
        (
            by_gain(DOUBTFUL + 0.01),
            "doubtful",
            "what the map marks shows it hardly better than the rest of the picture",
        ),
        (by_gain(0.0), "do not trust", "what the map marks shows it no better than the rest of the picture"),
        (by_gain(-1.0), "do not trust", "the rest of the picture shows it better than what the map marks"),
        (by_gain(-1.0, stays=0.9), "do not trust", "the rest of the picture shows it better than what the map marks"),
        (by_gain(0.0, stays=SPREAD + 0.01), "cannot be judged", "nearly any half of the picture shows it"),
        (by_gain(0.8, empty=3.0), "cannot be judged", "it is known as well from the covered picture"),
        (by_gain(math.nan), "not checked", "covered pictures score NaN or infinity"),
        (by_gain(2.0, evidence=False), "no evidence", "no value of the map is positive"),
    ],
)
def test_the_evidence_gain_decides_where_it_is_known(trust, verdict, reason):
    assert trust.verdict == verdict
    assert trust.reasons == (() if reason is None else (reason,))
    details = replace(trust, deletion=DOWN, insertion=replace(UP, value=0.1), similarity=0.9)
    assert details.verdict == verdict


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.9496, "+0.94 (needs 0.95) → doubtful"),
        (0.6999, "+0.69 (needs 0.95) → do not trust"),
        (0.95, "+0.95 (needs 0.95) → believable"),
        (0.7, "+0.70 (needs 0.95) → doubtful"),
        (0.9451, "+0.94 (needs 0.95) → doubtful"),
        (2.778, "+2.78 (needs 0.95) → believable"),
        (-0.296, "-0.30 (needs 0.95) → do not trust"),
    ],
)
def test_no_gain_reads_as_a_limit_that_it_does_not_reach(value, words):
    gain = Gain(2.0, 0.0, (value,), (0.0,), (0.5,), (0.0,))
    assert words in Trust(gain=gain).line()


def test_the_line_of_a_gain_has_the_figure_first_and_the_details_behind_it():
    trust = by_gain(2.5)
    assert trust.line() == "trust: evidence gain +2.50 (needs 0.95) → believable"
    full = replace(trust, deletion=DOWN, insertion=UP, similarity=0.07, level="full")
    assert full.line().startswith("trust: evidence gain +2.50 (needs 0.95), deletion 0.21 vs random")
    assert full.line().endswith("similarity 0.07 (map depends on the weights) → believable")
