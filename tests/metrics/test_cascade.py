"""The cascade tells maps that depend on the weights from maps that do not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from isotherm.errors import OptionError, ShapeError
from isotherm.metrics import cascade


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()
        )
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))


def gradient_map(net, x):
    def explain():
        features = net.features(x)
        (g,) = torch.autograd.grad(net.head(features.mean((2, 3)))[:, 1].sum(), features)
        return (g * features).sum(1).detach()

    return explain


def edges(x):
    return lambda: x.diff(dim=-1, prepend=x[..., :1]).abs().sum(1)


def test_a_map_of_the_weights_changes_and_one_of_the_picture_does_not():
    net, x = Net().eval(), torch.randn(3, 3, 16, 16)
    # calibrated true statistics, so that the true map is not of a faded signal
    net.train()(x)
    net.eval()
    before = {n: t.clone() for n, t in net.state_dict().items()}
    real = cascade(net, gradient_map(net, x), seeds=(0, 1, 2))
    assert real.fractions == (0.25, 0.5, 0.75, 1.0)
    assert real.modules == (1, 2, 3, 4)
    assert real.spearman.shape == real.pearson.shape == real.ssim.shape == (4, 3)
    assert real.depends().all()
    assert real.interval().high < 0.5
    blind = cascade(net, edges(x))
    assert torch.allclose(blind.magnitude, torch.ones(4, 3, dtype=torch.float64))
    assert torch.allclose(blind.ssim, torch.ones(4, 3, dtype=torch.float64))
    assert not blind.depends().any()
    assert all(torch.equal(t, before[n]) for n, t in net.state_dict().items())


def test_an_inverted_map_is_as_similar_as_an_equal_one():
    net, x = nn.Sequential(nn.Linear(1, 1)), torch.rand(2, 8, 8)
    signs = iter([1.0, 1.0, -1.0])
    found = cascade(net, lambda: x * next(signs), fractions=(1.0,), seeds=(0, 1), calibrate=False)
    assert found.spearman.tolist() == [pytest.approx([0, 0])]  # one seed says 1, the other -1
    assert found.similarity.tolist() == pytest.approx([1, 1])


def test_maps_that_cannot_be_compared_are_neither_dependent_nor_similar():
    net, x = nn.Sequential(nn.Linear(1, 1)), torch.rand(3, 8, 8)
    broken = torch.stack([torch.zeros(8, 8), torch.full((8, 8), torch.nan), x[2]])
    answers = iter([x, broken])
    found = cascade(net, lambda: next(answers), fractions=(1.0,))
    assert found.similarity.isnan().tolist() == [True, True, False]
    assert found.depends().tolist() == [False, False, False]
    assert found.interval().left_out == 2


def test_batch_norms_are_calibrated_by_a_run_of_their_own():
    net, calls = Net().eval(), []
    cascade(net, lambda: calls.append(1) or torch.rand(1, 8, 8), fractions=(0.5, 1.0))
    assert len(calls) == 1 + 2 * 2
    calls.clear()
    cascade(net, lambda: calls.append(1) or torch.rand(1, 8, 8), fractions=(0.5, 1.0), calibrate=False)
    assert len(calls) == 1 + 2
    plain = nn.Sequential(nn.Linear(2, 2))
    calls.clear()
    cascade(plain, lambda: calls.append(1) or torch.rand(1, 8, 8), maps=torch.rand(1, 8, 8), fractions=(1.0,))
    assert len(calls) == 1


def test_mistakes():
    net = nn.Sequential(nn.Linear(1, 1))
    with pytest.raises(OptionError, match="at least one"):
        cascade(net, lambda: torch.rand(1, 4, 4), fractions=())
    answers = iter([torch.rand(2, 4, 4), torch.rand(1, 4, 4)])
    with pytest.raises(ShapeError, match="same targets"):
        cascade(net, lambda: next(answers))
