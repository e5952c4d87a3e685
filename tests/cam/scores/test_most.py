"""How many of a detector's findings are explained where nobody names them one by one."""

from __future__ import annotations

import pytest
import torch

from isotherm.cam.scores import Detection, Score
from isotherm.cam.scores.most import most_confident
from isotherm.cam.scores.named import Named
from isotherm.cam.trace import Targets
from isotherm.errors import OptionError
from isotherm.explaining import ExplainOptions


def targets(pairs):
    """Targets of (picture, position of the finding), whose scores are their places in the list."""
    picture, finding = torch.tensor(pairs).T
    scores = torch.arange(len(pairs), dtype=torch.float32)
    labels = tuple(f"{p}:{f}" for p, f in pairs)
    return Targets(scores, picture, labels, lambda prediction, index: scores[index], finding=finding)


PAIRS = [(0, 2), (0, 0), (0, 1), (1, 0), (0, 0), (1, 1), (1, 2)]
"""Two pictures; of the first one's finding 0 two parts."""


class Own(Score):
    """A score of somebody's own, which chooses how many findings it takes."""

    def __call__(self, prediction, inputs):
        return targets(PAIRS)


def test_the_most_confident_of_each_picture_stay_with_all_of_their_parts_in_order():
    kept, note = most_confident(targets(PAIRS), Detection(), 2)
    assert kept.labels == ("0:0", "0:1", "1:0", "0:0", "1:1")
    assert kept.scores.tolist() == [1, 2, 3, 4, 5]
    assert kept.read(None, torch.tensor([2])).item() == 3
    assert note.startswith("explained are the 4 most confident of 6 findings; a higher limit")


@pytest.mark.parametrize(
    ("score", "most"),
    [
        (Detection(), None),
        (Detection(), 3),
        (Detection(2), 1),
        (Detection((0, 2)), 1),
        (Detection(box=(0, 0, 1, 1)), 1),
        (Named((1, 2)), 1),
        (Own(), 1),
    ],
)
def test_few_findings_and_those_that_are_named_one_by_one_all_stay(score, most):
    every = targets(PAIRS)
    assert most_confident(every, score, most) == (every, None)


@pytest.mark.parametrize("score", [Detection("cat"), Named(("cat",)), Detection((0, "cat"))])
def test_findings_that_are_named_by_their_class_are_limited(score):
    assert len(most_confident(targets(PAIRS), score, 1)[0]) == 3


@pytest.mark.parametrize("most", [0, -1, True])
def test_a_limit_that_is_none_is_refused(most):
    with pytest.raises(OptionError, match=r"max_findings is .*whole number of at least 1, or None for all"):
        ExplainOptions(max_findings=most)
    assert ExplainOptions().max_findings == 20
