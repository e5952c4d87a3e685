"""The least-squares fit of arrays: by hand, clean beyond the border, beside SciPy, at the Cramer-Rao bound."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm import arrays
from isotherm.decode import least_squares as decode_tensor
from isotherm.errors import KindError, OptionError
from isotherm.frame import Frame
from isotherm.points import State
from oracles import arrays as oracle
from rigs.breadth import wide

FRAME = Frame.letterbox((40, 60), (9, 12)).flipped()


def noisy(seed=0, noise=0.05, shape=(2, 3)):
    random = np.random.default_rng(seed)
    points = random.uniform([1, 1], [11, 8], (*shape, 2))
    maps = np.stack([oracle.gaussian_map(*p, 1.5, 1.5, 9, 12) for p in points.reshape(-1, 2)]).reshape(*shape, 9, 12)
    return maps + random.normal(0, noise, maps.shape), points


@settings(max_examples=30, deadline=None)
@given(st.floats(-2, 14), st.floats(-2, 10), st.sampled_from([1.0, 2.0, 3.0]), st.booleans(), st.floats(0.2, 3))
def test_clean_maps_are_decoded_exactly_beyond_the_border(x, y, sigma, known, amplitude):
    maps = amplitude * oracle.gaussian_map(x, y, sigma, sigma, 8, 12)[None]
    got = arrays.least_squares(maps, sigma_cells=sigma if known else None)
    np.testing.assert_allclose(got.xy[0], [x, y], atol=1e-5)
    np.testing.assert_allclose(got.score[0], min(1, amplitude), rtol=1e-5)
    np.testing.assert_allclose(got.covariance, 0, atol=1e-8)


@pytest.mark.parametrize(
    ("make", "sigma"),
    [("numpy-64", 1.5), ("numpy-64", None), ("numpy-32", 1.5), ("numpy-32", None), ("jax-32", None)],
    indirect=["make"],
)
def test_beside_scipy(make, sigma):
    maps, points = noisy()
    got = arrays.least_squares(make(maps), sigma_cells=sigma)
    atol = 1e-3 if got.xy.dtype == "float32" else 1e-5  # the bottom is flat: a fiftieth of what noise does
    for index in np.ndindex(2, 3):
        np.testing.assert_allclose(got.xy[index], oracle.least_squares(maps[index], points[index], sigma), atol=atol)


def test_at_the_bound():
    maps, points = noisy(1, shape=(400,))
    inner = (np.abs(points - [6, 4.5]) < [3, 1.5]).all(-1)
    got = arrays.least_squares(maps, sigma_cells=1.5)
    error = (got.xy - points)[inner]
    # noise sqrt(2 / pi) per axis, whatever sigma; the reported covariance says the same
    assert np.sqrt((error**2).mean()) == pytest.approx(0.05 * np.sqrt(2 / np.pi), rel=0.1)
    assert np.sqrt(got.covariance[inner][:, 0, 0].mean()) == pytest.approx(0.05 * np.sqrt(2 / np.pi), rel=0.05)


def test_wide_peaks_at_a_noisy_border_are_not_lost():
    """Sigma 3, fitted: noise bends the parabola of the start, and one in 600 used to end two cells off."""
    random = np.random.default_rng(0)
    points = np.stack([random.uniform(0, 2, 600), random.uniform(8, 40, 600)], -1)[:, None]
    maps = arrays.gaussian(points, (48, 48), sigma_cells=3.0) + 0.05 * random.normal(size=(600, 1, 48, 48))
    error = np.linalg.norm(arrays.least_squares(maps).xy - points, axis=-1)
    assert error.max() < 0.6
    assert error.mean() == pytest.approx(
        0.089, abs=0.008
    )  # the Cramer-Rao bound with sigma unknown, bench/decode_accuracy.py


def test_compiled_and_through_a_frame(jax64):
    maps = jax64.numpy.asarray(noisy()[0])
    got = jax64.jit(lambda m: arrays.least_squares(m, FRAME, sigma_cells=1.5))(maps)
    cells = arrays.least_squares(np.asarray(maps), sigma_cells=1.5)
    np.testing.assert_allclose(
        got.xy, FRAME.points_to_source(torch.from_numpy(cells.xy.reshape(6, 2))).reshape(2, 3, 2), atol=1e-8
    )
    scale = float(FRAME.cell_size[0])
    np.testing.assert_allclose(np.abs(got.covariance), np.abs(cells.covariance) * scale**2, atol=1e-8)


@pytest.mark.parametrize("make", ["numpy-64", "jax-32"], indirect=True)
def test_maps_with_nothing_in_them_spoil_no_others(make):
    maps, points = noisy(noise=0.0)
    maps[0, 0], maps[0, 1], maps[0, 2] = np.nan, 0.0, -1.0
    got = arrays.least_squares(make(maps))
    assert np.asarray(got.state).tolist() == [[State.ABSENT] * 3, [State.LABELLED] * 3]
    np.testing.assert_allclose(got.xy[1], points[1], atol=1e-5)
    row = arrays.least_squares(maps[1:, :, 4:5, :], sigma_cells=1.5)
    np.testing.assert_allclose(row.xy[0, :, 0], points[1, :, 0], atol=1e-5)


def test_bad_input():
    with pytest.raises(KindError, match=r"isotherm\.decode\.moment_inverse"):
        arrays.least_squares(np.zeros((1, 4, 4)), kind="logits")
    with pytest.raises(OptionError, match="finite numbers above 0"):
        arrays.least_squares(np.zeros((1, 4, 4)), sigma_cells=0.0)


@pytest.mark.parametrize(
    ("make", "known"),
    [("jax-32", False), ("numpy-32", False), ("numpy-32", True), *wide([("jax-32", True)])],
    indirect=["make"],
)
def test_flat_maps_and_noise_are_scored_as_those_of_tensors(make, known):
    values = np.concatenate([np.ones((2, 20, 24)), np.random.default_rng(3).random((2, 20, 24))]).astype(np.float32)
    options = {"sigma_cells": 2.0} if known else {}
    one, other = arrays.least_squares(make(values), **options), decode_tensor(torch.from_numpy(values), **options)
    np.testing.assert_allclose(np.asarray(one.score), other.score.numpy(), atol=1e-4)
    np.testing.assert_array_equal(np.asarray(one.state), other.state.numpy())
    assert bool((other.state[:2] == State.ABSENT).all()) != known
