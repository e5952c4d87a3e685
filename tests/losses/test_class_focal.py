"""Focal loss of classes: hand-computed, against torchvision's, and finite where the sigmoid is not."""

from __future__ import annotations

import math

import pytest
import torch

from isotherm.errors import OptionError, ShapeError
from isotherm.losses import class_focal


def test_a_case_by_hand():
    # sigmoid of ln 3 is 3/4: present costs 1/4 (1/4)^2 ln(4/3), absent 3/4 (3/4)^2 ln 4
    logits = torch.tensor([[math.log(3), math.log(3)]])
    expected = 0.25 / 16 * math.log(4 / 3) + 0.75 * 9 / 16 * math.log(4)
    assert float(class_focal(logits, torch.tensor([0]))) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.75, 0.5), (-1.0, 2.0), (0.25, 0.0)])
def test_equal_to_torchvisions(alpha, gamma):
    ops = pytest.importorskip("torchvision.ops")
    rng = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(6, 5, generator=rng) * 3, torch.randint(0, 5, (6,), generator=rng)
    target = torch.nn.functional.one_hot(labels, 5).float()
    expected = ops.sigmoid_focal_loss(logits, target, alpha=alpha, gamma=gamma, reduction="none").sum(-1)
    torch.testing.assert_close(class_focal(logits, labels, alpha=alpha, gamma=gamma, reduction="none"), expected)
    torch.testing.assert_close(class_focal(logits, labels, alpha=alpha, gamma=gamma), expected.sum())
    torch.testing.assert_close(class_focal(logits, labels, alpha=alpha, gamma=gamma, reduction="mean"), expected.mean())


def test_an_example_without_a_label_takes_no_part():
    logits = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = torch.tensor([2, -1, 0])
    torch.testing.assert_close(
        class_focal(logits, labels, reduction="mean"), class_focal(logits[[0, 2]], labels[[0, 2]], reduction="mean")
    )
    class_focal(logits, labels).backward()
    assert (logits.grad[1] == 0).all()
    assert (logits.grad[0] != 0).all()


def test_gradients_are_right_and_never_vanish_where_a_decision_is_surely_wrong():
    logits = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    labels = torch.tensor([0, 3, 1])
    assert torch.autograd.gradcheck(lambda x: class_focal(x, labels), logits)
    wrong = torch.tensor([[-200.0, 200.0]], requires_grad=True)
    class_focal(wrong, torch.tensor([0])).backward()
    assert wrong.grad.tolist() == [[-0.25, 0.75]]


def test_what_cannot_be_is_refused(unchecked):
    with pytest.raises(OptionError, match="expected -1 to 1"):
        class_focal(torch.zeros(1, 2), torch.tensor([2]))
    with pytest.raises(OptionError, match="gamma is -1"):
        class_focal(torch.zeros(1, 2), torch.tensor([0]), gamma=-1)
    with pytest.raises(ShapeError, match="one per example"):
        class_focal(torch.zeros(2, 2), torch.tensor([0]))
