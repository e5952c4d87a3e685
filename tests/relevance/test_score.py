"""One protocol for every score: what it chooses is pinned and named, and is read again to the same numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import isotherm.cam.scores as pictures
import isotherm.vlm.scores as answers
from isotherm import explain
from isotherm.cam.maps import Maps
from isotherm.cam.scores.named import Boxed
from isotherm.cam.view import Inputs, Segmentation
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.relevance.score import Score, Target
from isotherm.vlm.choose import NumberOrAnswer
from isotherm.vlm.question import AnswerTarget, Question
from rigs.tiny_views import TinyClassifier, TinyDetector
from rigs.toy_language_view import Toy

PICTURES = [np.random.default_rng(i).integers(0, 255, (20, 30, 3), dtype=np.uint8) for i in range(2)]


def classified():
    torch.manual_seed(0)
    view = TinyClassifier()
    inputs = view.prepare(PICTURES)
    return view.find(view.run(inputs), inputs), inputs


def detected():
    torch.manual_seed(0)
    view = TinyDetector()
    inputs = view.prepare(PICTURES)
    return view.find(view.run(inputs), inputs), inputs


def segmented():
    logits = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    inputs = Inputs(torch.zeros(2, 3, 8, 8), Frame.identity((8, 8)).expanded(2))
    return Segmentation(logits, ("sky", "road", "tree")), inputs


def mapped():
    values = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    frame = Frame.identity((8, 8)).expanded(2)
    return Maps(values, ("nose", "chair"), frame, peaked=True), Inputs(torch.zeros(2, 3, 8, 8), frame)


OF_PICTURES = [
    (pictures.ClassLogit(), classified, "logit"),
    (pictures.ClassLogit("bus"), classified, "logit"),
    (pictures.TopK(2), classified, "logit"),
    (pictures.Classes(("cat", "tram")), classified, "logit"),
    (pictures.Contrast("cat", "bus"), classified, "logit"),
    (pictures.Function(lambda p: p.logits.logsumexp(1)), classified, "value"),
    (pictures.Named(("cat",)), classified, "logit"),
    (pictures.Similarity(torch.tensor([1.0, -2.0, 0.5, 3.0])), classified, "cosine similarity"),
    (pictures.Detection(), detected, "logit"),
    (pictures.Detection(of="box"), detected, None),
    (pictures.SegmentationMask(), segmented, "logit"),
    (pictures.MapValue("nose"), mapped, "value"),
    (Boxed(pictures.Detection(box=(18.0, 10.5, 25.7, 18.5))), detected, "logit"),
]
OF_ANSWERS = [
    (answers.NextToken(), "logit"),
    (answers.NextToken("two", of="log_prob"), "log_prob"),
    (answers.Answer(), "log_prob"),
    (answers.Answer("two dog", per="word", of="logit"), "logit"),
    (answers.Word("two", text="two dog"), "log_prob"),
    (answers.Span(0, 1, text="two dog"), "log_prob"),
    (answers.Contrast("two", " dog"), None),
    (answers.Custom(lambda logits: logits[0, 1].square()), None),
    (answers.ExpectedNumber(), None),
    (NumberOrAnswer(), None),
]


def picked(prediction, index=slice(None)) -> dict[str, torch.Tensor]:
    """What a prediction holds for each picture, of some rows."""
    return {
        name: getattr(prediction, name)[index]
        for name in ("logits", "embedding", "values")
        if getattr(prediction, name, None) is not None
    }


def named(case) -> str:
    return type(case[0]).__name__


@pytest.mark.parametrize("case", OF_PICTURES, ids=named)
def test_a_score_of_pictures_chooses_targets_that_are_read_again(case):
    score, answer, of = case
    prediction, inputs = answer()
    assert isinstance(score, Score)
    assert score.explains == "pictures"
    targets = score(prediction, inputs)
    assert isinstance(targets, Target)
    assert targets.of == of
    assert len(targets.labels) == len(targets) > 0
    assert all(label and "\n" not in label for label in targets.labels)
    assert set(targets.picture.tolist()) <= {0, 1}
    # one row of a batch of changed inputs is asked for one target; here nothing was changed
    for i in range(len(targets)):
        alone = targets.take(torch.tensor([i]))
        assert alone.of == of
        assert alone.labels == (targets.labels[i],)
        assert torch.equal(alone.scores, targets.scores[i : i + 1])
    if targets.pins is None:
        rows = replace(prediction, **picked(prediction, targets.picture))
        torch.testing.assert_close(targets.read(rows, torch.arange(len(targets))), targets.scores)
        other = replace(
            rows,
            **{
                name: 2 * v + torch.arange(float(v.shape[1])).view(1, -1, *[1] * (v.ndim - 2))
                for name, v in picked(rows).items()
            },
        )
        assert not torch.allclose(targets.read(other, torch.arange(len(targets))), targets.scores)
    else:
        same = prediction.take(targets.rows)
        torch.testing.assert_close(targets.read(same, torch.arange(len(targets))), targets.scores)
        assert len(targets.pins.boxes) == len(targets)


@pytest.mark.parametrize("case", OF_ANSWERS, ids=named)
def test_a_score_of_answers_chooses_targets_that_are_read_again(case):
    score, of = case
    tokens = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))

    def rule(seen, answer):
        likely = (
            torch.tensor([0.0, 4.0, 1.0, -2.0, 3.0, 0.0])
            if not answer
            else torch.tensor([0.0, 0.0, 1.0, 5.0, 0.0, 0.0])
        )
        return likely + seen.sum(0) * 0.1

    question = Question.of(
        view := Toy(rule, ["a", "two", " dog", ".", "one", "?"], (tokens,), (2, 2), ends=frozenset({3})),
        view.ask([view.picture()], "how many ?"),
    )
    assert isinstance(score, Score)
    assert score.explains == "answers"
    targets = score(question)
    assert targets
    changed = tuple(
        s + 0.5 * torch.randn(s.shape, generator=torch.Generator().manual_seed(2)) for s in question.streams
    )
    for target in targets:
        assert isinstance(target, AnswerTarget)
        assert isinstance(target, Target)
        assert target.of == of
        assert target.labels == (target.label,)
        assert target.label
        assert "\n" not in target.label
        again = target.read([question.logits(c) for c in target.continuations])
        torch.testing.assert_close(again, question.values([target], question.streams)[0, 0])
        other = question.values([target], changed)[0, 0]
        assert not torch.allclose(again, other)
        assert target.continuations == score(question)[targets.index(target)].continuations


def test_every_score_is_tried_above():
    """A new score has to stand in the lists; a system's own is tried with the system, and is there only where that was imported."""
    waiting, every = [Score], set()
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            if kind.__module__.startswith(("isotherm.cam.", "isotherm.vlm.")) and not kind.__name__.startswith("_"):
                every.add(kind.__name__)
    tried = {named(case) for case in (*OF_PICTURES, *OF_ANSWERS)}
    assert every - tried == {"AnswerScore"}


def test_a_score_of_ones_own_says_what_it_explains():
    from isotherm.data.scenes import make_scene
    from isotherm.data.shape_questions import make_question

    class Spread(Score):
        def __call__(self, prediction, inputs):
            return pictures.Function(lambda p: p.logits.std(1), label="spread")(prediction, inputs)

    class Certainty(Score):
        explains = "answers"

        def __call__(self, question):
            (target,) = answers.Custom(lambda logits: logits[0].max(), label="certainty")(question)
            return [target]

    picture, shapes = make_scene(3).picture, make_question(11, "count")
    assert explain("scenes", picture, target=Spread(), trust="off")[0].label == "spread"
    assert explain("tiny-vlm", shapes.picture, prompt=shapes.question, target=Certainty(), trust="off")[0].label == (
        "certainty"
    )
    with pytest.raises(OptionError, match="Certainty is a score of answers; give a prompt"):
        explain("scenes", picture, target=Certainty())
    with pytest.raises(OptionError, match="Spread is a score of what a model says of a picture"):
        explain("tiny-vlm", shapes.picture, prompt=shapes.question, target=Spread())
