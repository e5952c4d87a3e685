"""Gaussian maps of points: by hand, beside loops and peers, gradients, every state and policy, frames."""

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
from isotherm.ops.coordinates import udp_to_edge
from isotherm.points import Points, State
from oracles import targets as oracle

SIZE = (6, 8)
KINDS = pytest.mark.parametrize("kind", ["peak", "probability"])
PLACES = st.tuples(st.floats(0, 8, width=32), st.floats(0, 6, width=32))


def values(*args, **kwargs):
    return targets.gaussian(*args, **kwargs).heatmap.values


def tensor(points):
    return torch.tensor(np.array(points), dtype=torch.float64)


def test_by_hand():
    e = math.exp(-0.5)
    got = values(tensor([[1.5, 0.5]]), (1, 3), sigma_cells=1.0)
    torch.testing.assert_close(got, tensor([[[e, 1, e]]]))
    got = values(tensor([[1.5, 0.5]]), (1, 3), sigma_cells=1.0, kind="probability")
    torch.testing.assert_close(got, tensor([[[e, 1, e]]]) / (1 + 2 * e))


@KINDS
@pytest.mark.parametrize("cut", [None, 1.5])
@pytest.mark.parametrize("sigma", ["one", "per point", "per axis"])
def test_beside_loops(kind, cut, sigma):
    at = torch.rand(2, 3, 2, dtype=torch.float64) * 12 - 2
    wide = {"one": 1.3, "per point": torch.rand(2, 3) + 0.5, "per axis": torch.rand(2, 3, 2) + 0.5}[sigma]
    each = torch.as_tensor(wide, dtype=torch.float64)
    each = each[..., None].expand(2, 3, 2) if each.ndim == 2 else each.expand(2, 3, 2)
    got = values(at, SIZE, sigma_cells=wide, kind=kind, cut_sigmas=cut)
    for index in np.ndindex(2, 3):
        expected = oracle.gaussian(*at[index].tolist(), *each[index].tolist(), *SIZE, kind=kind, cut=cut)
        np.testing.assert_allclose(got[index].numpy(), expected, atol=1e-12)


@KINDS
def test_source_pixels_go_through_a_batch_of_frames(kind):
    frames = Frame.stack([Frame.letterbox((40, 60), SIZE).flipped(), Frame.resize((33, 70), SIZE).rotated(20)])
    cells = torch.rand(2, 3, 2, dtype=torch.float64) * 6
    target = targets.gaussian(frames.points_to_source(cells), frames, sigma_cells=1.0, kind=kind)
    torch.testing.assert_close(target.heatmap.values, values(cells, SIZE, sigma_cells=1.0, kind=kind))
    assert target.heatmap.frame is frames
    assert target.heatmap.kind == kind


@KINDS
def test_gradients_in_points_and_in_sigma(kind):
    at = (torch.rand(2, 2, dtype=torch.float64) * 5).requires_grad_()
    sigma = (torch.rand(2, 2, dtype=torch.float64) + 0.7).requires_grad_()
    assert torch.autograd.gradcheck(lambda p, s: values(p, (4, 5), sigma_cells=s, kind=kind), (at, sigma))
    assert torch.autograd.gradcheck(lambda p: values(p, (4, 5), sigma_cells=1.0, kind=kind, off_frame="clip"), (at,))


def test_points_without_a_place_leave_no_nan_in_gradients():
    at = torch.tensor([[1.0, 2.0], [math.nan, 1.0], [math.inf, 0.0]], requires_grad=True)
    target = targets.gaussian(at, SIZE, sigma_cells=1.0)
    target.heatmap.values.sum().backward()
    assert target.state.tolist() == [State.LABELLED, State.UNLABELLED, State.UNLABELLED]
    assert target.known.tolist() == [True, False, False]
    assert bool(torch.isfinite(at.grad).all())
    assert target.heatmap.values[1:].abs().max() == 0


# --- states and policies ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "place", "shown", "becomes"),
    [
        (State.UNLABELLED, [3.0, 3.0], False, State.UNLABELLED),
        (State.LABELLED, [3.0, 3.0], True, State.LABELLED),
        (State.OCCLUDED, [3.0, 3.0], True, State.OCCLUDED),
        (State.OUT_OF_FRAME, [3.0, 3.0], True, State.LABELLED),
        (State.ABSENT, [3.0, 3.0], False, State.ABSENT),
        (State.LABELLED, [math.nan, 3.0], False, State.UNLABELLED),
        (State.OCCLUDED, [math.nan, 3.0], False, State.UNLABELLED),
        (State.OUT_OF_FRAME, [math.nan, 3.0], False, State.UNLABELLED),
        (State.ABSENT, [math.nan, 3.0], False, State.ABSENT),
        (State.OCCLUDED, [-1.0, 3.0], True, State.OUT_OF_FRAME),
        (State.OUT_OF_FRAME, [-1.0, 3.0], True, State.OUT_OF_FRAME),
    ],
)
def test_every_state(state, place, shown, becomes):
    at = torch.tensor([place])
    target = targets.gaussian(at, SIZE, sigma_cells=1.0, state=torch.tensor([int(state)]))
    assert bool((target.heatmap.values > 0).any()) is shown
    assert target.state.tolist() == [becomes]
    same = targets.gaussian(Points(at, state=torch.tensor([int(state)])), SIZE, sigma_cells=1.0)
    torch.testing.assert_close(same.heatmap.values, target.heatmap.values)


@pytest.mark.parametrize(
    ("policy", "like", "state"),
    [
        ("tail", [-1.0, 3.0], State.OUT_OF_FRAME),
        ("clip", [0.0, 3.0], State.OUT_OF_FRAME),
        ("background", None, State.OUT_OF_FRAME),
        ("drop", None, State.UNLABELLED),
    ],
)
def test_every_policy_for_points_outside(policy, like, state):
    target = targets.gaussian(tensor([[-1.0, 3.0], [8.0, 3.0]]), SIZE, sigma_cells=1.5, off_frame=policy)
    expected = np.zeros(SIZE) if like is None else oracle.gaussian(*like, 1.5, 1.5, *SIZE)
    np.testing.assert_allclose(target.heatmap.values[0].numpy(), expected, atol=1e-12)
    # the very edge is inside
    np.testing.assert_allclose(target.heatmap.values[1].numpy(), oracle.gaussian(8, 3, 1.5, 1.5, *SIZE), atol=1e-12)
    assert target.state.tolist() == [state, State.LABELLED]


def test_a_point_known_to_be_outside_but_not_where_is_background():
    at, state = torch.full((1, 2), math.nan), torch.tensor([int(State.OUT_OF_FRAME)])
    assert targets.gaussian(at, SIZE, sigma_cells=1.0, state=state, off_frame="background").state.tolist() == [
        State.OUT_OF_FRAME
    ]


def test_a_point_far_outside_keeps_a_target():
    """Where the exponentials underflow, the distribution must not: a map of zeros would be a loss of zero."""
    for cut in (None, 3.0):
        got = values(torch.tensor([[-500.0, 2.5]]), SIZE, sigma_cells=1.0, kind="probability", cut_sigmas=cut)
        assert got.sum().item() == pytest.approx(1, abs=1e-6)
        assert got[0, :, 0].sum().item() == pytest.approx(1, abs=1e-6)


# --- properties ------------------------------------------------------------------------------------------


@given(PLACES, st.floats(0.3, 4))
@settings(max_examples=40, deadline=None)
def test_mass_is_conserved_and_the_argmax_is_within_half_a_cell(place, sigma):
    at = tensor([place])
    assert values(at, SIZE, sigma_cells=sigma, kind="probability").sum().item() == pytest.approx(1, abs=1e-12)
    y, x = divmod(int(values(at, SIZE, sigma_cells=sigma).argmax()), SIZE[1])
    assert abs(x + 0.5 - place[0]) <= 0.5 + 1e-6
    assert abs(y + 0.5 - place[1]) <= 0.5 + 1e-6


@given(st.lists(PLACES, min_size=1, max_size=4), st.sampled_from(["horizontal", "vertical"]))
@settings(max_examples=30, deadline=None)
def test_a_flipped_frame_gives_the_flipped_map(places, direction):
    frame = Frame.resize((30, 40), SIZE)
    at = frame.points_to_source(tensor(places))
    flipped = values(at, frame.flipped(direction), sigma_cells=1.2)
    torch.testing.assert_close(
        flipped, values(at, frame, sigma_cells=1.2).flip(-1 if direction == "horizontal" else -2)
    )


@given(st.lists(PLACES, min_size=1, max_size=4), st.integers(-3, 4), st.integers(-3, 3))
@settings(max_examples=30, deadline=None)
def test_a_cropped_frame_gives_the_part_of_the_map(places, x, y):
    frame = Frame.resize((30, 40), SIZE)
    at = frame.points_to_source(tensor(places))
    crop = values(at, frame.cropped((x, y, x + 5, y + 4)), sigma_cells=1.2)
    whole = values(at, frame.padded(8, 8, 8, 8), sigma_cells=1.2)
    torch.testing.assert_close(crop, whole[:, y + 8 : y + 12, x + 8 : x + 13])


@KINDS
@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3), (0, 2, 3)])
def test_nothing_gives_nothing(kind, shape):
    target = targets.gaussian(torch.zeros(*shape, 2), SIZE, sigma_cells=1.0, kind=kind, cut_sigmas=None)
    assert target.heatmap.values.shape == (*shape, *SIZE)
    assert target.state.shape == shape


@pytest.mark.parametrize(
    ("given_dtype", "got"),
    [(torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float64, torch.float64)],
)
def test_half_precision_points_give_float32_maps(given_dtype, got):
    assert values(torch.ones(1, 2, dtype=given_dtype), SIZE, sigma_cells=1.0).dtype == got


def test_arrays_go_to_their_own_version():
    at = np.random.default_rng(0).uniform(0, 6, (2, 3, 2))
    got = targets.gaussian(at, SIZE, sigma_cells=1.2)
    assert isinstance(got, np.ndarray)
    np.testing.assert_allclose(got, values(torch.from_numpy(at), SIZE, sigma_cells=1.2).numpy(), atol=1e-12)


# --- several widths -----------------------------------------------------------------------------------------


@KINDS
def test_several_widths(kind):
    at, sigmas = torch.rand(2, 3, 2) * 6, [0.7, 1.5, 3.0]
    each = torch.stack([values(at, SIZE, sigma_cells=s, kind=kind) for s in sigmas], -3)
    state = torch.tensor([[1, 0, 2]]).expand(2, 3)
    every = targets.multi_scale(at, SIZE, sigmas=sigmas, kind=kind, state=state)
    each[:, 1] = 0
    torch.testing.assert_close(every.heatmap.values, each)
    assert every.state.tolist() == [[[1] * 3, [0] * 3, [2] * 3]] * 2
    mean = targets.multi_scale(at, SIZE, sigmas=sigmas, kind=kind, state=state, reduce="mean")
    torch.testing.assert_close(mean.heatmap.values, each.mean(-3))
    assert mean.state.tolist() == state.tolist()
    if kind == "peak":
        torch.testing.assert_close(
            targets.multi_scale(at, SIZE, sigmas=sigmas, state=state, reduce="max").heatmap.values, each.amax(-3)
        )


# --- peers --------------------------------------------------------------------------------------------------


def test_parity_with_mmpose_msra_at_the_cell_that_it_rounds_to():
    """mmpose 759b39c, msra: the same Gaussian (float32, 1e-6) around the rounded centre, so off by up to half a cell."""
    h, w, sigma, stride, off = 16, 12, 2.0, 4, []
    for keypoint in np.random.default_rng(0).uniform(0, [44, 60], (12, 2)):
        expected, mu = oracle.msra(keypoint, (stride, stride), sigma, h, w)
        got = values(torch.tensor([mu]).float() + 0.5, (h, w), sigma_cells=sigma)[0].numpy()
        np.testing.assert_allclose(got[expected > 0], expected[expected > 0], atol=1e-6)
        assert got[expected == 0].max(initial=0) < math.exp(-4.5)
        off.extend(abs(stride * (np.array(mu) - keypoint / stride)))
    # a quarter of a cell on average, one picture pixel
    assert 0.6 < np.mean(off) < 1.4


def test_parity_with_mmpose_udp_through_its_named_converter():
    """mmpose 759b39c, udp: align-corners coordinates, no rounding; float64, 1e-9."""
    h, w, source = 16, 12, (64, 48)
    for keypoint in np.random.default_rng(0).uniform(0, [47, 63], (8, 2)):
        expected, mu = oracle.udp(keypoint, source, 2.0, h, w)
        # the same maps where UDP says that the point is in cells ...
        got = values(tensor([mu]) + 0.5, (h, w), sigma_cells=2.0)[0].numpy()
        np.testing.assert_allclose(got[expected > 0], expected[expected > 0], atol=1e-9)
        # ... and the same points of the picture, which half-pixel frames put elsewhere in cells
        torch.testing.assert_close(udp_to_edge(tensor([mu]), (h, w), source), tensor([keypoint]) + 0.5)


def test_parity_with_kornia_render_gaussian2d():
    """kornia 0.9.0 itself: index coordinates, sums to 1; float64, 1e-12."""
    from kornia.geometry.subpix import render_gaussian2d

    for mean, std in (([3.2, 1.9], [1.0, 2.0]), ([0.0, 5.0], [0.6, 0.6]), ([-1.5, 7.5], [2.0, 1.0])):
        got = values(tensor([mean]) + 0.5, SIZE, sigma_cells=tensor([std]), kind="probability")[0]
        theirs = render_gaussian2d(tensor([mean]), tensor([std]), SIZE, normalized_coordinates=False)[0]
        np.testing.assert_allclose(got, theirs, atol=1e-12)
        np.testing.assert_allclose(got, oracle.render_gaussian2d(mean, std, *SIZE), atol=1e-12)


# --- mistakes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"kind": "logits"}, OptionError, "kind is 'logits'; expected 'peak' or 'probability'"),
        ({"kind": "probability", "off_frame": "background"}, OptionError, "use kind='peak', or off_frame 'tail'"),
        ({"off_frame": "wrap"}, OptionError, "off_frame is 'wrap'; expected one of tail, background, clip, drop"),
        ({"sigma_cells": 0.0}, OptionError, "sigma_cells is 0; expected finite numbers above 0"),
        ({"sigma_cells": math.nan}, OptionError, "sigma_cells is nan"),
        ({"sigma_cells": torch.tensor([1.0, -1.0, 1.0])}, OptionError, "a tensor from -1 to 1"),
        ({"sigma_cells": torch.ones(2)}, ShapeError, r"sigma_cells has shape \(2,\); expected one number, \(3,\)"),
        ({"cut_sigmas": 0.0}, OptionError, "cut_sigmas is 0.0; expected a finite number above 0, or None"),
        ({"state": torch.ones(2).long()}, ShapeError, r"state has shape \(2,\); expected \(3,\)"),
        ({"points": torch.zeros(3, 3)}, ShapeError, r"points have shape \(3, 3\)"),
        ({"points": torch.zeros(3, 2).long()}, ShapeError, "dtype torch.int64; expected floating point"),
        ({"points": [[1.0, 2.0]]}, ShapeError, "points is a builtins.list; expected a torch.Tensor"),
        ({"frame": Frame.stack([Frame.identity(SIZE)] * 2)}, ShapeError, r"the frame has batch \(2,\)"),
    ],
)
def test_mistakes(change, error, message, unchecked):
    options = {"points": torch.zeros(3, 2), "frame": SIZE, "sigma_cells": 1.0} | change
    with pytest.raises(error, match=message):
        targets.gaussian(**options)


def test_points_with_states_take_no_others():
    with pytest.raises(ShapeError, match="Points have states of their own"):
        targets.gaussian(Points(torch.zeros(3, 2)), SIZE, sigma_cells=1.0, state=torch.ones(3).long())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigmas": []}, "sigmas is empty"),
        ({"reduce": "sum"}, "reduce is 'sum'; expected None, 'mean' or 'max'"),
        ({"reduce": "max", "kind": "probability"}, "the maximum of probability maps does not sum to 1"),
        ({"kind": "logits"}, "kind is 'logits'"),
        ({"sigmas": [1.0, -1.0]}, "sigma_cells is -1"),
    ],
)
def test_mistakes_of_several_widths(change, message, unchecked):
    with pytest.raises(OptionError, match=message):
        targets.multi_scale(torch.zeros(3, 2), SIZE, **({"sigmas": [1.0]} | change))
