"""Targets and losses of arrays: by hand, beside loops and tensors, compiled, with gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm import arrays, losses, targets
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.points import State
from oracles import arrays as oracle
from rigs.breadth import wide

SIZE = (6, 8)
FRAMES = Frame.stack([Frame.letterbox((40, 60), SIZE).flipped(), Frame.resize((33, 70), SIZE).rotated(20)])
STATE = np.array([[1, 2, 3, 1], [4, 0, 1, 1]])
LOSSES = ["gaussian_mse", "gaussian_cross_entropy"]


def case(seed=0):
    """Maps, points in source pixels (some of them outside, the unknown ones NaN), the same points in cells."""
    random = np.random.default_rng(seed)
    cells = random.uniform(-1, 7, (2, 4, 2))
    cells[STATE == State.UNLABELLED] = np.nan
    cells[STATE == State.ABSENT] = np.nan
    return random.normal(size=(2, 4, *SIZE)), FRAMES.points_to_source(torch.from_numpy(cells)).numpy(), cells


def tolerance(array):
    return {"atol": 1e-5 if array.dtype == "float32" else 1e-10, "rtol": 1e-5}


@pytest.mark.parametrize("make", ["numpy-64", "jax-32", *wide(["numpy-32", "jax-64"])], indirect=True)
@pytest.mark.parametrize("kind", ["peak", "probability"])
def test_targets_beside_loops(make, kind):
    _, points, cells = case()
    got = arrays.gaussian(make(points), FRAMES, sigma_cells=1.3, kind=kind, state=make(STATE))
    assert got.dtype == make(points).dtype
    for index in np.ndindex(2, 4):
        known = STATE[index] not in (State.UNLABELLED, State.ABSENT)
        expected = oracle.gaussian_map(*cells[index], 1.3, 1.3, *SIZE, kind=kind) if known else np.zeros(SIZE)
        np.testing.assert_allclose(got[index], expected, **tolerance(got))


@pytest.mark.parametrize("make", ["numpy-64", "jax-32"], indirect=True)
def test_targets_by_hand_and_sigma_per_axis(make):
    got = arrays.gaussian(make([[1.5, 0.5]]), (2, 3), sigma_cells=make([[1.0, 2.0]]))
    row = np.exp([-0.5, 0, -0.5])
    np.testing.assert_allclose(got[0], [row, row * np.exp(-1 / 8)], rtol=1e-6)


@pytest.mark.parametrize("make", ["numpy-64", "jax-32"], indirect=True)
@pytest.mark.parametrize("kind", ["peak", "probability"])
def test_targets_equal_to_tensors(make, kind):
    version = targets.gaussian
    points = case()[1][:, 2:]
    got = arrays.gaussian(make(points), FRAMES, sigma_cells=1.3, kind=kind)
    expected = version(torch.from_numpy(np.array(make(points))), FRAMES, sigma_cells=1.3, kind=kind)
    expected = getattr(expected, "heatmap", expected).values
    np.testing.assert_allclose(got, expected.numpy(), **tolerance(got))


@pytest.mark.parametrize("make", ["numpy-64", "jax-32"], indirect=True)
@pytest.mark.parametrize("name", LOSSES)
def test_losses_beside_loops(make, name):
    maps, points, cells = case()
    slow = {"gaussian_mse": oracle.mse, "gaussian_cross_entropy": oracle.cross_entropy}[name]
    got = getattr(arrays, name)(make(maps), make(points), FRAMES, sigma_cells=1.3, state=make(STATE))
    assert got.shape == ()
    np.testing.assert_allclose(
        got, slow(maps, cells, 1.3, STATE), rtol=1e-5 if make(maps).dtype == "float32" else 1e-10
    )


@pytest.mark.parametrize("make", ["numpy-64", "jax-32"], indirect=True)
@pytest.mark.parametrize(
    "weight", [None, np.array([[1.0, 2.0, 0.5, 0.0], [3.0, 1.0, 1.0, 0.2]])], ids=["plain", "weighted"]
)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_equal_to_tensors(make, name, reduction, weight):
    version = getattr(losses, name)
    maps, points, _ = case()
    maps, points = make(maps), make(points)

    def tensor(a):
        return None if a is None else torch.from_numpy(np.array(a))

    weight = None if weight is None else make(weight)
    got = getattr(arrays, name)(
        maps, points, FRAMES, sigma_cells=1.3, state=make(STATE), weight=weight, reduction=reduction
    )
    expected = version(
        tensor(maps),
        tensor(points),
        FRAMES,
        sigma_cells=1.3,
        state=torch.from_numpy(STATE),
        weight=tensor(weight),
        reduction=reduction,
    )
    np.testing.assert_allclose(got, expected.numpy(), **tolerance(got))


@pytest.mark.parametrize("name", LOSSES)
def test_gradients(jax64, name):
    """Compiled; beside differences; 0 and not NaN for the maps that take no part, even if they hold NaN."""
    maps, points, _ = case()
    maps[1, 1] = np.nan

    def loss(m, p):
        return getattr(arrays, name)(m, p, FRAMES, sigma_cells=1.3, state=STATE_J)

    def moved(values, index, by):
        values = values.copy()
        values[index] += by
        return xp.asarray(values)

    STATE_J, xp = jax64.numpy.asarray(STATE), jax64.numpy
    maps_j, points_j, value = xp.asarray(maps), xp.asarray(points), jax64.jit(loss)
    by_map, by_point = jax64.jit(jax64.grad(loss, argnums=(0, 1)))(maps_j, points_j)
    assert (np.asarray(by_map[1, 1]) == 0).all()
    assert (np.asarray(by_point)[STATE == State.UNLABELLED] == 0).all()
    assert np.isfinite(by_point).all()
    step = 1e-6
    for index in [(0, 0, 2, 3), (0, 2, 0, 0), (1, 2, 5, 7)]:
        up, down = (value(moved(maps, index, s), points_j) for s in (step, -step))
        assert float(by_map[index]) == pytest.approx(float(up - down) / (2 * step), abs=1e-8)
    for index in [(0, 0, 0), (1, 3, 1)]:
        up, down = (value(maps_j, moved(points, index, s)) for s in (step, -step))
        assert float(by_point[index]) == pytest.approx(float(up - down) / (2 * step), abs=1e-8)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_equal_to_tensors(jax64, name):
    version = getattr(losses, name)
    maps, points, _ = case()
    state = jax64.numpy.asarray(STATE)
    gradient = jax64.grad(
        lambda m: getattr(arrays, name)(m, jax64.numpy.asarray(points), FRAMES, sigma_cells=1.3, state=state)
    )
    got = jax64.jit(gradient)(jax64.numpy.asarray(maps))
    tensor = torch.from_numpy(maps).requires_grad_()
    version(tensor, torch.from_numpy(points), FRAMES, sigma_cells=1.3, state=torch.from_numpy(STATE)).backward()
    np.testing.assert_allclose(got, tensor.grad.numpy(), atol=1e-10)


@pytest.mark.parametrize("make", ["numpy-64", "jax-32"], indirect=True)
@pytest.mark.parametrize("name", LOSSES)
def test_nothing_takes_part(make, name):
    maps, points = (make(np.full_like(values, np.nan)) for values in case()[:2])
    state = make(np.zeros(STATE.shape, dtype=int))
    assert float(getattr(arrays, name)(maps, points, FRAMES, sigma_cells=1.3, state=state)) == 0


@pytest.mark.parametrize("make", ["numpy-64", "jax-32"], indirect=True)
def test_the_floor_of_the_cross_entropy_is_the_targets_entropy(make):
    p = oracle.gaussian_map(2.2, 1.4, 1.0, 1.0, 4, 5, kind="probability")
    got = arrays.gaussian_cross_entropy(make(np.log(p)[None]), make([[2.2, 1.4]]), sigma_cells=1.0)
    assert float(got) == pytest.approx(-(p * np.log(p)).sum(), rel=1e-5)
    far = arrays.gaussian_cross_entropy(make(np.zeros((1, 4, 5))), make([[-500.0, 2.0]]), sigma_cells=1.0)
    assert float(far) == pytest.approx(np.log(20), rel=1e-5)  # not a silent 0


@pytest.mark.usefixtures("unchecked")
def test_bad_input():
    maps, points = np.zeros((2, 4, *SIZE)), np.ones((2, 4, 2))
    with pytest.raises(OptionError, match="finite numbers above 0"):
        arrays.gaussian(points, SIZE, sigma_cells=0)
    with pytest.raises(OptionError, match="'peak' or 'probability'"):
        arrays.gaussian(points, SIZE, sigma_cells=1, kind="logits")
    with pytest.raises(ShapeError, match="one per point"):
        arrays.gaussian(points, SIZE, sigma_cells=np.ones(3))
    with pytest.raises(ShapeError, match="one for every point"):
        arrays.gaussian(points, SIZE, sigma_cells=1, state=np.ones((2, 3), dtype=int))
    with pytest.raises(ShapeError, match=r"\(\*batch, n, 2\)"):
        arrays.gaussian(np.ones((2, 3)), SIZE, sigma_cells=1)
    for name in LOSSES:
        loss = getattr(arrays, name)
        with pytest.raises(ShapeError, match=r"points \(2, 3, 2\)"):
            loss(maps, points[:, :3], sigma_cells=1)
        with pytest.raises(ShapeError, match="give the frame of the maps"):
            loss(maps, points, Frame.identity((3, 3)), sigma_cells=1)
        with pytest.raises(OptionError, match="one of mean, sum, none"):
            loss(maps, points, sigma_cells=1, reduction="max")
        with pytest.raises(ShapeError, match="one for every map"):
            loss(maps, points, sigma_cells=1, weight=np.ones(4))
