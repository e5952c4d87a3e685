"""NumPy arrays run the tensors' algorithm: to the last bit, in the same precision, on the same memory."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from isotherm import decode, losses, targets
from isotherm.arrays import Decoded
from isotherm.errors import ShapeError
from isotherm.frame import Frame
from isotherm.ops.numpy_arrays import as_arrays, as_tensor

FRAMES = Frame.stack([Frame.letterbox((40, 60), (9, 12)).flipped(), Frame.resize((33, 70), (9, 12)).rotated(20)])
NOISE = np.random.default_rng(0).random((2, 3, 9, 12))
PLACES = np.random.default_rng(1).uniform(-4, 44, (2, 3, 2))
STATE = np.array([[1, 2, 3], [4, 0, 1]])
DECODERS = {
    "argmax": {"kind": "peak"},
    "soft_argmax": {"temperature": 0.7},
    "moment_inverse": {"sigma_cells": 1.5},
    "least_squares": {"sigma_cells": 1.5},
}
LOSSES = {
    "gaussian_mse": {"off_frame": "clip", "groups": ((0, 1),)},
    "gaussian_cross_entropy": {"weight": np.arange(6.0).reshape(2, 3), "reduction": "none"},
}


def tensors(options):
    return {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", DECODERS)
def test_decoders_give_the_bits_of_tensors(name, dtype):
    maps, options = NOISE.astype(dtype), DECODERS[name]
    got = getattr(decode, name)(maps, FRAMES, **options)
    expected = getattr(decode, name)(torch.from_numpy(maps), FRAMES, **options)
    assert isinstance(got, Decoded)
    for part in ("xy", "covariance", "score", "state"):
        array, tensor = getattr(got, part), getattr(expected, part)
        assert type(array) is np.ndarray
        assert array.dtype == (np.int64 if part == "state" else dtype)
        np.testing.assert_array_equal(array, tensor.numpy())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_give_the_bits_of_tensors(name, dtype):
    maps, places, options = NOISE.astype(dtype), PLACES.astype(dtype), {"state": STATE, **LOSSES[name]}
    got = getattr(losses, name)(maps, places, FRAMES, sigma_cells=1.3, **options)
    expected = getattr(losses, name)(
        torch.from_numpy(maps), torch.from_numpy(places), FRAMES, sigma_cells=1.3, **tensors(options)
    )
    assert type(got) is (np.ndarray if got.ndim else np.dtype(dtype).type)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, expected.numpy())


def test_targets_give_the_values_of_the_map():
    got = targets.gaussian(PLACES, FRAMES, sigma_cells=1.3, state=STATE, off_frame="drop", cut_sigmas=2.0)
    expected = targets.gaussian(
        torch.from_numpy(PLACES),
        FRAMES,
        sigma_cells=1.3,
        state=torch.from_numpy(STATE),
        off_frame="drop",
        cut_sigmas=2.0,
    )
    assert type(got) is np.ndarray
    np.testing.assert_array_equal(got, expected.heatmap.values.numpy())
    assert not got[1, 1].any()  # nothing is known of it


def test_scores_of_noise_are_those_of_tensors():
    """Arrays had an algorithm of their own, whose score of noise was an amplitude above 1."""
    got = decode.least_squares(np.random.default_rng(0).random((4, 32, 32)), sigma_cells=1.5)
    assert (got.score <= 0.5).all()


def test_the_memory_is_shared():
    array = np.zeros((2, 3))
    as_tensor(array)[0, 0] = 7
    assert array[0, 0] == 7
    tensor = torch.zeros(3)
    as_arrays(tensor)[1] = 5
    assert tensor.tolist() == [0, 5, 0]


def test_what_may_not_be_written_is_read_without_a_copy_or_a_warning():
    array = np.broadcast_to(np.arange(3.0), (2, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = as_tensor(array)
    assert tensor.data_ptr() == array.ctypes.data
    assert tensor.tolist() == [[0, 1, 2], [0, 1, 2]]
    del array  # the tensor keeps the memory
    assert tensor.tolist() == [[0, 1, 2], [0, 1, 2]]


def test_steps_and_bytes_that_tensors_cannot_have_are_copied():
    array = np.arange(6.0).reshape(2, 3)
    assert as_tensor(array[:, ::-1]).tolist() == [[2, 1, 0], [5, 4, 3]]
    assert as_tensor(array.T).data_ptr() == array.ctypes.data
    assert as_tensor(array.astype(">f8")).tolist() == array.tolist()
    packed = np.zeros(2, dtype=[("flag", "i1"), ("value", "<f8")])
    packed["value"] = [1, 2]
    assert as_tensor(packed["value"]).tolist() == [1, 2]


def test_maps_from_the_end_are_decoded_as_their_copies():
    turned = decode.argmax(NOISE[..., ::-1])
    np.testing.assert_array_equal(turned.xy, decode.argmax(NOISE[..., ::-1].copy()).xy)


def test_half_precision_is_computed_in_single_as_of_tensors():
    assert decode.argmax(NOISE.astype(np.float16)).xy.dtype == np.float32


def test_arguments_are_left_as_they_are():
    maps, before = NOISE.copy(), NOISE.copy()
    decode.least_squares(maps, sigma_cells=1.5)
    losses.gaussian_mse(maps, PLACES, FRAMES, sigma_cells=1.0)
    np.testing.assert_array_equal(maps, before)


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_array_of_numbers_is_refused():
    with pytest.raises(ShapeError, match=r"maps is a masked array.*maps\.filled"):
        decode.argmax(np.ma.masked_invalid(NOISE))
    with pytest.raises(ShapeError, match=r"maps has dtype <U1; expected numbers"):
        decode.argmax(np.array([[["a"]]]))
    with pytest.raises(ShapeError, match="floating point"):
        decode.argmax(np.ones((1, 2, 2), dtype=int))
    with pytest.raises(ShapeError, match="points are a list"):
        losses.gaussian_mse(NOISE, PLACES.tolist(), FRAMES, sigma_cells=1.0)
