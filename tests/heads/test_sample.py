"""Features at points: at the centres the cells themselves, between them a mean, through any frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.errors import ShapeError
from isotherm.frame import Frame
from isotherm.heads import sample_features


def test_features_that_say_where_they_are_are_read_where_they_are():
    frame = Frame.letterbox((480, 640), (224, 224)).to_grid(stride=14)
    ys, xs = torch.meshgrid(torch.arange(16) + 0.5, torch.arange(16) + 0.5, indexing="ij")
    features = torch.stack([xs, ys])[None]
    cells = torch.tensor([[[0.5, 0.5], [7.25, 9.0], [15.5, 3.75], [14.9, 15.4]]])
    read = sample_features(features, frame.points_to_source(cells), frame)
    assert torch.allclose(read, cells, atol=1e-4)


def test_beyond_the_outermost_centres_the_outermost_cells_continue():
    features = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    points = torch.tensor([[[-3.0, -3.0], [9.0, 0.0], [1.0, 9.0]]])
    assert sample_features(features, points).flatten().tolist() == [1.0, 2.0, 3.5]


def test_gradients():
    features = torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    points = (torch.rand(2, 3, 2, dtype=torch.float64) * 2 + 0.8).requires_grad_()
    assert torch.autograd.gradcheck(sample_features, (features, points))


def test_a_point_that_is_none_has_no_features_and_no_gradient():
    frame = Frame.letterbox((480, 640), (32, 32)).to_grid(stride=8)
    features = torch.rand(1, 3, 4, 4, requires_grad=True)
    points = torch.tensor([[[300.0, 200.0], [torch.nan, 5.0], [torch.inf, 1.0]]], requires_grad=True)
    read = sample_features(features, points, frame)
    assert torch.equal(torch.isfinite(read).all(-1), torch.tensor([[True, False, False]]))
    assert read[0, 1:].isnan().all()
    known = torch.isfinite(points).all(-1)
    loss = read[known].square().mean()
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(features.grad).all()
    assert features.grad.abs().sum() > 0
    assert torch.isfinite(points.grad).all()
    assert points.grad[0, 1:].abs().sum() == 0


def test_misuse(unchecked):
    with pytest.raises(ShapeError, match="points of 1 pictures for features of 2"):
        sample_features(torch.zeros(2, 1, 3, 3), torch.zeros(1, 1, 2))
    with pytest.raises(ShapeError, match=r"\(3, 3\) cells, the frame \(4, 4\)"):
        sample_features(torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 2), Frame.identity((4, 4)))
    with pytest.raises(ShapeError, match="features is a ndarray; expected a tensor"):
        sample_features(np.zeros((1, 1, 3, 3)), torch.zeros(1, 1, 2))
    with pytest.raises(ShapeError, match="points is None"):
        sample_features(torch.zeros(1, 1, 3, 3), None)
    with pytest.raises(ShapeError, match=r"points \(1, 2\); expected \(b, c, h, w\) and \(b, n, 2\)"):
        sample_features(torch.zeros(1, 1, 3, 3), torch.zeros(1, 2))
