"""Flat maps say no place: none is surer of them than of noise, whatever their value, size and type are."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from isotherm import arrays, decode
from isotherm.ops.gaussian import outer, peak_vectors
from isotherm.points import State
from isotherm.zoo.detector.network import find_centres

PEAK = {
    "argmax": decode.argmax,
    "quarter_offset": decode.quarter_offset,
    "dark": decode.dark,
    "dark, udp": lambda m: decode.dark(m, stencil="udp", blur_sigma=0.8),
    "local_soft_argmax": decode.local_soft_argmax,
    "least_squares": lambda m: decode.least_squares(m, sigma_cells=2.0),
    "least_squares, sigma fitted": decode.least_squares,
}
OTHERS = {
    "argmax of logits": lambda m: decode.argmax(m, kind="logits"),
    "argmax of relevance": lambda m: decode.argmax(m, kind="relevance"),
    "soft_argmax": decode.soft_argmax,
    "local_soft_argmax of logits": lambda m: decode.local_soft_argmax(m, kind="logits"),
    "moment_inverse": lambda m: decode.moment_inverse(m, sigma_cells=2.0),
    "moment_inverse of wide targets": lambda m: decode.moment_inverse(m, sigma_cells=40.0),
    "moment_inverse of probabilities": lambda m: decode.moment_inverse(m, sigma_cells=2.0, kind="probability"),
}
DECODERS = PEAK | OTHERS
ARRAYS = {
    "argmax": arrays.argmax,
    "soft_argmax": arrays.soft_argmax,
    "moment_inverse": lambda m: arrays.moment_inverse(m, sigma_cells=2.0),
    "least_squares": lambda m: arrays.least_squares(m, sigma_cells=2.0),
    "least_squares, sigma fitted": arrays.least_squares,
}
SIZES = [(8, 8), (40, 24), (1, 32), (32, 1), (2, 2)]
VALUES = [0.0, 1.0, 0.3, -2.0, 1e3]


def flat(value, size, *, noise=1e-6, count=3):
    """(1, 2 * count, h, w): maps of one value, and such with noise of so small a share of it."""
    generator = torch.Generator().manual_seed(0)
    shaken = torch.randn(1, count, *size, generator=generator) * noise * max(abs(value), 1)
    return torch.cat([torch.full((1, count, *size), value), value + shaken], 1)


def readable(name, maps):
    """What a decoder reads: probabilities are not negative."""
    return maps.abs() if name.endswith("probabilities") else maps


@cache
def of_noise(name, size):
    """The score that one in twenty maps of nothing but noise (of standard deviation 1, above 0) exceeds."""
    noise = torch.randn(1, 200, *size, generator=torch.Generator().manual_seed(1)).abs()
    return float(DECODERS[name](noise).score.quantile(0.95))


def not_confident(name, size, score):
    """No more than noise gives, and a hundredth where noise itself gives as good as nothing."""
    limit = max(of_noise(name, size), 0.01)
    assert bool((score <= limit).all()), f"{name}: {score} of flat maps, {limit} of noise"


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", DECODERS)
def test_no_decoder_is_surer_of_a_flat_map_than_of_noise(name, size):
    for value in VALUES:
        not_confident(name, size, DECODERS[name](readable(name, flat(value, size))).score)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("name", DECODERS)
def test_whatever_the_type_of_the_values(name, dtype):
    for value in VALUES:
        maps = flat(value, (16, 12)).to(dtype)[:, : 3 if dtype != torch.float64 else None]
        not_confident(name, (16, 12), DECODERS[name](readable(name, maps)).score)


@pytest.mark.parametrize("name", ARRAYS)
def test_of_arrays_too(name):
    import jax.numpy as jnp

    for value in (0.0, 1.0, 1e3):
        maps = flat(value, (16, 12)).numpy()
        for of in (maps, maps.astype(np.float64), jnp.asarray(maps)):
            not_confident(name, (16, 12), torch.from_numpy(np.array(ARRAYS[name](of).score)))


@pytest.mark.parametrize("name", DECODERS)
def test_a_flat_map_among_good_ones_spoils_none(name):
    at = torch.tensor([[[9.3, 8.6], [20.2, 11.7]]])
    good = outer(*peak_vectors(at, torch.full_like(at, 2.0), (24, 28)))
    good = good if name in PEAK or name.endswith("probabilities") else (good + 1e-6).log()
    together = DECODERS[name](torch.cat([flat(1.0, (24, 28)), good], 1))
    alone = DECODERS[name](good)
    not_confident(name, (24, 28), together.score[:, :-2])
    torch.testing.assert_close(together.xy[:, -2:], alone.xy, atol=1e-4, rtol=0)
    torch.testing.assert_close(together.score[:, -2:], alone.score, atol=1e-4, rtol=0)
    if name in PEAK:
        assert bool((alone.score > 0.95).all())


@pytest.mark.parametrize("value", VALUES)
def test_no_instance_is_found_in_a_flat_map(value):
    maps = flat(value, (20, 24), count=1)
    found = decode.peaks(maps, most=3, threshold=1e-3)
    assert bool((found.state == State.ABSENT).all()), found
    found = decode.modes(maps, most=1)
    assert bool((found.score <= 1.01 / (20 * 24)).all())
    assert bool(torch.isfinite(found.xy).all())  # whoever asks for a place gets one, which is not sure of itself
    assert find_centres(maps).score.tolist() == [[0.0] * 20]


def test_a_single_cell_is_no_flat_map():
    one = torch.ones(1, 1, 1)
    for name in DECODERS:
        assert DECODERS[name](one).score.item() == pytest.approx(1.0), name
    assert decode.peaks(one, most=1, threshold=0.5).score.tolist() == [1]
    assert decode.modes(one, most=1).score.tolist() == [1]


def test_a_clean_peak_keeps_its_value_as_its_score():
    at = torch.tensor([[9.5, 8.5]])
    peak = 0.8 * outer(*peak_vectors(at, torch.full_like(at, 2.0), (24, 28)))
    for name in ("argmax", "quarter_offset", "dark", "local_soft_argmax"):
        assert DECODERS[name](peak).score.item() == pytest.approx(0.8, abs=1e-6)
        assert DECODERS[name](peak - 0.05).score.item() == pytest.approx(0.75, abs=1e-6)  # below 0: the value alone
        assert DECODERS[name](peak + 0.15).score.item() == pytest.approx(0.8, abs=1e-6)  # on a background: above it
