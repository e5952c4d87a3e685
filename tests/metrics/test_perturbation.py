"""Deletion and insertion: hand-computed, against loops, optimal for true contributions, nothing for random maps."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch

from isotherm.errors import KindError, OptionError, ShapeError
from isotherm.metrics import blur_fill, compare, deletion, insertion, mean_fill, random_maps
from isotherm.metrics.perturbation import Curves, shares
from isotherm.metrics.references import mix
from isotherm.ops.hashing import pixels_key
from oracles.faithfulness import area, curve


def linear(weights):
    """Score target i as the sum of weights[i] * picture."""

    def score(pictures, target):
        return (pictures * weights[target]).sum((1, 2, 3))

    return score


def test_by_hand():
    picture = torch.tensor([[[[4.0, 1.0], [0.0, 3.0]]]])
    total = linear(torch.ones(1, 1, 2, 2))
    down = deletion(picture[:, 0], picture, total, fill=torch.zeros(1), steps=4)
    assert down.scores.tolist() == [[8, 4, 1, 0, 0]]
    assert down.fractions.tolist() == [[0, 0.25, 0.5, 0.75, 1]]
    assert down.auc.item() == 0.25 * (8 / 2 + 4 + 1)
    assert down.normalised_auc.item() == 0.25 * (8 / 2 + 4 + 1) / 8
    up = insertion(picture[:, 0], picture, total, fill=torch.ones(1), steps=4)
    assert up.scores.tolist() == [[4, 7, 9, 9, 8]]
    assert (up.whole.item(), up.empty.item()) == (8, 4)
    assert up.normalised_auc.item() == (0.25 * (2 + 7 + 9 + 9 + 4) - 4) / 4


@pytest.mark.parametrize("insert", [False, True])
def test_equals_the_loop(insert):
    pictures, maps = torch.randn(3, 2, 6, 9), torch.randn(3, 6, 9)
    weights = torch.randn(3, 2, 6, 9)
    fill = torch.randn(3, 2, 6, 9)

    def score(x, target):
        return (x * weights[target]).sum((1, 2, 3)).sigmoid()

    way = insertion if insert else deletion
    got = way(maps, pictures, score, fill=fill, steps=7, batch=4)
    for i in range(3):
        want = curve(
            maps[i].numpy(),
            pictures[i].numpy(),
            fill[i].numpy(),
            lambda x, i=i: 1 / (1 + np.exp(-(x * weights[i].numpy()).sum())),
            7,
            insert,
        )
        assert np.abs(got.scores[i].numpy() - want).max() < 1e-6
        assert got.auc[i].item() == pytest.approx(area(want, got.fractions[i].tolist()), abs=1e-6)


def test_true_contributions_are_optimal_among_all_orders():
    picture = torch.tensor([[[[3.0, -2, 0.5], [1, 4, -1]]]])
    score = linear(torch.ones(1, 1, 2, 3))
    fill = torch.zeros(1)
    truth = deletion(picture[:, 0], picture, score, fill=fill, steps=6).auc.item()
    best = insertion(picture[:, 0], picture, score, fill=fill, steps=6).auc.item()
    orders = torch.tensor(list(permutations(range(6)))).float().reshape(-1, 2, 3)
    zeros = torch.zeros(len(orders), dtype=torch.long)

    def same(x, target):
        return x.sum((1, 2, 3))

    down = deletion(orders, picture, same, fill=fill, steps=6, picture=zeros, batch=512).auc
    up = insertion(orders, picture, same, fill=fill, steps=6, picture=zeros, batch=512).auc
    assert len(orders) == 720
    assert down.min().item() == pytest.approx(truth)
    assert up.max().item() == pytest.approx(best)
    assert down.max().item() > truth + 1


def test_only_the_order_counts():
    pictures = torch.randn(2, 1, 8, 8)
    maps = torch.randn(2, 8, 8)
    maps[:, :3] = 0.0
    score = linear(torch.rand(2, 1, 8, 8))
    one = deletion(maps, pictures, score, fill=torch.zeros(1))
    for same in (maps * 7 - 2, maps.exp(), maps**3):
        assert torch.equal(one.scores, deletion(same, pictures, score, fill=torch.zeros(1)).scores)
    assert not torch.equal(one.scores, deletion(-maps, pictures, score, fill=torch.zeros(1)).scores)


def test_batches_change_nothing_and_bound_what_the_model_sees():
    pictures, maps = torch.randn(2, 1, 8, 8), torch.randn(3, 8, 8)
    weights, seen = torch.rand(3, 1, 8, 8), []

    def score(x, target):
        seen.append(len(x))
        assert not torch.is_grad_enabled()
        return linear(weights)(x, target)

    row = torch.tensor([1, 0, 1])
    results = [deletion(maps, pictures, score, fill=torch.zeros(1), picture=row, batch=b).scores for b in (1, 5, 1000)]
    assert torch.allclose(results[0], results[1], atol=1e-5)
    assert torch.allclose(results[0], results[2], atol=1e-5)
    assert max(seen[: seen.index(5)]) == 1
    # target 2 is about picture 1
    assert results[0][2, 0].item() == pytest.approx((pictures[1] * weights[2]).sum().item(), abs=1e-5)


def test_a_region_keeps_the_letterbox_out():
    picture = torch.ones(1, 1, 4, 6)
    region = torch.zeros(1, 4, 6, dtype=torch.bool)
    region[:, :, 1:5] = True
    ramp = torch.arange(24.0).reshape(1, 4, 6)
    score = linear(torch.ones(1, 1, 4, 6))
    down = deletion(ramp, picture, score, fill=torch.zeros(1), steps=4, region=region)
    assert down.scores.tolist() == [[24, 20, 16, 12, 8]]  # 16 pixels may go, 8 stay to the end
    up = insertion(ramp, picture, score, fill=torch.zeros(1), steps=4, region=region)
    assert up.scores.tolist() == [[8, 12, 16, 20, 24]]


def test_cells_go_together():
    picture = torch.arange(16.0).reshape(1, 1, 4, 4)
    down = deletion(picture[:, 0], picture, linear(torch.ones(1, 1, 4, 4)), fill=torch.zeros(1), steps=4, cells=(2, 2))
    # cell sums: 0+1+4+5, 2+3+6+7, 8+9+12+13, 10+11+14+15
    assert down.scores.tolist() == [[120, 70, 28, 10, 0]]


def test_normalised_area_is_nan_where_there_is_nothing_to_lose():
    picture = -torch.ones(1, 1, 4, 4)
    curves = deletion(torch.randn(1, 4, 4), picture, linear(torch.ones(1, 1, 4, 4)), fill=torch.zeros(1), steps=4)
    assert curves.normalised_auc.isnan().all()
    assert torch.isfinite(curves.auc).all()


def test_random_maps_gain_nothing_and_the_truth_gains_much():
    torch.manual_seed(3)
    t, size, grid = 60, (16, 16), (4, 4)
    pictures, weights = torch.rand(t, 1, *size), torch.rand(t, 1, *size)
    score, fill = linear(weights), torch.zeros(1)
    nothing = compare(
        random_maps(t, size, grid=grid, seed=99), pictures, score, fill=fill, grid=grid, orders=4, steps=8
    )
    for side in (nothing.deletion, nothing.insertion):
        found = side.interval()
        assert found.n == t
        assert abs(found.mean) < 0.01
        assert found.low < 0 < found.high
    truth = compare((pictures * weights)[:, 0], pictures, score, fill=fill, grid=grid, orders=4, steps=8)
    for side in (truth.deletion, truth.insertion):
        assert side.interval().low > 0.15
        assert (side.advantage > 0.1).all()
        assert side.random.auc.shape == (t, 4)
        assert side.centre is not None


def test_insertion_by_the_reversed_random_run_is_what_a_run_of_its_own_gives():
    pictures, weights = torch.rand(2, 1, 12, 12), torch.rand(2, 1, 12, 12)
    score, fill = linear(weights), torch.zeros(1)
    both = compare(torch.rand(2, 12, 12), pictures, score, fill=fill, grid=(3, 3), orders=2, steps=5, seed=4)
    field = random_maps(1, (12, 12), grid=(3, 3), seed=mix(4, pixels_key(pictures[1]), 0))
    own = insertion(-field, pictures[1:], lambda x, i: score(x, i + 1), fill=fill, steps=5)
    assert torch.allclose(both.insertion.random.scores[1, 0], own.scores[0], atol=1e-4)
    assert torch.allclose(both.insertion.random.auc[1, 0], own.auc[0], atol=1e-4)
    # nine pixels in two steps: deletion takes five first, so its reverse puts four back first
    odd = compare(
        torch.rand(1, 3, 3),
        pictures[:1, :, :3, :3],
        lambda x, i: x.sum((1, 2, 3)),
        fill=fill,
        grid=(3, 3),
        orders=2,
        steps=2,
    )
    assert odd.deletion.random.fractions[0, 0].tolist() == pytest.approx([0, 5 / 9, 1])
    assert odd.insertion.random.fractions[0, 0].tolist() == pytest.approx([0, 4 / 9, 1])


def test_an_object_in_the_centre_makes_the_centre_a_strong_opponent():
    picture = torch.zeros(1, 1, 20, 20)
    picture[..., 6:14, 6:14] = 1
    both = compare(picture[:, 0], picture, linear(torch.ones(1, 1, 20, 20)), fill=torch.zeros(1), grid=(5, 5), orders=6)
    assert both.deletion.centre.normalised_auc.item() < both.deletion.random.normalised_auc.mean().item() - 0.2
    assert both.insertion.centre.normalised_auc.item() > both.insertion.random.normalised_auc.mean().item() + 0.2


def test_fills():
    pictures = torch.rand(2, 3, 20, 24)
    assert torch.allclose(mean_fill(pictures)[1, 2], pictures[1, 2].mean().expand(20, 24))
    point = torch.zeros(1, 1, 41, 41)
    point[..., 20, 20] = 1
    soft = blur_fill(point, sigma=3.0)
    assert soft.sum().item() == pytest.approx(1, abs=1e-5)
    assert soft[0, 0, 20, 23].item() / soft[0, 0, 20, 20].item() == pytest.approx(np.exp(-0.5), rel=1e-4)
    assert torch.allclose(blur_fill(torch.full((1, 1, 9, 9), 4.0), sigma=5.0), torch.full((1, 1, 9, 9), 4.0), atol=1e-5)


def test_mistakes(unchecked):
    picture, one = torch.zeros(1, 1, 4, 4), linear(torch.ones(1, 1, 4, 4))
    nan = torch.full((1, 4, 4), torch.nan)
    with pytest.raises(KindError, match="NaN or infinite"):
        deletion(nan, picture, one, fill=torch.zeros(1))
    with pytest.raises(ShapeError, match="model's input first"):
        deletion(torch.zeros(1, 2, 2), picture, one, fill=torch.zeros(1))
    with pytest.raises(ShapeError, match="picture="):
        deletion(torch.zeros(2, 4, 4), picture, one, fill=torch.zeros(1))
    with pytest.raises(ShapeError, match="fill has shape"):
        deletion(torch.zeros(1, 4, 4), picture, one, fill=torch.zeros(3))
    with pytest.raises(OptionError, match="steps"):
        deletion(torch.zeros(1, 4, 4), picture, one, fill=torch.zeros(1), steps=17)
    with pytest.raises(OptionError, match="batch"):
        deletion(torch.zeros(1, 4, 4), picture, one, fill=torch.zeros(1), batch=0)
    with pytest.raises(ShapeError, match="one number each"):
        deletion(torch.zeros(1, 4, 4), picture, lambda x, t: x, fill=torch.zeros(1))
    with pytest.raises(OptionError, match="at least two"):
        compare(torch.zeros(1, 4, 4), picture, one, fill=torch.zeros(1), grid=(2, 2), orders=1)
    with pytest.raises(OptionError, match="sigma"):
        blur_fill(picture, sigma=0)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([4.0, 3.0, 2.0], ((0.0, 1.0, 1.0), (0.5, 0.5, 0.25), (1.0, 0.0, 0.0))),
        ([2.0, 3.0, 2.0], ()),  # nothing to lose
        ([4.0, torch.nan, 2.0], ()),
    ],
)
def test_points_that_can_be_drawn(scores, expected):
    at = torch.tensor([0.0, 0.5, 1.0])
    one = Curves(at, torch.tensor(scores), torch.tensor(scores[0]), torch.tensor(2.0))
    # as random orders that go in other parts: their mean is read where the map's own points are
    orders = Curves(
        torch.tensor([[0.0, 0.25, 1.0], [0.0, 0.5, 1.0]]),
        torch.tensor([[4.0, 2.0, 2.0], [4.0, 3.0, 2.0]]),
        torch.tensor([4.0, 4.0]),
        torch.tensor([2.0, 2.0]),
    )
    assert shares(one, orders) == expected
