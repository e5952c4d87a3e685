"""The versions for JAX have the values of the tensors' algorithm: on clean maps beyond the border, on noisy ones, and on noise alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from isotherm import decode, losses, targets
from isotherm.errors import OptionError
from isotherm.frame import Frame
from rigs.breadth import wide

SIZE = (14, 18)
FRAMES = Frame.stack([Frame.letterbox((40, 60), SIZE).flipped(), Frame.resize((33, 70), SIZE).rotated(20)])
SHAPE = (2, 6)
DECODERS = {
    "argmax": ("argmax", {}),
    "argmax of logits": ("argmax", {"kind": "logits"}),
    "soft_argmax": ("soft_argmax", {"temperature": 0.7}),
    "soft_argmax of probabilities": ("soft_argmax", {"kind": "probability"}),
    "moment_inverse": ("moment_inverse", {"sigma_cells": 1.5}),
    "moment_inverse of narrow ones": ("moment_inverse", {"sigma_cells": 0.5}),
    "moment_inverse of probabilities": ("moment_inverse", {"sigma_cells": 1.5, "kind": "probability"}),
    "least_squares": ("least_squares", {"sigma_cells": 1.5}),
    "least_squares, sigma fitted": ("least_squares", {}),
    "least_squares, sigma of each": ("least_squares", {"sigma_cells": np.linspace(1, 2, 24).reshape(*SHAPE, 2)}),
}


def peaks(name):
    """Peak maps of places to 2 cells outside: as they are, with noise, or noise alone."""
    random = np.random.default_rng(3)
    cells = random.uniform([-2, -2], [SIZE[1] + 2, SIZE[0] + 2], (*SHAPE, 2))
    maps = targets.gaussian(cells, SIZE, sigma_cells=1.5)
    if name == "noisy":
        return maps + random.normal(0, 0.1, maps.shape)
    return random.random(maps.shape) if name == "noise" else maps


def maps_for(name, options, maps):
    kind = options.get("kind", "peak" if name in ("argmax", "least_squares") else "logits")
    return {"peak": maps, "logits": np.log(np.abs(maps) + 1e-9), "probability": np.abs(maps)}[kind]


def of(library, options):
    return {k: library(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}


@cache
def jax_version(case) -> Callable[[Any], Any]:
    """A decoder compiled once for all maps: its operations, each compiled by itself, take far longer.

    Not so the fits whose window is that of the maps before them, as compiled they fit the whole raster.
    """
    import jax

    name, options = DECODERS[case]
    options = of(jax.numpy.asarray, options)
    fit_of_a_window = name == "least_squares" and not isinstance(options.get("sigma_cells"), float)

    def decoded(maps):
        return getattr(decode, name)(maps, FRAMES, **options)

    return decoded if fit_of_a_window else jax.jit(decoded)


MAPS = ("clean", "noisy", "noise")
FIRST = [
    *product(("argmax", "soft_argmax", "moment_inverse", "least_squares"), MAPS),
    ("soft_argmax of probabilities", "noise"),
    ("least_squares, sigma fitted", "noisy"),
]
"""Every algorithm, another kind of maps, and a fit of more numbers."""


@pytest.mark.parametrize(("case", "maps"), [*FIRST, *wide(row for row in product(DECODERS, MAPS) if row not in FIRST)])
def test_decoders(jax64, case, maps):
    name, options = DECODERS[case]
    values = maps_for(name, options, peaks(maps))
    expected = getattr(decode, name)(torch.from_numpy(values), FRAMES, **of(torch.from_numpy, options))
    got = jax_version(case)(jax64.numpy.asarray(values))
    for part in ("xy", "covariance", "score"):
        wanted = getattr(expected, part).numpy()
        scale = max(1.0, np.nanmax(np.abs(wanted)))
        np.testing.assert_allclose(np.asarray(getattr(got, part)), wanted, rtol=1e-6, atol=1e-7 * scale, err_msg=part)
    np.testing.assert_array_equal(np.asarray(got.state), expected.state.numpy())


@cache
def compiled_least_squares(sigma):
    """Compiled once for all maps: most of these tests' time."""
    import jax

    return jax.jit(lambda m: decode.least_squares(m, sigma_cells=sigma))


@pytest.mark.parametrize("maps", ["clean", "noisy", "noise"])
@pytest.mark.parametrize("sigma", [1.5, None])
def test_least_squares_compiled(jax64, monkeypatch, sigma, maps):
    """With a sigma the same window is fitted as without compiling; without one the whole raster, as a compiled graph of tensors does."""
    values = peaks(maps)
    if sigma is None:
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    expected = decode.least_squares(torch.from_numpy(values), sigma_cells=sigma)
    got = compiled_least_squares(sigma)(jax64.numpy.asarray(values))
    np.testing.assert_allclose(got.xy, expected.xy.numpy(), atol=1e-6)
    np.testing.assert_allclose(got.score, expected.score.numpy(), atol=1e-6)


WEIGHTS = np.random.default_rng(1).normal(size=(*SHAPE, 2))


@cache
def compiled_gradient(sigma):
    import jax

    return jax.jit(jax.grad(lambda m: (decode.least_squares(m, FRAMES, sigma_cells=sigma).xy * WEIGHTS).sum()))


@pytest.mark.parametrize("maps", ["clean", "noisy"])
@pytest.mark.parametrize("sigma", [1.5, None])
def test_gradients_of_least_squares(jax64, sigma, maps):
    values = peaks(maps)
    got = np.asarray(compiled_gradient(sigma)(jax64.numpy.asarray(values)))
    leaf = torch.from_numpy(values).requires_grad_()
    found = decode.least_squares(leaf, FRAMES, sigma_cells=sigma)
    (found.xy * torch.from_numpy(WEIGHTS)).sum().backward()
    assert np.abs(got).max() > 0.1
    np.testing.assert_allclose(got, leaf.grad.numpy(), rtol=1e-5, atol=1e-6 * np.abs(got).max())


def test_single_precision_on_noise(jax32):
    values = peaks("noisy").astype(np.float32)
    got = compiled_least_squares(1.5)(jax32.numpy.asarray(values))
    expected = decode.least_squares(values, sigma_cells=1.5)
    assert got.xy.dtype == "float32"
    seen = expected.score > 0.3
    assert seen.sum() >= 6
    np.testing.assert_allclose(np.asarray(got.xy)[seen], expected.xy[seen], atol=1e-3)
    np.testing.assert_allclose(np.asarray(got.score)[seen], expected.score[seen], atol=1e-3)


PLACES = np.random.default_rng(5).uniform(-6, 66, (*SHAPE, 2))
PLACES[0, 1] = np.nan
STATES = np.array([[1, 1, 2, 3, 4, 0], [1, 2, 3, 3, 1, 1]])
"""One place that is not known among those that should be."""
POLICIES = ("tail", "background", "clip", "drop")
NOTHING = ("probability", "background"), ("gaussian_cross_entropy", "background")
"""What is refused: a distribution cannot say that there is nothing."""


@pytest.mark.parametrize("state", [None, STATES], ids=["no states", "states"])
@pytest.mark.parametrize(
    ("kind", "off_frame"), [p for p in product(("peak", "probability"), POLICIES) if p != NOTHING[0]]
)
def test_targets(jax64, kind, off_frame, state):
    options = {"sigma_cells": 1.3, "kind": kind, "off_frame": off_frame}
    jax_state = None if state is None else jax64.numpy.asarray(state)
    got = targets.gaussian(jax64.numpy.asarray(PLACES), FRAMES, state=jax_state, **options)
    expected = targets.gaussian(PLACES, FRAMES, state=state, **options)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-15)  # the far cells too


@pytest.mark.parametrize("state", [None, STATES], ids=["no states", "states"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("name", "off_frame"), [p for p in product(("gaussian_mse", "gaussian_cross_entropy"), POLICIES) if p != NOTHING[1]]
)
def test_losses(jax64, name, reduction, off_frame, state):
    maps = peaks("noise")
    options = {"sigma_cells": 1.3, "off_frame": off_frame, "reduction": reduction}
    loss, xp = getattr(losses, name), jax64.numpy
    jax_state = None if state is None else xp.asarray(state)
    got = loss(xp.asarray(maps), xp.asarray(PLACES), FRAMES, state=jax_state, **options)
    np.testing.assert_allclose(got, loss(maps, PLACES, FRAMES, state=state, **options), rtol=1e-10)


def test_places_that_are_not_finite_take_no_part(jax64):
    got = losses.gaussian_mse(
        jax64.numpy.asarray(peaks("noise")), jax64.numpy.asarray(PLACES), FRAMES, sigma_cells=1.3, reduction="none"
    )
    assert np.asarray(got)[0].astype(bool).tolist() == [True, False, True, True, True, True]


def test_nothing_cannot_be_a_distribution(jax64):
    maps, places = jax64.numpy.asarray(peaks("noise")), jax64.numpy.asarray(PLACES)
    with pytest.raises(OptionError, match="cannot say that there is nothing"):
        targets.gaussian(places, FRAMES, sigma_cells=1, kind="probability", off_frame="background")
    with pytest.raises(OptionError, match="cannot say that there is nothing"):
        losses.gaussian_cross_entropy(maps, places, FRAMES, sigma_cells=1, off_frame="background")
