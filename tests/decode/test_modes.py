"""Modes: places, shares of the probability, covariances, and frames."""

from __future__ import annotations

import pytest
import torch

from isotherm.decode import modes
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.targets import mixture

PLACES = torch.tensor([[[12.3, 20.0], [44.8, 37.1], [50.0, 8.0]]])


def test_a_mixture_is_taken_apart():
    target = mixture(PLACES, (48, 64), sigma_cells=2.0, weights=torch.tensor([[0.5, 0.3, 0.2]]))
    for maps, kind in (
        (target.heatmap.values[:, None], "probability"),
        (target.heatmap.values[:, None].log(), "logits"),
    ):
        points = modes(maps, most=4, kind=kind)
        assert torch.allclose(points.xy[0, :3], PLACES[0], atol=0.02)
        assert torch.allclose(points.score[0], torch.tensor([0.5, 0.3, 0.2, 0.0]), atol=1e-3)
        assert torch.allclose(points.covariance[0, 0], 4.0 * torch.eye(2), atol=0.1)
        assert points.xy[0, 3].isnan().all()


def test_through_a_frame():
    frame = Frame.resize((480, 640), (48, 64))
    target = mixture(PLACES, (48, 64), sigma_cells=2.0)
    cells, source = (
        modes(target.heatmap.values, most=3, kind="probability"),
        modes(target.heatmap.values, frame, most=3, kind="probability"),
    )
    assert torch.allclose(source.xy, cells.xy * 10, atol=1e-3)
    assert torch.allclose(source.covariance, cells.covariance * 100, rtol=1e-4)


def test_batches_and_gradients():
    maps = torch.randn(2, 3, 9, 9, requires_grad=True)
    points = modes(maps, most=2)
    assert points.xy.shape == (2, 6, 2)
    assert torch.allclose(points.score.view(2, 3, 2).sum(-1), torch.ones(2, 3), atol=1e-5)
    points.xy.nansum().backward()
    assert maps.grad.abs().sum() > 0


def test_misuse():
    with pytest.raises(OptionError, match="least_share is 0"):
        modes(torch.zeros(1, 4, 4), most=1, least_share=0.0)
    with pytest.raises(OptionError, match="most is 0"):
        modes(torch.zeros(1, 4, 4), most=0)
