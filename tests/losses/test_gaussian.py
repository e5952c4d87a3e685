"""The target-free losses: by hand, beside loops and beside the same loss with the target made; states, precision, memory."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm import losses, targets
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.ops.gaussian import outer, peak_vectors
from isotherm.points import Points, State
from oracles import arrays as oracle
from rigs.peak_memory import peak_bytes

SIZE = (6, 8)
FRAMES = Frame.stack([Frame.letterbox((40, 60), SIZE).flipped(), Frame.resize((33, 70), SIZE).rotated(20)])
STATE = torch.tensor([[1, 2, 3, 1], [4, 0, 1, 1]])
BOTH = pytest.mark.parametrize("loss", [losses.gaussian_mse, losses.gaussian_cross_entropy], ids=["mse", "ce"])
SLOW = {"gaussian_mse": oracle.mse, "gaussian_cross_entropy": oracle.cross_entropy}


def case(seed=0):
    """Maps, points in source pixels (some outside, the unknown ones NaN), the same points in cells; float64."""
    random = np.random.default_rng(seed)
    cells = random.uniform(-1, 7, (2, 4, 2))
    cells[(STATE == State.UNLABELLED) | (STATE == State.ABSENT)] = np.nan
    return torch.from_numpy(random.normal(size=(2, 4, *SIZE))), FRAMES.points_to_source(torch.from_numpy(cells)), cells


def test_by_hand():
    pred, point = torch.tensor([[[0.0, 0.5]]]), torch.tensor([[0.5, 0.5]])
    e = math.exp(-0.5)
    assert losses.gaussian_mse(pred, point, sigma_cells=1.0).item() == pytest.approx((1 + (0.5 - e) ** 2) / 2)
    p = 1 / (1 + e)
    assert losses.gaussian_cross_entropy(pred, point, sigma_cells=1.0).item() == pytest.approx(
        math.log(1 + math.exp(0.5)) - (1 - p) * 0.5
    )


@BOTH
def test_beside_loops(loss):
    maps, points, cells = case()
    expected = SLOW[loss.__name__](maps.numpy(), cells, 1.3, STATE.numpy())
    assert loss(maps, points, FRAMES, sigma_cells=1.3, state=STATE).item() == pytest.approx(expected, rel=1e-10)


@BOTH
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_equal_to_the_loss_with_the_target_made(loss, reduction):
    """Parity with torch 2.x F.mse_loss and F.cross_entropy on targets.gaussian, values and gradients, 1e-6 in float32."""
    maps, _, cells = case()
    maps, points = maps.float().requires_grad_(), torch.from_numpy(np.nan_to_num(cells, nan=3.0)).float()
    kind = "peak" if loss is losses.gaussian_mse else "probability"
    target = targets.gaussian(points, SIZE, sigma_cells=1.3, kind=kind).heatmap.values
    got = loss(maps, points, sigma_cells=1.3, reduction=reduction)
    if kind == "peak":
        each = F.mse_loss(maps, target, reduction="none")
        expected = {"mean": each.mean(), "sum": each.sum(), "none": each.mean((-2, -1))}[reduction]
    else:
        each = F.cross_entropy(maps.flatten(0, 1).flatten(1), target.flatten(0, 1).flatten(1), reduction="none").view(
            2, 4
        )
        expected = {"mean": each.mean(), "sum": each.sum(), "none": each}[reduction]
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-6)
    scale = torch.rand(got.shape)
    (mine,) = torch.autograd.grad(got, maps, scale)
    (plain,) = torch.autograd.grad(expected, maps, scale)
    torch.testing.assert_close(mine, plain, atol=1e-6, rtol=1e-5)


def test_small_residuals_keep_their_digits():
    """At residuals of 1e-4 the expanded square is off by a tenth in float32; the residual form by less than 1e-6."""
    at, size = torch.rand(8, 17, 2) * 64, (64, 64)
    gx, gy = peak_vectors(at, torch.full_like(at, 2.0), size)
    pred = outer(gx, gy) + 1e-4 * torch.randn(8, 17, *size)
    exact = (pred.double() - outer(gx.double(), gy.double())).square().mean((-2, -1))
    got = losses.gaussian_mse(pred, at, sigma_cells=2.0, reduction="none")
    assert (got / exact - 1).abs().max() < 1e-6
    there = ((gy[..., None, :] @ pred)[..., 0, :] * gx).sum(-1)
    expanded = (pred.square().sum((-2, -1)) - 2 * there + gx.square().sum(-1) * gy.square().sum(-1)) / 64**2
    assert (expanded / exact - 1).abs().max() > 0.05


@BOTH
def test_gradients_of_all_inputs_once_and_twice(loss):
    maps, _, cells = case()
    points = torch.from_numpy(np.nan_to_num(cells, nan=3.0))[:, :, :]
    sigma = torch.full((2, 4, 2), 1.3, dtype=torch.float64) + 0.3 * torch.rand(2, 4, 2, dtype=torch.float64)
    maps, points, sigma = (
        maps[:1, :3, :4, :5].requires_grad_(),
        points[:1, :3].requires_grad_(),
        sigma[:1, :3].requires_grad_(),
    )
    state = torch.tensor([[1, 0, 4]])

    def function(m, p, s):
        return loss(m, p, sigma_cells=s, state=state, weight=torch.tensor([[2.0, 3.0, 0.5]], dtype=torch.float64))

    assert torch.autograd.gradcheck(function, (maps, points, sigma))
    assert torch.autograd.gradgradcheck(function, (maps, points, sigma))


@BOTH
def test_what_takes_no_part_reaches_neither_loss_nor_gradient(loss):
    """NaN in the points and in the maps of unlabelled channels; their gradient is exactly 0, not small."""
    maps, points, _ = case()
    maps, points = maps.float(), points.float()
    maps[1, 1], points[1, 1] = torch.nan, torch.inf
    clean = torch.where(maps.isnan(), 0.0, maps)
    weight = torch.ones(2, 4)
    weight[1, 1] = torch.nan
    found = []
    for these in (maps, clean):
        these = these.clone().requires_grad_()
        moving = points.clone().requires_grad_()
        value = loss(these, moving, FRAMES, sigma_cells=1.3, state=STATE, weight=weight)
        value.backward()
        assert value.isfinite()
        assert these.grad.isfinite().all()
        assert moving.grad.isfinite().all()
        assert (these.grad[1, 1] == 0).all()
        assert (moving.grad[1, 1] == 0).all()
        found.append((value, these.grad))
    assert torch.equal(found[0][0], found[1][0])
    # the path without gradients of the points gives the same
    plain = maps.clone().requires_grad_()
    loss(plain, points, FRAMES, sigma_cells=1.3, state=STATE, weight=weight).backward()
    torch.testing.assert_close(plain.grad, found[0][1])
    assert (plain.grad[1, 1] == 0).all()


def test_states():
    """Absent maps shall be 0 under MSE and take no part under cross-entropy; hidden points count as seen ones."""
    maps, at = torch.full((5, 4, 4), 0.3), torch.full((5, 2), 2.0)
    state = torch.tensor([State.UNLABELLED, State.LABELLED, State.OCCLUDED, State.OUT_OF_FRAME, State.ABSENT])
    each = losses.gaussian_mse(maps, at, sigma_cells=1.0, state=state, reduction="none")
    assert each[0] == 0
    assert each[1] == each[2] == each[3] > 0  # a state of OUT_OF_FRAME is judged anew: this point is inside
    assert each[4].item() == pytest.approx(0.09)
    each = losses.gaussian_cross_entropy(maps, at, sigma_cells=1.0, state=state, reduction="none")
    assert each.tolist() == [0, *[pytest.approx(math.log(16))] * 3, 0]
    same = losses.gaussian_mse(maps, Points(at, state=state), sigma_cells=1.0)
    assert same == losses.gaussian_mse(maps, at, sigma_cells=1.0, state=state)


@BOTH
def test_the_mean_is_over_what_is_active(loss):
    """A picture with fewer labels counts as much per label: the mean is over the active maps alone."""
    maps, at = torch.randn(1, 4, *SIZE), torch.rand(1, 4, 2) * 6
    state = torch.tensor([[1, 0, 1, 0]])
    each = loss(maps, at, sigma_cells=1.0, state=state, reduction="none")
    assert loss(maps, at, sigma_cells=1.0, state=state).item() == pytest.approx(each.sum().item() / 2)
    weight = torch.tensor([[2.0, 9.0, 0.5, 9.0]])
    assert loss(maps, at, sigma_cells=1.0, state=state, weight=weight).item() == pytest.approx(
        (2 * each[0, 0] + 0.5 * each[0, 2]).item() / 2
    )


@BOTH
@pytest.mark.parametrize("shape", [(1, 2), (0, 2), (2, 0)])
def test_nothing_is_active(loss, shape):
    maps = torch.randn(*shape, *SIZE).requires_grad_()
    value = loss(maps, torch.full((*shape, 2), torch.nan), sigma_cells=1.0)
    value.backward()
    assert value.item() == 0
    assert (maps.grad == 0).all()
    assert maps.grad.shape == maps.shape


def test_points_outside_by_every_policy():
    maps, at = torch.zeros(1, 5, 5), torch.tensor([[-2.0, 2.5]])
    at_edge = losses.gaussian_mse(maps, torch.tensor([[0.0, 2.5]]), sigma_cells=1.0)
    tail, background, clip, drop = (
        losses.gaussian_mse(maps, at, sigma_cells=1.0, off_frame=policy)
        for policy in ("tail", "background", "clip", "drop")
    )
    assert 0 < tail < at_edge
    assert (background, drop) == (0, 0)
    assert torch.equal(clip, at_edge)
    # background is supervised, drop is not
    ones = maps + 1
    assert losses.gaussian_mse(ones, at, sigma_cells=1.0, off_frame="background") == 1
    assert losses.gaussian_mse(ones, at, sigma_cells=1.0, off_frame="drop") == 0
    # far outside, the distribution draws on the nearest cells: never a silent 0
    far = losses.gaussian_cross_entropy(maps, torch.tensor([[-500.0, 2.0]]), sigma_cells=1.0)
    assert far.item() == pytest.approx(math.log(25))


@BOTH
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_sums_in_float32(loss, dtype, monkeypatch):
    """The value is that of the rounded maps in float64; the gradient is rounded once, at the end. In blocks too."""
    maps, at = torch.randn(6, 2, 64, 64).to(dtype).requires_grad_(), torch.rand(6, 2, 2) * 64
    exact_maps = maps.detach().double().requires_grad_()
    exact = loss(exact_maps, at.double(), sigma_cells=2.0, reduction="sum")
    exact.backward()
    for block in (1 << 19, 10_000):
        monkeypatch.setattr("isotherm.losses.blocks.BLOCK_VALUES", block)
        value = loss(maps, at, sigma_cells=2.0, reduction="sum")
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(exact.item(), rel=1e-6)
        (gradient,) = torch.autograd.grad(value, maps)
        assert gradient.dtype == dtype
        torch.testing.assert_close(gradient, exact_maps.grad.to(dtype))


@BOTH
def test_autocast_changes_nothing(loss):
    maps, at = torch.randn(2, 2, 32, 32).requires_grad_(), (torch.rand(2, 2, 2) * 32).requires_grad_()
    plain = torch.autograd.grad(loss(maps, at, sigma_cells=2.0), (maps, at))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(maps, at, sigma_cells=2.0)
        cast = torch.autograd.grad(value, (maps, at))
    assert torch.equal(value, loss(maps, at, sigma_cells=2.0))
    for a, b in zip(plain, cast, strict=True):
        torch.testing.assert_close(a, b)


@BOTH
def test_maps_in_any_memory_order(loss):
    maps, at = torch.randn(2, 3, 8, 8), torch.rand(2, 3, 2) * 8
    expected = loss(maps, at, sigma_cells=1.0)
    torch.testing.assert_close(loss(maps.to(memory_format=torch.channels_last), at, sigma_cells=1.0), expected)
    torch.testing.assert_close(loss(maps.mT.contiguous().mT, at, sigma_cells=1.0), expected)
    torch.testing.assert_close(loss(maps[:, None], at[:, None], sigma_cells=1.0), expected)  # any batch


@BOTH
@pytest.mark.parametrize(
    ("dtype", "most"), [(torch.float32, 1.05), (torch.bfloat16, 1.25)], ids=["float32", "bfloat16"]
)
def test_memory_beyond_the_prediction_and_its_gradient(loss, dtype, most):
    """No second map of the prediction's size: h + w numbers per map; in half precision, blocks more, where a copy would be 3."""
    maps, at = torch.zeros(128, 8, 128, 128, dtype=dtype, requires_grad=True), torch.rand(128, 8, 2) * 128
    gradient = maps.numel() * maps.element_size()
    assert gradient <= peak_bytes(lambda: loss(maps, at, sigma_cells=2.0).backward()) < most * gradient
    copies = peak_bytes(lambda: (maps[:2].double() + 1).sum())
    assert 2 * 8 <= copies / maps[:2].numel() < 17  # the measure itself: a copy in float64, and a sum beside it


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_cross_entropy_is_least_where_the_target_is(seed):
    """Gibbs: no map has a lower cross-entropy than the target's own logarithm, whose value is the target's entropy."""
    torch.manual_seed(seed)
    at = torch.rand(1, 2) * 8
    target = targets.gaussian(at, (8, 8), sigma_cells=1.0, kind="probability").heatmap.values.double()
    floor = losses.gaussian_cross_entropy(target.log(), at.double(), sigma_cells=1.0).item()
    assert floor == pytest.approx(-torch.xlogy(target, target).sum().item(), rel=1e-5)
    assert (
        losses.gaussian_cross_entropy(target.log() + 0.1 * torch.randn(1, 8, 8), at.double(), sigma_cells=1.0).item()
        >= floor
    )


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_flipping_picture_and_map_changes_nothing(seed):
    torch.manual_seed(seed)
    frame, maps = Frame.resize((48, 64), (6, 8)), torch.randn(3, 6, 8)
    at = torch.rand(3, 2) * torch.tensor([64.0, 48.0])
    for loss in (losses.gaussian_mse, losses.gaussian_cross_entropy):
        torch.testing.assert_close(
            loss(maps, at, frame, sigma_cells=1.0),
            loss(maps.flip(-1), at, frame.flipped(), sigma_cells=1.0),
            atol=1e-6,
            rtol=1e-5,
        )


@BOTH
def test_arrays_are_handed_on(loss):
    maps, _, cells = case()
    value = loss(maps.numpy(), np.nan_to_num(cells), sigma_cells=1.3)
    assert isinstance(value, np.floating)
    assert value == pytest.approx(loss(maps, torch.from_numpy(np.nan_to_num(cells)), sigma_cells=1.3).item())


MAPS, AT = torch.zeros(2, 4, 6, 8), torch.ones(2, 4, 2)


@pytest.mark.usefixtures("unchecked")
@BOTH
@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"points": AT[:1]}, ShapeError, "one map per point"),
        ({"points": AT.long()}, ShapeError, "floating point"),
        ({"maps": MAPS[0, 0]}, ShapeError, "with cells"),
        ({"maps": torch.zeros(2, 4, 0, 8)}, ShapeError, "with cells"),
        ({"maps": MAPS.long()}, ShapeError, "int64"),
        ({"frame": (8, 6)}, ShapeError, r"\(8, 6\) cells"),
        ({"frame": Frame.identity((5, 8))}, ShapeError, "frame of the maps"),
        ({"frame": Frame.stack([Frame.identity((6, 8))] * 3)}, ShapeError, "batch"),
        ({"state": torch.ones(2, 3, dtype=torch.long)}, ShapeError, "one for every point"),
        ({"weight": torch.ones(4)}, ShapeError, "one for every map"),
        ({"sigma_cells": 0.0}, OptionError, "above 0"),
        ({"sigma_cells": -1.0}, OptionError, "above 0"),
        ({"sigma_cells": math.nan}, OptionError, "above 0"),
        ({"sigma_cells": torch.ones(3)}, ShapeError, "one per point"),
        ({"reduction": "average"}, OptionError, "'average'; expected one of mean, sum, none"),
        ({"off_frame": "ignore"}, OptionError, "expected one of tail"),
    ],
)
def test_bad_input(loss, given, error, says):
    arguments = {"maps": MAPS, "points": AT, "frame": None, "sigma_cells": 1.0} | given
    with pytest.raises(error, match=says):
        loss(arguments.pop("maps"), arguments.pop("points"), arguments.pop("frame"), **arguments)


def test_a_distribution_has_no_background():
    with pytest.raises(OptionError, match="gaussian_mse"):
        losses.gaussian_cross_entropy(MAPS, AT, sigma_cells=1.0, off_frame="background")
