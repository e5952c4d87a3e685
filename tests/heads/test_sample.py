"""Features at points: at the centres the cells themselves, between them a mean, through any frame."""

from __future__ import annotations

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


def test_misuse(unchecked):
    with pytest.raises(ShapeError, match="points of 1 pictures for features of 2"):
        sample_features(torch.zeros(2, 1, 3, 3), torch.zeros(1, 1, 2))
    with pytest.raises(ShapeError, match=r"\(3, 3\) cells, the frame \(4, 4\)"):
        sample_features(torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 2), Frame.identity((4, 4)))
