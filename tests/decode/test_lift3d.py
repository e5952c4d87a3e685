"""From views to a point of the world: by hand, against dense volumes, cameras against views along the axes, bad input."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.decode import cameras as cameras_module
from isotherm.decode.cameras import FRONT, RIGHT, TOP, Cameras, OrthographicView
from isotherm.decode.lift3d import lift_orthographic, lift_perspective
from isotherm.errors import FrameError, KindError, OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from oracles import heads as oracle

VIEWS = (TOP, FRONT, RIGHT)


def gaussian_logits(centres, size, sigma):
    """(v, 2) in cells -> (v, h, w) logits of Gaussians."""
    h, w = size
    y, x = torch.meshgrid(
        torch.arange(h, dtype=torch.float64) + 0.5, torch.arange(w, dtype=torch.float64) + 0.5, indexing="ij"
    )
    return torch.stack([-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2) for cx, cy in centres])


def seen_by(view, xyz, size):
    """Where a view of the cube [-1, 1]^3 shows a point, (x, y) in cells."""
    h, w = size
    unit = {a: (v + 1) / 2 for a, v in zip("xyz", xyz, strict=True)}
    along = [unit[s[1]] if s[0] == "+" else 1 - unit[s[1]] for s in (view.columns, view.rows)]
    return along[0] * w, along[1] * h


def centres(low, high, count):
    return low + (np.arange(count) + 0.5) / count * (high - low)


def log_softmax(values):
    return values.flatten(-2).log_softmax(-1).view_as(values).numpy()


def look_at(eye, *, focal=60.0, size=(32, 40)):
    """A camera at ``eye`` that looks at the origin, z of the world up."""
    eye = torch.tensor(eye, dtype=torch.float64)
    forward = -eye / eye.norm()
    right = torch.linalg.cross(forward, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    right = right / right.norm()
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward])
    K = torch.tensor([[focal, 0, size[1] / 2], [0, focal, size[0] / 2], [0, 0, 1]], dtype=torch.float64)
    return K, rotation, -rotation @ eye


def rig(*eyes, **kw):
    return Cameras(*(torch.stack(p) for p in zip(*[look_at(e, **kw) for e in eyes], strict=True)))


EYES = ([3.0, 0.5, 1.0], [0.3, -3.0, 1.5], [-2.0, 2.0, 2.5])


def test_axes_by_hand():
    # one bright cell per view of a box 8 x 6 x 4, cells are units: x 2..3, y 4..5, z 1..2
    maps = torch.full((3, 8, 8), -30.0)
    box = torch.tensor([[0.0, 0, 0], [8, 8, 8]])
    maps[0, 7 - 4, 2] = maps[1, 7 - 1, 4] = maps[2, 7 - 1, 2] = 0.0
    lifted = lift_orthographic(maps, bounds=box)
    assert lifted.xyz.tolist() == [2.5, 4.5, 1.5]
    assert lifted.disagreement.item() == pytest.approx(0, abs=1e-5)
    assert lifted.score.item() == pytest.approx(1, abs=1e-5)
    assert torch.allclose(lifted.covariance, torch.zeros(3, 3), atol=1e-6)
    # a view with axes of its own: the top view seen from below, turned
    turned = maps.clone()
    turned[0] = maps[0].flip(0).T
    views = (OrthographicView(columns="+y", rows="+x"), FRONT, RIGHT)
    assert torch.equal(lift_orthographic(turned, views=views, bounds=box).xyz, lifted.xyz)


@pytest.mark.parametrize("fusion", ["product", "mean"])
@pytest.mark.parametrize(("size", "voxels"), [((7, 7), None), ((6, 9), (5, 8, 7))])
def test_the_dense_volume(fusion, size, voxels):
    maps = torch.randn(3, *size, dtype=torch.float64) * 2
    lifted = lift_orthographic(maps, resolution=voxels, fusion=fusion)
    counts = voxels or (7, 7, 7)
    axes = [centres(-1, 1, n) for n in counts]
    logs = log_softmax(maps)

    def place(view, xyz):
        return seen_by(VIEWS[view], xyz, size)

    dense = oracle.volume(logs, place, axes)
    ranked = dense.sum(0) if fusion == "product" else oracle.volume(np.exp(logs), place, axes).mean(0)
    best = np.unravel_index(ranked.argmax(), ranked.shape)
    step = 2 / np.array(counts)
    at = np.array([a[i] for a, i in zip(axes, best, strict=True)])
    assert (np.abs(lifted.xyz.numpy() - at) <= step / 2 + 1e-12).all()
    mean, covariance = oracle.posterior(dense, axes)
    assert np.allclose(lifted.mean, mean, atol=1e-10)
    assert np.allclose(lifted.covariance, covariance, atol=1e-10)
    index = (slice(None), *best)
    assert lifted.score.item() == pytest.approx(np.exp(dense[index].mean()) if fusion == "product" else ranked.max())
    short = np.maximum(logs.max((1, 2)) - dense[index], 0).mean()
    assert lifted.disagreement.item() == pytest.approx(short)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-0.7, 0.7), min_size=3, max_size=3), st.floats(1.2, 2.0))
def test_gaussian_views_give_their_point_back(xyz, sigma):
    size = (32, 32)
    maps = gaussian_logits([seen_by(v, xyz, size) for v in VIEWS], size, sigma)
    lifted = lift_orthographic(maps)
    # the sum of three quadratics is one: the Newton step is exact, and each axis is seen by two views
    assert lifted.xyz.numpy() == pytest.approx(np.array(xyz), abs=1e-9)
    assert lifted.mean.numpy() == pytest.approx(np.array(xyz), abs=2e-3)
    assert lifted.disagreement.item() < 3 / (4 * sigma**2)
    expected = (sigma**2 / 2) * (2 / 32) ** 2
    # a narrow Gaussian on cells, and the tail that the border cuts off
    assert torch.allclose(lifted.covariance.diagonal(), torch.full((3,), expected, dtype=torch.float64), rtol=0.02)


def test_tilted_views_bend_the_step_as_they_must():
    # each view a tilted Gaussian of its own two axes: the sum is one quadratic, whose maximum linear algebra knows
    point, precision = np.array([0.06, -0.13, 0.11]), np.zeros((3, 3))
    along = torch.tensor(centres(-1, 1, 16))
    maps = []
    for view, tilt in zip(VIEWS, (8.0, -5.0, 11.0), strict=True):
        column, row = "xyz".index(view.columns[1]), "xyz".index(view.rows[1])
        u, v = along - point[column], -along - point[row]
        maps.append(-10 * u[None, :] ** 2 - 14 * v[:, None] ** 2 - tilt * v[:, None] * u[None, :])
        precision[column, column] += 20
        precision[row, row] += 28
        precision[column, row] += tilt
        precision[row, column] += tilt
    lifted = lift_orthographic(torch.stack(maps))
    assert lifted.xyz.numpy() == pytest.approx(point, abs=1e-9)
    assert np.allclose(lifted.covariance, np.linalg.inv(precision), atol=1e-4)


def test_disagreement_is_half_the_squared_distance():
    size, sigma = (32, 32), 2.0
    places = [seen_by(v, (1 / 32, 1 / 32, 1 / 32), size) for v in VIEWS]
    # the top and the right view see x four cells apart: two cells, one sigma, from the middle for each
    places[0] = (places[0][0] + 4, places[0][1])
    lifted = lift_orthographic(gaussian_logits(places, size, sigma))
    assert lifted.disagreement.item() == pytest.approx((0.5 + 0 + 0.5) / 3, abs=1e-9)
    assert lifted.xyz.numpy() == pytest.approx(np.array([1 / 32 + 2 * 2 / 32, 1 / 32, 1 / 32]), abs=1e-9)


def test_one_spike_carries_the_mean_but_not_the_product():
    size = (32, 32)
    maps = gaussian_logits([seen_by(v, (0.25, 0.25, 0.25), size) for v in VIEWS], size, 2.5)
    maps[0, 4, 4] = 30.0  # a hot cell in the top view, where the other two see nothing
    product, mean = lift_orthographic(maps), lift_orthographic(maps, fusion="mean")
    assert mean.xyz[0].item() == pytest.approx(-1 + 4.5 / 16, abs=1 / 31)
    assert product.disagreement.item() > 2
    clean = lift_orthographic(maps[:, :, :].index_fill(0, torch.tensor([0]), 0.0))
    assert clean.xyz.numpy() == pytest.approx(np.array([0.25] * 3), abs=1e-9)


def test_frames_say_where_the_box_lies():
    # maps at a quarter of the resolution, flipped on the way
    size, xyz = (24, 24), (0.31, -0.22, 0.4)
    frame = Frame.identity((96, 96)).resized(size).flipped()
    places = [(24 - x, y) for x, y in (seen_by(v, xyz, size) for v in VIEWS)]
    maps = gaussian_logits(places, size, 1.5)
    assert lift_orthographic(maps, frame=frame).xyz.numpy() == pytest.approx(np.array(xyz), abs=1e-9)
    heatmap = Heatmap(maps, frame, "logits")
    assert lift_orthographic(heatmap).xyz.numpy() == pytest.approx(np.array(xyz), abs=1e-9)
    probability = Heatmap(maps.flatten(1).softmax(1).view_as(maps), frame, "probability")
    assert lift_orthographic(probability).xyz.numpy() == pytest.approx(np.array(xyz), abs=1e-6)


@pytest.mark.parametrize("slab", [1, 40, 1 << 18])
def test_slabs_and_batches_change_nothing(slab, monkeypatch):
    maps = torch.randn(2, 2, 3, 9, 9, dtype=torch.float64) * 3
    monkeypatch.setattr("isotherm.decode.planes.SLAB", slab)
    bounds = torch.tensor([[[[0.0, 0, 0], [1, 1, 1]], [[0, 0, 0], [2, 2, 2]]]] * 2)
    together = lift_orthographic(maps, bounds=bounds)
    for i in range(2):
        for j in range(2):
            alone = lift_orthographic(maps[i, j], bounds=bounds[i, j])
            for name in ("xyz", "mean", "covariance", "score", "disagreement"):
                assert torch.allclose(getattr(together, name)[i, j], getattr(alone, name), atol=1e-10), name


def test_views_that_contradict_do_not_underflow():
    # 40 cells apart at sigma 0.5: the product is about e^-1600 everywhere
    places = [(4.0, 24.0), (24.0, 24.0), (44.0, 24.0)]
    lifted = lift_orthographic(gaussian_logits(places, (48, 48), 0.5).float())
    assert lifted.covariance.isfinite().all()
    assert lifted.xyz[0].item() == pytest.approx(0, abs=1e-3)
    assert lifted.disagreement.item() > 100


def test_gradients():
    maps = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    check = partial(torch.autograd.gradcheck, fast_mode=True)
    assert check(lambda m: lift_orthographic(m).mean, (maps,))
    assert check(lambda m: lift_orthographic(m).covariance, (maps,))
    wide = gaussian_logits([seen_by(v, (0.03, -0.21, 0.3), (6, 6)) for v in VIEWS], (6, 6), 2.0).requires_grad_()
    assert check(lambda m: lift_orthographic(m).xyz, (wide,))
    cameras = rig(*EYES[:2], focal=8.0, size=(6, 7))
    views = torch.randn(2, 6, 7, dtype=torch.float64, requires_grad=True)
    assert check(lambda m: lift_perspective(m, cameras, bounds=((-0.5,) * 3, (0.5,) * 3), resolution=4).mean, (views,))


@pytest.mark.parametrize("fusion", ["product", "mean"])
def test_cameras_against_the_dense_volume(fusion):
    # the box reaches out of the views, and behind the first camera
    cameras = rig([1.0, 0.2, 0.4], *EYES[1:], focal=9.0, size=(8, 10))
    maps = torch.randn(3, 8, 10, dtype=torch.float64)
    low, high, counts = (-1.5, -1.0, -1.0), (1.5, 1.2, 1.0), (6, 5, 4)
    lifted = lift_perspective(maps, cameras, bounds=(low, high), resolution=counts, fusion=fusion)
    axes = [centres(a, b, n) for a, b, n in zip(low, high, counts, strict=True)]
    logs = log_softmax(maps)

    def place(view, xyz):
        K, R, t = (p[view].numpy() for p in (cameras.intrinsics, cameras.rotation, cameras.translation))
        seen = K @ (R @ xyz + t)
        if seen[2] <= 0:
            return None
        x, y = seen[:2] / seen[2]
        return (x, y) if 0 <= x <= 10 and 0 <= y <= 8 else None

    dense = oracle.volume(logs, place, axes)
    hidden = [
        place(v, np.array([x, y, z])) is None for v in range(3) for x in axes[0] for y in axes[1] for z in axes[2]
    ]
    assert 0.02 < np.mean(hidden) < 0.9
    ranked = dense.sum(0) if fusion == "product" else oracle.volume(np.exp(logs), place, axes).mean(0)
    best = np.unravel_index(ranked.argmax(), ranked.shape)
    step = (np.array(high) - np.array(low)) / np.array(counts)
    assert (np.abs(lifted.xyz.numpy() - [a[i] for a, i in zip(axes, best, strict=True)]) <= step / 2 + 1e-12).all()
    mean, covariance = oracle.posterior(dense, axes)
    assert np.allclose(lifted.mean, mean, atol=1e-10)
    assert np.allclose(lifted.covariance, covariance, atol=1e-10)


def test_cameras_find_the_point_that_they_saw():
    cameras = rig(*EYES)
    points = torch.tensor([[[0.1, -0.2, 0.15]], [[-0.21, 0.13, -0.3]]], dtype=torch.float64)
    xy, depth = cameras.project(points)
    assert (depth > 0).all()
    maps = torch.stack([gaussian_logits(p[:, 0].tolist(), (32, 40), 2.0) for p in xy])
    lifted = lift_perspective(maps, cameras, bounds=((-0.5,) * 3, (0.5,) * 3), resolution=32)
    # bilinear sampling of a Gaussian's logarithm bends it a little
    assert torch.allclose(lifted.xyz, points[:, 0], atol=0.01)
    assert torch.allclose(lifted.mean, points[:, 0], atol=0.01)
    # the same maps on a grid of half the resolution per view, each with its frame
    frame = Frame.stack(
        [
            Frame.identity((32, 40)).cropped((4, 2, 40, 32)),
            Frame.identity((32, 40)).cropped((0, 0, 36, 30)),
            Frame.identity((32, 40)).cropped((2, 1, 38, 31)),
        ]
    )
    cropped = torch.stack([maps[0, 0, 2:32, 4:40], maps[0, 1, 0:30, 0:36], maps[0, 2, 1:31, 2:38]])
    again = lift_perspective(
        Heatmap(cropped, frame, "logits"), cameras, bounds=((-0.5,) * 3, (0.5,) * 3), resolution=32
    )
    assert torch.allclose(again.xyz, lifted.xyz[0], atol=1e-6)


def test_far_cameras_see_what_views_along_the_axes_see():
    far, focal, side = 4000.0, 4000.0 * 8, 16

    def camera(forward, right, down):
        rotation = torch.tensor([right, down, forward], dtype=torch.float64)
        K = torch.tensor([[focal, 0, side / 2], [0, focal, side / 2], [0, 0, 1]], dtype=torch.float64)
        return K, rotation, torch.tensor([0, 0, far], dtype=torch.float64)

    down = [0.0, 0, -1]
    cameras = Cameras(
        *(
            torch.stack(p)
            for p in zip(
                camera(down, [1.0, 0, 0], [0.0, -1, 0]),
                camera([-1.0, 0, 0], [0.0, 1, 0], down),
                camera([0.0, 1, 0], [1.0, 0, 0], down),
                strict=True,
            )
        )
    )
    maps = torch.randn(3, side, side, dtype=torch.float64) * 3
    flat = lift_orthographic(maps, resolution=11)
    deep = lift_perspective(maps, cameras, bounds=((-1,) * 3, (1,) * 3), resolution=11)
    assert torch.allclose(flat.mean, deep.mean, atol=5e-3)
    assert torch.allclose(flat.xyz, deep.xyz, atol=2 / 11)
    assert torch.allclose(flat.covariance, deep.covariance, atol=5e-3)


def test_opencv_counts_from_centres():
    K, R, t = (p[None] for p in look_at(EYES[0]))
    point = torch.tensor([[0.2, 0.1, 0.0]], dtype=torch.float64)
    ours, theirs = (c.project(point)[0] for c in (Cameras(K, R, t), Cameras.from_opencv(K, R, t)))
    assert torch.allclose(theirs - ours, torch.tensor(0.5, dtype=torch.float64))


def test_mistakes(unchecked):
    maps = torch.zeros(3, 4, 4)
    with pytest.raises(ShapeError, match="2 maps for 3 views"):
        lift_orthographic(maps[:2])
    with pytest.raises(OptionError, match="together show x, y and z"):
        lift_orthographic(maps, views=(TOP, TOP, TOP))
    with pytest.raises(FrameError, match="upright"):
        lift_orthographic(maps, frame=Frame.identity((4, 4)).rotated(10))
    with pytest.raises(KindError, match="peak"):
        lift_orthographic(Heatmap(maps, Frame.identity((4, 4)), "peak"))
    with pytest.raises(OptionError, match="fusion is 'sum'"):
        lift_orthographic(maps, fusion="sum")
    with pytest.raises(OptionError, match="at least 2"):
        lift_orthographic(maps, resolution=1)
    with pytest.raises(OptionError, match="below the second"):
        lift_orthographic(maps, bounds=((0, 0, 0), (1, 0, 1)))
    with pytest.raises(ShapeError, match="lowest and highest"):
        lift_orthographic(maps, bounds=(0.0, 1.0))
    cameras = rig(*EYES)
    with pytest.raises(ShapeError, match="one camera per map"):
        lift_perspective(maps[:2], cameras, bounds=((-1,) * 3, (1,) * 3), resolution=4)
    with pytest.raises(ShapeError, match="single one"):
        lift_perspective(maps[0], cameras, bounds=((-1,) * 3, (1,) * 3), resolution=4)
    with pytest.raises(OptionError, match="sign and an axis"):
        OrthographicView(columns="x", rows="+y")
    with pytest.raises(OptionError, match="same axis"):
        OrthographicView(columns="+x", rows="-x")
    K, R, t = cameras.intrinsics, cameras.rotation, cameras.translation
    with pytest.raises(ShapeError, match="twice"):
        cameras_module.Cameras(K, R, t[:2])
    with pytest.raises(OptionError, match="not a rotation"):
        Cameras(K, -R, t)
    with pytest.raises(OptionError, match="last row"):
        Cameras(K.transpose(-1, -2), R, t)
