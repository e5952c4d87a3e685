"""The losses against target maps: by hand (in the docstrings), beside loops, states, kinds, gradients, precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from isotherm import losses, targets
from isotherm.errors import KindError, OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.points import State
from oracles import losses as slow

SIZE = (5, 6)
OF_PEAKS = [losses.mse, losses.focal, losses.adaptive_wing]
OF_SHARES = [losses.cross_entropy, losses.kl, losses.js]
EACH = pytest.mark.parametrize("loss", OF_PEAKS + OF_SHARES, ids=lambda f: f.__name__)
SLOW = {
    losses.mse: lambda p, t: ((p - t) ** 2).mean(),
    losses.focal: lambda p, t: slow.focal(p, t, 2.0, 4.0),
    losses.adaptive_wing: slow.adaptive_wing,
    losses.cross_entropy: lambda p, t: -(t * np.log(slow.softmax(p))).sum(),
    losses.kl: slow.kl,
    losses.js: slow.js,
}


def case(loss, seed=0):
    """Float64 predictions and targets of the right kind, peaks on cells."""
    generator = torch.Generator().manual_seed(seed)
    pred = torch.randn(2, 3, *SIZE, generator=generator).double()
    at = torch.randint(0, 5, (2, 3, 2), generator=generator).double() + 0.5
    kind = "peak" if loss in OF_PEAKS else "probability"
    return pred, targets.gaussian(at, SIZE, sigma_cells=1.2, kind=kind)


@EACH
def test_beside_loops(loss):
    pred, target = case(loss)
    got = loss(pred, target, reduction="none")
    for index in np.ndindex(2, 3):
        assert got[index].item() == pytest.approx(
            SLOW[loss](pred[index].numpy(), target.heatmap.values[index].numpy()), rel=1e-10
        )
    assert loss(pred, target).item() == pytest.approx(
        (got.sum() / 6).item()
    )  # one positive per map, for the focal loss too
    for form in (target.heatmap, target.heatmap.values):
        assert torch.equal(loss(pred, form), loss(pred, target))


def test_parity_with_torch():
    """torch 2.x: F.mse_loss, F.cross_entropy and F.kl_div, 1e-12 in float64."""
    pred, target = case(losses.mse)
    torch.testing.assert_close(losses.mse(pred, target), F.mse_loss(pred, target.heatmap.values))
    pred, target = case(losses.kl)
    flat, goal = pred.flatten(0, 1).flatten(1), target.heatmap.values.flatten(0, 1).flatten(1)
    torch.testing.assert_close(losses.cross_entropy(pred, target), F.cross_entropy(flat, goal))
    torch.testing.assert_close(losses.kl(pred, target), F.kl_div(flat.log_softmax(-1), goal, reduction="batchmean"))


@pytest.mark.parametrize("loss", [losses.mse, losses.cross_entropy])
def test_equal_to_the_target_free_ones(loss):
    pred, target = case(loss)
    free = losses.gaussian_mse if loss is losses.mse else losses.gaussian_cross_entropy
    generator = torch.Generator().manual_seed(0)
    torch.randn(2, 3, *SIZE, generator=generator)
    at = torch.randint(0, 5, (2, 3, 2), generator=generator).double() + 0.5
    state = torch.tensor([[1, 0, 2], [1, 1, 4]])
    target = targets.gaussian(at, SIZE, sigma_cells=1.2, kind=target.heatmap.kind, state=state)
    for reduction in ("mean", "sum", "none"):
        torch.testing.assert_close(
            loss(pred, target, reduction=reduction), free(pred, at, sigma_cells=1.2, state=state, reduction=reduction)
        )


def test_one_softmax_per_map():
    """Three views in one softmax would let a sure view pay for the others; with maps of zeros it is ln(3 h w), not ln(h w)."""
    _, target = case(losses.cross_entropy)
    assert losses.cross_entropy(torch.zeros(2, 3, *SIZE), target).item() == pytest.approx(math.log(30), rel=1e-6)


@EACH
def test_what_takes_no_part(loss):
    """NaN in an unlabelled map and its target; gradients exactly 0 there and finite elsewhere."""
    pred, target = case(loss)
    pred, values = pred.float(), target.heatmap.values.float().clone()
    state = torch.tensor([[1, 0, 1], [2, 1, 1]])
    pred[0, 1], values[0, 1] = torch.nan, torch.nan
    pred.requires_grad_()
    value = loss(pred, values, state=state)
    value.backward()
    assert value.isfinite()
    assert pred.grad.isfinite().all()
    assert (pred.grad[0, 1] == 0).all()
    each = loss(pred, values, state=state, reduction="none")
    assert value.item() == pytest.approx(each.sum().item() / 5)
    weight = torch.tensor([[2.0, torch.nan, 0.0], [1.0, 1.0, 1.0]])
    assert loss(pred, values, state=state, weight=weight, reduction="sum").isfinite()


@EACH
@pytest.mark.parametrize("shape", [(2, 3), (0, 3), (2, 0)])
def test_nothing_is_active(loss, shape):
    pred = torch.randn(*shape, *SIZE, requires_grad=True)
    value = loss(pred, torch.full((*shape, *SIZE), torch.nan), state=torch.zeros(shape, dtype=torch.long))
    value.backward()
    assert value.item() == 0
    assert (pred.grad == 0).all()


@EACH
def test_gradients(loss):
    pred, target = case(loss)
    pred = pred[:1, :2].clone().requires_grad_()
    values = target.heatmap.values[:1, :2]
    assert torch.autograd.gradcheck(lambda p: loss(p, values, weight=torch.tensor([[0.7, 2.0]])), pred)


@EACH
def test_half_precision_sums_in_float32(loss):
    pred, target = case(loss)
    pred = pred.bfloat16().requires_grad_()
    value = loss(pred, target.heatmap.values.float())
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(pred.detach().double(), target.heatmap.values).item(), rel=1e-5)
    value.backward()
    assert pred.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("loss", [losses.focal, losses.kl, losses.js, losses.cross_entropy], ids=lambda f: f.__name__)
def test_sure_and_wrong_logits_keep_a_finite_gradient(loss):
    """Logits of 1e4 at the wrong cell: sigmoid and softmax are 0 and 1 in float32, the loss must still know the way back."""
    values = torch.zeros(1, 1, 2)
    values[..., 0] = 1
    pred = torch.tensor([[[-1e4, 1e4]]], requires_grad=True)
    value = loss(pred, values)
    value.backward()
    assert value.isfinite()
    assert pred.grad.isfinite().all()
    if loss is not losses.js:  # bounded by ln 2, so flat where the two have nothing in common
        assert (pred.grad.abs() > 0.1).all()


def test_js_is_symmetric_and_bounded():
    p, q = (torch.rand(2, 1, 1, 8).double() + 0.01).unbind()
    p, q = p / p.sum(), q / q.sum()
    assert losses.js(p.log(), q).item() == pytest.approx(losses.js(q.log(), p).item())
    assert 0 < losses.js(p.log(), q) < math.log(2)


def test_a_mixture_is_a_target():
    """One state per map of many points; a picture that is known to show none takes no part in a distribution."""
    points = torch.tensor([[[1.0, 1.0], [4.0, 3.0]], [[2.0, 2.0], [3.0, 3.0]]])
    state = torch.tensor([[1, 1], [4, 4]])
    target = targets.mixture(points, SIZE, sigma_cells=1.0, state=state)
    logits = torch.randn(2, *SIZE)
    each = losses.cross_entropy(logits, target, reduction="none")
    assert each[0] > 0
    assert each[1] == 0


def test_silent_zeros_are_refused():
    """A target of all zeros would give no loss and no word about it."""
    with pytest.raises(OptionError, match=r"sums to 0;.*silently give no loss"):
        losses.cross_entropy(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2))
    with pytest.raises(OptionError, match="sums to 4"):
        losses.kl(torch.zeros(1, 2, 2), torch.ones(1, 2, 2))
    state = torch.tensor([State.ABSENT])
    assert losses.cross_entropy(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2), state=state) == 0


def test_a_peak_between_cells_is_no_positive():
    at = torch.tensor([[2.0, 2.0]])
    with pytest.raises(OptionError, match="no cell of 1"):
        losses.focal(torch.zeros(1, *SIZE), targets.gaussian(at, SIZE, sigma_cells=1.0))


@pytest.mark.parametrize("loss", OF_PEAKS, ids=lambda f: f.__name__)
def test_kinds_peak(loss):
    share = Heatmap(torch.full((1, *SIZE), 1 / 30), Frame.identity(SIZE), "probability")
    with pytest.raises(KindError, match="'probability'; this operation needs 'peak'"):
        loss(torch.zeros(1, *SIZE), share)


@pytest.mark.parametrize("loss", OF_SHARES, ids=lambda f: f.__name__)
def test_kinds_probability(loss):
    peak = targets.gaussian(torch.tensor([[2.0, 2.0]]), SIZE, sigma_cells=1.0)
    with pytest.raises(KindError, match="'peak'; this operation needs 'probability'"):
        loss(torch.zeros(1, *SIZE), peak)


@pytest.mark.usefixtures("unchecked")
@EACH
@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"pred": torch.zeros(5)}, ShapeError, "with cells"),
        ({"pred": torch.zeros(2, 0, 4)}, ShapeError, "with cells"),
        ({"pred": torch.zeros(2, 3, *SIZE).long()}, ShapeError, "int64"),
        ({"target": torch.zeros(2, 4, *SIZE)}, ShapeError, "expected the same"),
        ({"state": torch.ones(3, dtype=torch.long)}, ShapeError, "one for every map"),
        ({"weight": torch.ones(3)}, ShapeError, "one for every map"),
        ({"reduction": "avg"}, OptionError, "'avg'"),
    ],
)
def test_bad_input(loss, given, error, says):
    _, target = case(loss)
    arguments = {"pred": torch.zeros(2, 3, *SIZE), "target": target.heatmap.values.float()} | given
    with pytest.raises(error, match=says):
        loss(arguments.pop("pred"), arguments.pop("target"), **arguments)


def test_bad_parameters():
    pred, target = case(losses.focal)
    with pytest.raises(OptionError, match="alpha is -1"):
        losses.focal(pred, target, alpha=-1)
    with pytest.raises(OptionError, match="alpha above 2"):
        losses.adaptive_wing(pred, target, alpha=2.0)
    with pytest.raises(ShapeError, match="states of its own"):
        losses.mse(pred, target, state=target.state)
