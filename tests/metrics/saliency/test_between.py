"""Figures between a map and the map of where people looked: by hand, beside float64 references, invariances, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm import Frame, Heatmap
from isotherm.errors import FrameError, KindError, ShapeError
from isotherm.metrics import saliency

FIGURES = (saliency.kl_divergence, saliency.correlation, saliency.similarity)
E = 2.2204e-16


def reference(p: np.ndarray, q: np.ndarray) -> tuple[float, float, float]:
    """KL, CC and SIM of one pair, in float64, a cell at a time."""
    p, q = (v.astype(np.float64).ravel() for v in (p, q))
    ps, qs = p / math.fsum(p), q / math.fsum(q)
    kl = math.fsum(b * math.log(E + b / (a + E)) for a, b in zip(ps, qs, strict=True))
    da, db = p - math.fsum(p) / p.size, q - math.fsum(q) / q.size
    cc = math.fsum(da * db) / math.sqrt(math.fsum(da * da) * math.fsum(db * db))
    return kl, cc, math.fsum(min(a, b) for a, b in zip(ps, qs, strict=True))


def pairs(seed: int, size=(3, 6, 5), dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(size, generator=draw, dtype=dtype), torch.rand(size, generator=draw, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_figures_are_those_of_a_reference_in_float64(dtype):
    maps, truth = pairs(0, dtype=dtype)
    truth[:, :2] = 0  # cells without truth count nothing
    expected = np.array([reference(p, q) for p, q in zip(maps.numpy(), truth.numpy(), strict=True)]).T
    for figure, values in zip(FIGURES, expected, strict=True):
        np.testing.assert_allclose(figure(maps, truth), values, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 100.0))
def test_scale_and_mirror_change_nothing_and_equal_maps_are_equal(seed, factor):
    maps, truth = pairs(seed)
    for figure in FIGURES:
        expected = figure(maps, truth)
        torch.testing.assert_close(figure(factor * maps, truth), expected, atol=1e-9, rtol=0)
        torch.testing.assert_close(figure(maps, factor * truth), expected, atol=1e-9, rtol=0)
        torch.testing.assert_close(figure(maps.flip(1), truth.flip(1)), expected, atol=1e-12, rtol=0)
    for figure in (saliency.correlation, saliency.similarity):
        torch.testing.assert_close(figure(maps, truth), figure(truth, maps), atol=1e-12, rtol=0)
        torch.testing.assert_close(figure(maps, maps), torch.ones(3).double(), atol=1e-12, rtol=0)
    assert bool((saliency.kl_divergence(maps, truth) > 0).all())
    assert float(saliency.kl_divergence(maps, maps).abs().max()) < 1e-12


def test_maps_without_anything_in_common_have_the_worst_figures():
    a, b = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]])
    assert saliency.similarity(a, b).item() == 0.0
    assert saliency.correlation(a, b).item() == pytest.approx(-1.0)
    assert saliency.kl_divergence(a, b).item() == pytest.approx(-math.log(E))


def test_a_map_of_zeros_is_no_distribution_and_a_constant_one_has_no_correlation():
    a, b = torch.tensor([[[0.0, 0.0]], [[1.0, 1.0]]]), torch.tensor([[[0.0, 1.0]], [[0.0, 1.0]]])
    assert saliency.similarity(a, b).isnan().tolist() == [True, False]
    assert saliency.kl_divergence(b, a).isnan().tolist() == [True, False]
    assert saliency.correlation(a, b).isnan().tolist() == [True, True]


def stretched_similarity(p: np.ndarray, q: np.ndarray) -> float:
    """As in the MATLAB code of the MIT benchmark: both are stretched to 0 ... 1 before each is divided by its sum."""
    p, q = ((v - v.min()) / (v.max() - v.min()) for v in (p, q))
    return float(np.minimum(p / p.sum(), q / q.sum()).sum())


def test_stretching_maps_first_gives_another_similarity():
    """Of two distributions that share a uniform half, half of the mass is in common; stretched, the shared half is gone.

    Ours is the sum of min(P, Q) of the distributions themselves, as the definition has it and as pysaliency; one reference
    compares other distributions than were given, so that a model which spreads some mass everywhere is judged as if
    it had not."""
    p, q = np.array([[3.0, 1.0]]), np.array([[1.0, 3.0]])
    assert stretched_similarity(p, q) == 0.0
    assert saliency.similarity(torch.from_numpy(p)[None], torch.from_numpy(q)[None]).item() == 0.5
    # of maps that are 0 somewhere the two agree
    p, q = np.array([[3.0, 1.0, 0.0]]), np.array([[1.0, 0.0, 3.0]])
    ours = saliency.similarity(torch.from_numpy(p)[None], torch.from_numpy(q)[None]).item()
    assert ours == pytest.approx(stretched_similarity(p, q)) == 0.25


def heatmap(kind="probability", size=(2, 4), frame=None, signed=False):
    frame = frame or Frame.resize((20, 40), size)
    return Heatmap(torch.rand(3, *size, generator=torch.Generator().manual_seed(2)), frame, kind, signed=signed)


def test_heatmaps_of_one_kind_over_the_same_cells_are_compared_by_their_values():
    one = heatmap()
    other = heatmap(frame=Frame.resize((20, 40), (2, 4)).expanded(3))
    for figure in FIGURES:
        assert figure(one, other).equal(figure(one.values, other.values))


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize(
    ("other", "error", "words"),
    [
        (heatmap("peak"), KindError, "'probability' and 'peak'"),
        (heatmap().values, KindError, "heatmap with plain values"),
        (heatmap(frame=Frame.resize((20, 40), (2, 4)).flipped()), FrameError, "cells are not the same"),
        (heatmap(size=(4, 4)), ShapeError, "expected one shape"),
    ],
)
def test_what_cannot_be_compared_is_refused(figure, other, error, words):
    with pytest.raises(error, match=words):
        figure(heatmap(), other)


@pytest.mark.parametrize("figure", [saliency.kl_divergence, saliency.similarity])
def test_what_is_no_distribution_is_refused(figure):
    with pytest.raises(KindError, match="kind 'logits'"):
        figure(heatmap("logits"), heatmap("logits"))
    with pytest.raises(KindError, match="signed relevance"):
        figure(heatmap("relevance", signed=True), heatmap("relevance", signed=True))
    with pytest.raises(KindError, match=r"map\(s\) \[1\] hold negative values"):
        figure(torch.tensor([[[1.0, 2.0]], [[1.0, -2.0]]]), torch.ones(2, 1, 2))
