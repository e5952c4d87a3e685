"""What must hold for every decoder: round trips through frames, flips, crops, the order of channels; gradients; refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm import decode, targets
from isotherm.errors import FrameError, KindError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap

SIGMA = 1.6
SIZE = (20, 24)
PEAK = {
    "argmax": decode.argmax,
    "quarter_offset": decode.quarter_offset,
    "dark": decode.dark,
    "dark, udp": lambda m, f=None: decode.dark(m, f, stencil="udp"),
    "local_soft_argmax": decode.local_soft_argmax,
    "least_squares": lambda m, f=None: decode.least_squares(m, f, sigma_cells=SIGMA),
    "least_squares, sigma fitted": decode.least_squares,
}
LOGITS = {
    "soft_argmax": decode.soft_argmax,
    "moment_inverse": lambda m, f=None: decode.moment_inverse(m, f, sigma_cells=SIGMA),
}
EXACT = ("least_squares", "least_squares, sigma fitted", "moment_inverse")
ALL = PEAK | LOGITS


def noisy(name, seed, n=3):
    """Maps of the kind that a decoder reads, with noise."""
    generator = torch.Generator().manual_seed(seed)
    at = torch.rand(2, n, 2, generator=generator) * torch.tensor([SIZE[1], SIZE[0]])
    noise = torch.randn(2, n, *SIZE, generator=generator)
    if name in PEAK:
        return targets.gaussian(at, SIZE, sigma_cells=SIGMA).heatmap.values + 0.02 * noise
    return (
        targets.gaussian(at, SIZE, sigma_cells=SIGMA, kind="probability").heatmap.values.log().clamp_min(-30)
        + 0.2 * noise
    )


def any_frame(height, width, fit, flip, degrees):
    """A picture that is stretched or letterboxed, perhaps flipped, turned, and gridded down to the raster."""
    frame = fit((height, width), (4 * SIZE[0], 4 * SIZE[1]))
    return (frame.flipped() if flip else frame).rotated(degrees).to_grid(stride=4)


LENGTH = st.integers(40, 400)


@pytest.mark.parametrize("name", EXACT)
@settings(deadline=None, max_examples=10)
@given(
    height=LENGTH,
    width=LENGTH,
    fit=st.sampled_from([Frame.resize, Frame.letterbox]),
    flip=st.booleans(),
    degrees=st.floats(-180, 180),
    seed=st.integers(0, 10_000),
)
def test_encode_and_decode_through_any_frame(name, height, width, fit, flip, degrees, seed):
    """To a thousandth of a cell, up to 2 cells outside of the map."""
    frame = any_frame(height, width, fit, flip, degrees)
    generator = torch.Generator().manual_seed(seed)
    cells = torch.rand(4, 2, generator=generator).double() * (torch.tensor([SIZE[1], SIZE[0]]) + 4) - 2
    points = frame.points_to_source(cells)
    kind = "peak" if name in PEAK else "probability"
    found = ALL[name](targets.gaussian(points, frame, sigma_cells=SIGMA, kind=kind).heatmap)
    torch.testing.assert_close(frame.points_from_source(found.xy), cells, atol=1e-3, rtol=0)


# UDP's stencil of the mixed derivative reads two of the four diagonal neighbours, so a mirrored map gives another point
@pytest.mark.parametrize("name", [name for name in ALL if name != "dark, udp"])
@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 10_000))
def test_flipping_the_map_and_its_frame_changes_nothing(name, seed):
    maps, frame = noisy(name, seed), Frame.resize((100, 90), SIZE)
    plain, flipped = ALL[name](maps, frame), ALL[name](maps.flip(-1), frame.flipped())
    # source pixels, 4 to a cell; a noisy map at the border is a flat valley, in which the last step of a fit ends here or there
    torch.testing.assert_close(flipped.xy, plain.xy, atol=0.05 if "least" in name else 2e-3, rtol=0)
    torch.testing.assert_close(flipped.score, plain.score, atol=1e-3, rtol=1e-3)
    assert torch.equal(flipped.state, plain.state)
    if flipped.covariance is not None:
        torch.testing.assert_close(flipped.covariance, plain.covariance, atol=1e-2, rtol=5e-2, equal_nan=True)


@pytest.mark.parametrize(
    "name", ["argmax", "least_squares", "least_squares, sigma fitted", "local_soft_argmax", "quarter_offset"]
)
@settings(deadline=None, max_examples=5)
@given(x=st.floats(9, 15), y=st.floats(9, 11), left=st.integers(0, 2), top=st.integers(0, 2))
def test_cropping_away_what_is_far_changes_nothing(name, x, y, left, top):
    maps = targets.gaussian(torch.tensor([[x, y]]), SIZE, sigma_cells=SIGMA).heatmap.values
    frame = Frame.identity(SIZE)
    box = (left, top, SIZE[1], SIZE[0])
    whole, part = ALL[name](maps, frame), ALL[name](maps[..., top:, left:], frame.cropped(box))
    torch.testing.assert_close(part.xy, whole.xy, atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", ALL)
def test_channels_and_pictures_are_decoded_each_by_itself(name):
    maps = noisy(name, 0, n=4)
    frame = Frame.stack([Frame.resize((100, 90), SIZE), Frame.letterbox((50, 90), SIZE).flipped()])
    whole = ALL[name](maps, frame)
    order = [2, 0, 3, 1]
    moved = ALL[name](maps[:, order], frame)
    torch.testing.assert_close(moved.xy, whole.xy[:, order], atol=1e-4, rtol=0)
    for i in range(2):
        alone = ALL[name](maps[i], frame[i])
        torch.testing.assert_close(alone.xy, whole.xy[i], atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "decoder",
    [
        decode.soft_argmax,
        lambda m: decode.soft_argmax(m, temperature=0.5),
        lambda m: decode.local_soft_argmax(m, window=3),
        lambda m: decode.moment_inverse(m, sigma_cells=1.2),
    ],
    ids=["soft", "sharp", "local", "moment inverse"],
)
def test_gradients(decoder):
    torch.manual_seed(1)
    maps = torch.randn(2, 3, 4, dtype=torch.float64).abs().requires_grad_()
    assert torch.autograd.gradcheck(lambda m: decoder(m).xy, maps)


@pytest.mark.parametrize("name", ["argmax", "soft_argmax", "moment_inverse", "least_squares"])
def test_arrays_are_handed_on(name):
    decoder = getattr(decode, name)
    maps = noisy(name, 3)
    options = {"sigma_cells": SIGMA} if name in EXACT else {}
    frame = Frame.resize((100, 90), SIZE)
    found, expected = decoder(maps.numpy(), frame, **options), decoder(maps, frame, **options)
    assert isinstance(found.xy, np.ndarray)
    np.testing.assert_allclose(found.xy, expected.xy.numpy(), atol=2e-2)


@pytest.mark.parametrize(
    "name", [name for name in PEAK if name not in ("argmax", "quarter_offset", "local_soft_argmax")]
)
def test_logits_are_refused_by_decoders_of_peaks(name):
    heatmap = Heatmap(torch.zeros(1, *SIZE), Frame.identity(SIZE), "logits")
    with pytest.raises(KindError, match="moment_inverse"):
        ALL[name](heatmap)


@pytest.mark.parametrize("name", LOGITS)
def test_peaks_are_refused_by_decoders_of_distributions(name):
    heatmap = Heatmap(torch.zeros(1, *SIZE), Frame.identity(SIZE), "peak")
    with pytest.raises(KindError, match="least_squares"):
        ALL[name](heatmap)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("maps", "frame", "error"),
    [
        (torch.zeros(8, 8), None, ShapeError),
        (torch.zeros(1, 0, 8), None, ShapeError),
        (torch.zeros(1, 8, 8).long(), None, ShapeError),
        (torch.zeros(1, 8, 8), Frame.identity((8, 9)), ShapeError),
        (torch.zeros(2, 1, 8, 8), Frame.stack([Frame.identity((8, 8))] * 3), (ShapeError, FrameError)),
    ],
    ids=["one map", "no cells", "whole numbers", "another size", "another batch"],
)
def test_bad_input(name, maps, frame, error):
    with pytest.raises(error):
        ALL[name](maps, frame)
