"""Masks: the share of every cell, exact in upright frames; kinds, states, frames."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm import targets
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.points import State
from oracles import targets as oracle


def blob(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) > 0.5


def shares(masks, frame, **options):
    return targets.masks(masks, frame, **options).heatmap.values


def test_by_hand():
    """Three pixels in two cells: the middle one is shared half and half."""
    got = shares(torch.tensor([[[True, True, False]]]), Frame.resize((1, 3), (1, 2)))
    torch.testing.assert_close(got, torch.tensor([[[1.0, 1 / 3]]]))
    got = shares(torch.tensor([[[True, True, False]]]), Frame.resize((1, 3), (1, 2)), kind="probability")
    torch.testing.assert_close(got, torch.tensor([[[0.75, 0.25]]]))


@pytest.mark.parametrize(
    ("frame", "tolerance"),
    [
        (Frame.resize((12, 10), (3, 5)), 1e-6),
        (Frame.letterbox((12, 10), (6, 6)), 1e-6),
        (Frame.resize((12, 10), (4, 5)).flipped().flipped("vertical"), 1e-6),
        (Frame.identity((12, 10)).cropped((-3, 2, 6, 14)), 1e-6),
        # readings half a pixel apart, beside 24 x 24 of a cell
        (Frame.resize((12, 10), (4, 5)).rotated(90, size=(5, 4)), 1e-6),
        (Frame.resize((12, 10), (3, 3)).rotated(30), 0.12),
    ],
)
def test_beside_readings(frame, tolerance):
    mask = blob(1, 12, 10)
    expected = oracle.coverage(mask[0].numpy(), frame.to_source.numpy(), *frame.size, steps=24)
    np.testing.assert_allclose(shares(mask, frame)[0].numpy(), expected, atol=tolerance)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 20))
@settings(max_examples=30, deadline=None)
def test_area_is_conserved(h, w, seed):
    """Cells times shares is the mask's area, whatever the grid; letterboxes lose nothing."""
    mask = blob(2, 7, 11, seed=seed)
    area = mask.sum((-2, -1)).double()
    for frame in (
        Frame.resize((7, 11), (h, w)),
        Frame.letterbox((7, 11), (h, w)),
        Frame.resize((7, 11), (h, w)).flipped(),
    ):
        got = shares(mask.double(), frame).sum((-2, -1)) * frame.cell_size.prod()
        torch.testing.assert_close(got, area)


def test_flips_and_crops():
    mask, frame = blob(2, 12, 10), Frame.resize((12, 10), (6, 5))
    torch.testing.assert_close(shares(mask, frame.flipped()), shares(mask, frame).flip(-1))
    torch.testing.assert_close(shares(mask, frame.cropped((1, 2, 4, 6))), shares(mask, frame)[:, 2:6, 1:4])


def test_a_batch_of_frames():
    frames = Frame.stack([Frame.resize((12, 10), (4, 5)), Frame.resize((12, 10), (4, 5)).rotated(90, size=(4, 5))])
    mask = blob(2, 3, 12, 10)
    got = shares(mask, frames)
    assert got.shape == (2, 3, 4, 5)
    for i in range(2):
        torch.testing.assert_close(got[i], shares(mask[i], frames[i]))


@pytest.mark.parametrize("kind", ["peak", "probability"])
def test_states(kind):
    mask = torch.zeros(5, 4, 8)
    mask[[0, 2, 3, 4], 1, 1] = 1
    mask[1, 1, 7] = 1
    mask[3] = math.nan
    state = torch.tensor([State.LABELLED, State.LABELLED, State.OCCLUDED, State.UNLABELLED, State.ABSENT])
    left = Frame.identity((4, 8)).cropped((0, 0, 4, 4))
    target = targets.masks(mask, left, kind=kind, state=state)
    assert target.state.tolist() == [State.LABELLED, State.OUT_OF_FRAME, State.OCCLUDED, State.UNLABELLED, State.ABSENT]
    assert target.heatmap.values.sum((-2, -1)).tolist() == [1, 0, 1, 0, 0]
    assert target.heatmap.kind == kind
    empty = targets.masks(torch.zeros(1, 4, 8, dtype=torch.bool), left)
    assert empty.state.tolist() == [State.ABSENT]
    # judged anew: what another crop cut off is here
    again = targets.masks(mask[:1], left, state=torch.tensor([int(State.OUT_OF_FRAME)]))
    assert again.state.tolist() == [State.LABELLED]


@pytest.mark.parametrize("kind", ["peak", "probability"])
def test_gradients(kind):
    mask = (torch.rand(2, 4, 6, dtype=torch.float64) * 0.8 + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda m: shares(m, Frame.resize((4, 6), (3, 4)), kind=kind), (mask,))


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
def test_nothing_gives_nothing(shape):
    frame = Frame.resize((4, 6), (2, 3))
    target = targets.masks(torch.zeros(*shape, 4, 6, dtype=torch.bool), frame)
    assert target.heatmap.values.shape == (*shape, 2, 3)
    assert target.state.shape == shape
    assert shares(torch.zeros(*shape, 4, 6, dtype=torch.bool), frame.rotated(20)).shape == (*shape, 2, 3)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"masks": torch.zeros(1, 4, 5)}, ShapeError, r"masks are \(4, 5\) pixels, the frame's source is \[4, 6\]"),
        ({"masks": torch.zeros(4, 6)}, ShapeError, r"masks have shape \(4, 6\); expected \(\*batch, n, H, W\)"),
        (
            {"masks": 255 * torch.ones(1, 4, 6)},
            OptionError,
            "numbers outside of 0 to 1; divide masks of 0 and 255 by 255",
        ),
        ({"masks": torch.full((1, 4, 6), math.nan)}, OptionError, "numbers outside of 0 to 1"),
        ({"kind": "logits"}, OptionError, "kind is 'logits'"),
        ({"state": torch.ones(2).long()}, ShapeError, r"state has shape \(2,\); expected \(1,\)"),
        ({"frame": Frame.resize((4, 6), (2, 3)).expanded(2)}, ShapeError, r"the frame has batch \(2,\)"),
    ],
)
def test_mistakes(change, error, message, unchecked):
    with pytest.raises(error, match=message):
        targets.masks(**({"masks": torch.zeros(1, 4, 6), "frame": Frame.resize((4, 6), (2, 3))} | change))
