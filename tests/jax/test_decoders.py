"""Decoders of arrays: by hand, beside those of tensors in two precisions, compiled, and with gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm import arrays, decode
from isotherm.errors import KindError, OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.points import State
from oracles.arrays import gaussian_map, inverse_mean
from rigs.breadth import wide

FRAMES = Frame.stack([Frame.letterbox((40, 60), (9, 12)).flipped(), Frame.resize((33, 70), (9, 12)).rotated(20)])
CASES = {
    "argmax": ("argmax", {}),
    "argmax-peak": ("argmax", {"kind": "peak"}),
    "soft_argmax": ("soft_argmax", {"temperature": 0.7}),
    "soft_argmax-probability": ("soft_argmax", {"kind": "probability", "temperature": 2.0}),
    "moment_inverse": ("moment_inverse", {"sigma_cells": 1.5}),
    "moment_inverse-probability": ("moment_inverse", {"sigma_cells": 1.2, "kind": "probability"}),
}


def torch_version(name):
    return getattr(decode, name)


def logits(seed=0, shape=(2, 3, 9, 12)):
    random = np.random.default_rng(seed)
    points = random.uniform([-2, -2], [shape[-1] + 2, shape[-2] + 2], (*shape[:-2], 2))
    maps = np.stack([gaussian_map(*p, 1.5, 1.5, *shape[-2:]) for p in points.reshape(-1, 2)]).reshape(shape)
    return np.log(maps + 1e-30) + random.normal(0, 0.1, shape)


def values_of(name, seed=0):
    options = CASES[name][1]
    values = logits(seed)
    return values if options.get("kind", "logits") == "logits" else np.exp(values)


def same(got, expected, atol):
    assert isinstance(got, arrays.Decoded)
    for part in ("xy", "covariance", "score"):
        wanted = getattr(expected, part).numpy()
        # the small entries of a covariance are sums of large terms, so they share the error of the largest entry
        scale = max(1.0, np.abs(wanted).max()) if part == "covariance" else 1.0
        np.testing.assert_allclose(np.asarray(getattr(got, part)), wanted, atol=atol * scale, rtol=1e-5, err_msg=part)
    np.testing.assert_array_equal(np.asarray(got.state), expected.state.numpy())


@pytest.mark.parametrize("make", ["numpy-32", "jax-32", *wide(["numpy-64"])], indirect=True)
@pytest.mark.parametrize("case", CASES)
def test_equal_to_tensors(make, case):
    """In JAX's own precision; :func:`test_compiled` has the other."""
    name, options = CASES[case]
    maps = make(values_of(case))
    got = getattr(arrays, name)(maps, FRAMES, **options)
    expected = torch_version(name)(torch.from_numpy(np.array(maps)), FRAMES, **options)
    assert got.xy.dtype == maps.dtype
    same(got, expected, 1e-5)


@pytest.mark.parametrize("frame", [None, FRAMES[0]], ids=["cells", "frame"])
@pytest.mark.parametrize("case", CASES)
def test_without_a_frame_and_with_a_single_one(case, frame):
    name, options = CASES[case]
    maps = values_of(case)
    same(
        getattr(arrays, name)(maps, frame, **options),
        torch_version(name)(torch.from_numpy(maps), frame, **options),
        1e-8,
    )


FIRST = ("argmax", "soft_argmax", "moment_inverse")
"""Of logits; then of other maps, which are turned into the same distribution."""
CASES_FIRST = [*FIRST, *wide(case for case in CASES if case not in FIRST)]


@pytest.mark.parametrize("case", CASES_FIRST)
def test_compiled(jax64, case):
    """With the frame as a constant of the program, or as a static argument."""
    name, options = CASES[case]
    maps = values_of(case)
    if name == "moment_inverse":
        compiled = jax64.jit(lambda m: getattr(arrays, name)(m, FRAMES, **options))(jax64.numpy.asarray(maps))
    else:
        static = jax64.jit(getattr(arrays, name), static_argnames=("frame", *options))
        compiled = static(jax64.numpy.asarray(maps), frame=FRAMES, **options)
    assert compiled.xy.dtype == "float64"
    same(compiled, torch_version(name)(torch.from_numpy(maps), FRAMES, **options), 1e-8)


@pytest.mark.parametrize("case", [*FIRST[1:], *wide(c for c in CASES if c not in FIRST and not c.startswith("argmax"))])
def test_gradients_are_those_of_tensors(jax64, case):
    name, options = CASES[case]
    weights = np.random.default_rng(1).normal(size=(2, 3, 2))
    maps = values_of(case)

    def total(m):
        return (getattr(arrays, name)(m, FRAMES, **options).xy * weights).sum()

    got = jax64.jit(jax64.grad(total))(jax64.numpy.asarray(maps))
    tensor = torch.from_numpy(maps).requires_grad_()
    (torch_version(name)(tensor, FRAMES, **options).xy * torch.from_numpy(weights)).sum().backward()
    np.testing.assert_allclose(got, tensor.grad.numpy(), atol=1e-5, rtol=1e-5)


def test_the_inverse_has_the_gradient_of_differences(jax64):
    """To second order too; at the border, where the slope is far from 1."""
    from jax.test_util import check_grads

    maps = jax64.numpy.asarray(logits(3, (2, 5, 5)))
    decode = jax64.jit(lambda m: arrays.moment_inverse(m, sigma_cells=1.5).xy)
    check_grads(decode, (maps,), order=2, modes=["rev"], atol=1e-4, rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.floats(-2, 14), st.floats(-2, 10), st.sampled_from([0.7, 1.0, 2.0, 3.0]))
def test_clean_maps_are_decoded_exactly_beyond_the_border(x, y, sigma):
    maps = gaussian_map(x, y, sigma, sigma, 8, 12, kind="probability")[None]
    got = arrays.moment_inverse(maps, sigma_cells=sigma, kind="probability")
    np.testing.assert_allclose(got.xy[0], [x, y], atol=1e-3)
    inside = 0 <= got.xy[0, 0] <= 12 and 0 <= got.xy[0, 1] <= 8
    assert got.state[0] == (State.LABELLED if inside else State.OUT_OF_FRAME)


def test_beside_bisection():
    maps = np.exp(logits(5, (3, 7, 9)))
    probability = maps / maps.sum((-2, -1), keepdims=True)
    got = arrays.moment_inverse(maps, sigma_cells=1.4, kind="probability").xy
    for p, xy in zip(probability, got, strict=True):
        mean = (p.sum(0) * (np.arange(9) + 0.5)).sum(), (p.sum(1) * (np.arange(7) + 0.5)).sum()
        np.testing.assert_allclose(xy, [inverse_mean(mean[0], 1.4, 9), inverse_mean(mean[1], 1.4, 7)], atol=1e-4)


@pytest.mark.parametrize("make", ["numpy-64", "numpy-32"], indirect=True)
def test_by_hand(make):
    maps = make([[[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]])
    assert arrays.argmax(maps).xy.tolist() == [[1.5, 0.5]]  # the first of equals
    assert arrays.argmax(maps, Frame.resize((20, 30), (2, 3))).xy.tolist() == [[15, 5]]
    # weights 1 1 1 1 e e: x = (0.5 * 2 + (1.5 + 2.5) * (1 + e)) / (4 + 2 e)
    e = np.e
    got = arrays.soft_argmax(maps)
    np.testing.assert_allclose(
        got.xy, [[(1 + 4 * (1 + e)) / (4 + 2 * e), (0.5 * (1 + 2 * e) + 1.5 * 3) / (4 + 2 * e)]], rtol=1e-6
    )
    np.testing.assert_allclose(got.score, [e / (4 + 2 * e)], rtol=1e-6)


@pytest.mark.parametrize("make", ["numpy-64", "jax-32"], indirect=True)
def test_sigma_of_every_form(make):
    maps = make(logits())
    expected = arrays.moment_inverse(maps, sigma_cells=1.5).xy
    for shape in [(), (2, 3), (2, 3, 2)]:
        np.testing.assert_allclose(
            arrays.moment_inverse(maps, sigma_cells=make(np.full(shape, 1.5))).xy, expected, atol=1e-4
        )


@pytest.mark.parametrize("make", ["numpy-64", "jax-32"], indirect=True)
def test_maps_with_nothing_in_them_are_absent(make):
    values = logits()
    values[0, 1] = np.nan
    for name, options in [("argmax", {}), ("soft_argmax", {}), ("moment_inverse", {"sigma_cells": 1.0})]:
        got = getattr(arrays, name)(make(values), **options)
        assert np.asarray(got.state)[0, 1] == State.ABSENT
        assert np.isnan(np.asarray(got.xy)[0]).any(-1).tolist() == [False, True, False]
        assert np.asarray(got.score)[0, 1] == 0


def test_a_single_row_and_half_precision():
    got = arrays.moment_inverse(np.array([[[0.0, 3.0, 0.0]]], dtype=np.float16), sigma_cells=1.0)
    assert got.xy.dtype == np.float32
    np.testing.assert_allclose(got.xy, [[1.5, 0.5]], atol=1e-6)


@pytest.mark.usefixtures("unchecked")
def test_bad_input():
    maps = np.zeros((2, 3, 9, 12))
    with pytest.raises(KindError, match=r"least_squares"):
        arrays.soft_argmax(maps, kind="peak")
    with pytest.raises(KindError, match=r"decode\.peaks"):
        arrays.moment_inverse(maps, sigma_cells=1, kind="relevance")
    with pytest.raises(OptionError, match="above 0"):
        arrays.soft_argmax(maps, temperature=0)
    with pytest.raises(OptionError, match="finite numbers above 0"):
        arrays.moment_inverse(maps, sigma_cells=-1)
    with pytest.raises(ShapeError, match="give the frame of the maps' own grid"):
        arrays.argmax(maps, Frame.identity((9, 9)))
    with pytest.raises(ShapeError, match="must be the first dimensions"):
        arrays.argmax(maps[:1], FRAMES)
    with pytest.raises(ShapeError, match="floating point"):
        arrays.argmax(maps.astype(int))
    with pytest.raises(ShapeError, match="no cells"):
        arrays.argmax(np.zeros((3, 0, 4)))
