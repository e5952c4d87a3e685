"""Clean Gaussian maps: which decoder finds the place back, inside, at the border and beyond it."""

from __future__ import annotations

import pytest
import torch

from isotherm.decode.argmax import argmax, quarter_offset
from isotherm.decode.dark import dark
from isotherm.decode.least_squares import least_squares
from isotherm.decode.moment_inverse import moment_inverse
from isotherm.decode.soft_argmax import soft_argmax
from isotherm.errors import KindError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.ops.gaussian import outer, peak_vectors
from isotherm.points import State

SIZE = (48, 64)
INSIDE = torch.tensor([[31.3, 22.8], [20.0, 30.5], [40.71, 17.26]])
BORDER = torch.tensor([[0.4, 22.8], [63.9, 47.7], [30.2, 1.1]])
OUTSIDE = torch.tensor([[-1.9, 20.3], [65.5, 49.5], [30.0, -0.7]])


def peaks_at(points, sigma):
    return outer(*peak_vectors(points, torch.full_like(points, sigma), SIZE))


def logits_at(points, sigma):
    yy, xx = torch.meshgrid(torch.arange(SIZE[0]) + 0.5, torch.arange(SIZE[1]) + 0.5, indexing="ij")
    return -((xx - points[:, 0, None, None]) ** 2 + (yy - points[:, 1, None, None]) ** 2) / (2 * sigma**2) + 3.0


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("points", [INSIDE, BORDER, OUTSIDE], ids=["inside", "border", "outside"])
def test_the_decoder_that_belongs_to_the_loss_is_exact(points, sigma):
    torch.testing.assert_close(
        moment_inverse(logits_at(points, sigma), sigma_cells=sigma).xy, points, atol=1e-3, rtol=0
    )
    torch.testing.assert_close(least_squares(peaks_at(points, sigma), sigma_cells=sigma).xy, points, atol=1e-3, rtol=0)


def test_the_others_are_not():
    """A cell's rounding for argmax, half of the Gaussian cut off for soft-argmax."""
    assert float((argmax(peaks_at(INSIDE, 2.0)).xy - INSIDE).abs().max()) <= 0.5
    assert float((quarter_offset(peaks_at(INSIDE, 2.0)).xy - INSIDE).abs().max()) <= 0.25 + 1e-4
    torch.testing.assert_close(dark(peaks_at(INSIDE, 2.0)).xy, INSIDE, atol=0.02, rtol=0)
    soft = soft_argmax(logits_at(BORDER, 2.0)).xy
    assert float((soft - BORDER).norm(dim=1).min()) > 0.5
    torch.testing.assert_close(soft_argmax(logits_at(INSIDE, 2.0)).xy, INSIDE, atol=1e-3, rtol=0)


def test_source_pixels_states_and_covariance():
    frame = Frame.resize((480, 640), SIZE)
    points = moment_inverse(logits_at(torch.cat([INSIDE, OUTSIDE]), 2.0), frame, sigma_cells=2.0)
    torch.testing.assert_close(points.xy[:3], INSIDE * 10, atol=1e-2, rtol=0)
    assert points.state.tolist() == [State.LABELLED] * 3 + [State.OUT_OF_FRAME] * 3
    torch.testing.assert_close(points.covariance[:3], 400 * torch.eye(2).expand(3, 2, 2), atol=1.0, rtol=0)


def test_the_inverse_can_be_trained_through():
    logits = logits_at(BORDER, 2.0).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z: moment_inverse(z[:, ::6, ::8], sigma_cells=1.0).xy, logits, fast_mode=True
    )


@pytest.mark.parametrize(
    ("decoder", "kind", "right"),
    [(moment_inverse, "peak", "least_squares"), (least_squares, "logits", "moment_inverse")],
)
def test_the_wrong_kind_names_the_right_decoder(decoder, kind, right):
    maps = Heatmap(peaks_at(INSIDE, 2.0), Frame.identity(SIZE), kind)
    with pytest.raises(KindError, match=right):
        decoder(maps, sigma_cells=2.0)
