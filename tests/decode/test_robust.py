"""Gradients, compiled graphs, and maps that hold nothing."""

from __future__ import annotations

import pytest
import torch

from isotherm.decode import argmax, dark, least_squares, local_soft_argmax, moment_inverse, quarter_offset, soft_argmax
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.ops.gaussian import outer, peak_vectors
from isotherm.ops.moments import inverse_mean, map_moments, reach, truncated_gaussian
from isotherm.points import State

ALL = [
    argmax,
    quarter_offset,
    dark,
    local_soft_argmax,
    soft_argmax,
    lambda maps: moment_inverse(maps, sigma_cells=1.0),
    lambda maps: least_squares(maps, sigma_cells=1.0),
    least_squares,
]


@pytest.mark.parametrize("decoder", ALL)
def test_empty_batches_single_cells_and_half_precision(decoder):
    assert decoder(torch.zeros(0, 3, 8, 8)).xy.shape == (0, 3, 2)
    assert decoder(torch.ones(2, 1, 1)).xy.tolist() == [[0.5, 0.5]] * 2
    at = torch.tensor([[4.25, 5.5]])
    maps = outer(*peak_vectors(at, torch.ones_like(at), (9, 11))).bfloat16()
    assert decoder(maps).xy.dtype == torch.float32


@pytest.mark.parametrize("decoder", ALL)
def test_not_a_number_is_no_place(decoder):
    at = torch.tensor([[4.25, 3.5]])
    peak = outer(*peak_vectors(at, torch.ones_like(at), (8, 8)))
    maps = 0.9 * peak[:, None].expand(1, 2, 8, 8) + 0.1 * torch.rand(1, 2, 8, 8)
    maps[0, 1, 3, 3] = torch.nan
    found = decoder(maps)
    assert found.state[0, 1] == State.ABSENT
    assert bool(found.xy[0, 1].isnan().all())
    assert found.score[0, 1] == 0
    assert bool(torch.isfinite(found.xy[0, 0]).all())


def test_a_map_of_nothing_is_absent():
    assert least_squares(torch.zeros(1, 8, 8), sigma_cells=1.0).state.tolist() == [State.ABSENT]
    assert moment_inverse(torch.zeros(1, 8, 8), sigma_cells=1.0, kind="probability").state.tolist() == [State.ABSENT]


@pytest.mark.parametrize("shape", [(1, 16, 16), (1, 64, 48), (1, 1, 32)])
@pytest.mark.parametrize("noise", [0.0, 0.005])
def test_a_flat_map_without_a_known_sigma_says_no_place(shape, noise):
    """The widest Gaussian that is tried fitted it with a score of 0.8, several pictures' sides beyond the border."""
    flat = 1 + noise * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    points = least_squares(flat)
    assert points.state.tolist() == [State.ABSENT]
    assert (points.score.tolist(), bool(points.xy.isnan().all())) == ([0], True)
    for options in ({}, {"sigma_cells": 2.0}, {"background": False}):
        more = 1 + 0.05 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
        assert least_squares(more, **options).score.item() < 0.1  # noise on it is noise, of any place


@pytest.mark.parametrize("sigma", [3.0, 12.0, 30.0])
def test_peaks_nearly_as_wide_as_the_map_keep_their_place(sigma):
    at = torch.tensor([[10.0, 20.0]])
    maps = outer(*peak_vectors(at, torch.full_like(at, sigma), (32, 32)))
    points = least_squares(maps)
    assert points.state.tolist() == [State.LABELLED]
    torch.testing.assert_close(points.xy, at, atol=1e-3, rtol=0)


@pytest.mark.parametrize("x", [0, 15])
def test_all_mass_in_an_outer_cell_is_finite(x):
    one = torch.full((1, 16, 16), -1e4, requires_grad=True)
    logits = one + 2e4 * (torch.arange(16) == x)
    found = moment_inverse(logits, sigma_cells=1.0)
    found.xy.sum().backward()
    outside = -found.xy[0, 0].item() if x == 0 else found.xy[0, 0].item() - 16
    assert 5 < outside <= 6  # at the reach, 2 + 4 sigma
    assert bool(torch.isfinite(one.grad).all())


def test_gradients_of_gradients():
    mu = torch.tensor([-2.0, 0.3, 4.0, 8.9, 11.0], dtype=torch.float64)
    sigma = torch.tensor(1.3, dtype=torch.float64).expand(5)
    first = truncated_gaussian(mu, sigma, 9)[0].requires_grad_()

    def inverse(f):
        return inverse_mean(f, 8 - f, sigma, 9, iterations=14)

    torch.testing.assert_close(inverse(first), mu, atol=1e-9, rtol=0)
    assert torch.autograd.gradcheck(inverse, first, eps=1e-7)
    assert torch.autograd.gradgradcheck(inverse, first, eps=1e-7, atol=1e-3)


def test_least_squares_is_differentiable():
    at = torch.tensor([[3.3, 2.1], [0.4, 4.0]], dtype=torch.float64)
    maps = outer(*peak_vectors(at, torch.full_like(at, 1.0), (6, 6))).requires_grad_()
    # along random directions: there a tolerance of 1e-3 would let an error of 1 % pass, which 1e-5 does not
    assert torch.autograd.gradcheck(
        lambda m: least_squares(m, sigma_cells=1.0).xy, maps, atol=1e-5, eps=1e-5, fast_mode=True
    )


def test_covariance_and_score_of_clean_and_of_doubtful_maps():
    at = torch.tensor([[8.0, 8.0], [0.2, 8.0], [-1.0, 16.5]])
    clean = outer(*peak_vectors(at, torch.full_like(at, 1.5), (16, 16))).clamp_min(1e-30).log()
    found = moment_inverse(clean, sigma_cells=1.5)
    torch.testing.assert_close(found.covariance, 2.25 * torch.eye(2).expand(3, 2, 2), atol=2e-2, rtol=0)
    torch.testing.assert_close(found.score, torch.ones(3), atol=1e-3, rtol=0)
    assert found.state.tolist() == [State.LABELLED, State.LABELLED, State.OUT_OF_FRAME]
    ends = torch.tensor([[2.5, 8.0], [13.5, 8.0]])
    two = outer(*peak_vectors(ends, torch.ones(2, 2), (16, 16))).sum(0, keepdim=True)
    doubtful = moment_inverse(two, sigma_cells=1.0, kind="probability")
    assert doubtful.score.item() < 0.01
    torch.testing.assert_close(
        doubtful.covariance[0], torch.diag(torch.tensor([5.5**2 + 1, 1.0])), atol=1e-3, rtol=0.01
    )


def test_moments_by_hand():
    p = torch.zeros(1, 2, 3)
    p[0, 0, 0], p[0, 1, 2] = 0.25, 0.75
    found = map_moments(p)
    torch.testing.assert_close(found.mean, torch.tensor([[2.0, 1.25]]))
    torch.testing.assert_close(found.covariance[0], torch.tensor([[0.75, 0.375], [0.375, 0.1875]]))
    assert float(reach(torch.ones(1))) == 6


COMPILED = """
import torch
from isotherm.decode import moment_inverse, soft_argmax
from isotherm.frame import Frame

frame, logits = Frame.resize((64, 64), (16, 16)), torch.randn(2, 3, 16, 16, requires_grad=True)
for decoder in (lambda z: moment_inverse(z, frame, sigma_cells=2.0), lambda z: soft_argmax(z, frame)):
    def parts(z):
        found = decoder(z)
        return found.xy, found.covariance, found.score, found.state
    torch.manual_seed(0)
    torch._dynamo.reset()
    compiled = torch.compile(parts, backend="aot_eager", fullgraph=True)
    for a, b in zip(compiled(logits), parts(logits), strict=True):
        torch.testing.assert_close(a, b)
    (ours,), (theirs,) = (torch.autograd.grad(f(logits)[0].sum(), [logits]) for f in (compiled, parts))
    torch.testing.assert_close(ours, theirs)
print("equal")
"""


def test_compiles_in_one_graph(unchecked_process):
    """In another process: the run-time shape checker of the tests cannot be compiled."""
    assert unchecked_process.run(COMPILED) == "equal\n"


def test_mistakes():
    maps = torch.rand(1, 8, 8)
    for call, words in [
        (lambda: moment_inverse(maps, sigma_cells=0.0), "above 0"),
        (lambda: least_squares(maps, sigma_cells=-1.0), "above 0"),
        (lambda: soft_argmax(maps, temperature=0.0), "temperature is 0"),
        (lambda: local_soft_argmax(maps, window=4), "odd"),
        (lambda: dark(maps, blur=4), "odd"),
        (lambda: dark(maps, blur_sigma=0.0), "blur_sigma"),
    ]:
        with pytest.raises(OptionError, match=words):
            call()
    assert argmax(Heatmap(maps, Frame.identity((8, 8)), "relevance")).xy.shape == (1, 2)
