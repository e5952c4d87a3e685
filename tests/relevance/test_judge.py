"""One judge: both sides' cases, what is compared together, and what cannot be made again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from isotherm.cam import methods
from isotherm.cam.attribute import attribute
from isotherm.cam.trust import PictureCase, assessor
from isotherm.errors import OptionError
from isotherm.metrics.trust import Beside, Trust
from isotherm.relevance import judge as module
from isotherm.relevance.judge import Case, judge
from isotherm.vlm.question import Question
from isotherm.vlm.scores import Custom
from isotherm.vlm.trace import record
from isotherm.vlm.trust import AnswerCase
from rigs.tiny_views import TinyClassifier
from rigs.toy_language_view import Toy

UNKNOWN = Beside(math.nan, math.nan, math.nan, 5)


@dataclass
class Fixed:
    """A case whose map is a row of the model's weights, or does not depend on them."""

    model: nn.Module
    row: int = 0
    alike: Any = "one"
    depends: bool = True
    keep: tuple[str, ...] = ()
    fractions: tuple[float, ...] = (0.5, 1.0)
    calibrate: bool = True
    seeds: list[int] = field(default_factory=list)

    def removal(self, level, seed):
        self.seeds.append(seed)
        return Trust(UNKNOWN, UNKNOWN, level=level)

    def values(self):
        return self._map()

    def again(self):
        return self._map()

    def _map(self):
        values = self.model.maps.weight[self.row] if self.depends else torch.arange(400.0)
        return values.detach().clone().view(1, 20, 20)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.ModuleDict({"maps": nn.Linear(400, 3), "other": nn.Linear(4, 4)})


def test_a_map_that_changes_with_the_weights_depends_on_them(model):
    changing, fixed = judge([Fixed(model), Fixed(model, depends=False)], "fast", seed=3)
    assert changing.depends_on_weights is True
    assert changing.similarity < 0.5
    assert fixed.depends_on_weights is False
    assert fixed.similarity == pytest.approx(1)
    assert changing.stages == fixed.stages == ()


def test_in_full_there_are_stages_and_three_seeds(model, monkeypatch):
    options = {}
    real = module.cascade

    def cascade(*args, **others):
        options.update(others)
        return real(*args, **others)

    monkeypatch.setattr(module, "cascade", cascade)
    case = Fixed(model, keep=("other",))
    (verdict,) = judge([case], "full", seed=7)
    assert options["seeds"] == (7, 8, 9)
    assert options["fractions"] == (0.5, 1.0)
    assert options["keep"] == ("other",)
    assert [fraction for fraction, _ in verdict.stages] == [0.5, 1.0]
    assert case.seeds == [7]
    (single,) = judge([Fixed(model, fractions=(1.0,))], "full")
    assert single.stages == ()


def test_only_maps_that_can_stand_in_one_tensor_are_compared_together(model, monkeypatch):
    sizes = []
    real = module.cascade
    monkeypatch.setattr(module, "cascade", lambda *a, **o: (sizes.append(len(o["maps"])), real(*a, **o))[1])
    cases = [Fixed(model, 0, "a"), Fixed(model, 1, "b", depends=False), Fixed(model, 2, "a")]
    verdicts = judge(cases, "fast")
    assert sizes == [2, 1]
    alone = [judge([case], "fast")[0].similarity for case in cases]
    assert [v.similarity for v in verdicts] == pytest.approx(alone)


def test_what_cannot_be_made_again_is_not_checked(model, unchecked):
    class Once(Fixed):
        again = None

    (verdict,) = judge([Once(model)], "fast")
    assert verdict.depends_on_weights is None
    with pytest.raises(OptionError, match="level is 'slow'"):
        judge([], "slow")


def test_pictures_and_answers_come_before_the_judge_as_cases(monkeypatch):
    cases = []

    def seen(given, level, *, seed):
        cases.extend(given)
        return judge(given, level, seed=seed)

    monkeypatch.setattr("isotherm.cam.trust.judge", seen)
    monkeypatch.setattr("isotherm.vlm.trust.judge", seen)
    torch.manual_seed(0)
    view = TinyClassifier()
    inputs = view.prepare([np.random.default_rng(0).integers(0, 255, (16, 24, 3), dtype=np.uint8)])
    attribution = attribute(view, inputs, methods=[methods.hirescam])
    (trust,) = assessor(attribution, [methods.hirescam], "auto", "mean", "fast")(0)()
    assert trust.gain is not None
    toy = Toy(lambda seen, answer: torch.stack([seen.sum(), seen.sum() * 0]), ["a", "?"], (torch.rand(9, 3),), (3, 3))
    question = Question.of(toy, toy.ask([toy.picture()], "?"))
    (trace,) = record(question, Custom(lambda logits: logits[0, 0])(question), frozenset())
    from isotherm.vlm.trust import judge_answer

    verdict = judge_answer(trace, torch.rand(9), lambda: torch.rand(9))
    assert verdict.deletion.orders == 8
    assert [type(case) for case in cases] == [PictureCase, AnswerCase]
    assert all(isinstance(case, Case) for case in cases)
