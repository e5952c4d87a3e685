"""ROAD's imputation: the exact solution of the exact system, on any raster and any holes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.errors import OptionError, ShapeError
from isotherm.metrics import linear_imputation
from isotherm.metrics.multigrid import VCycle, weight_sum
from oracles.faithfulness import imputed


def smooth(h, w, grid, seed=0, c=1):
    field = torch.randn(1, c, *grid, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(field, (h, w), mode="bilinear")[0]


def test_one_hole_by_hand():
    # direct neighbours 12 each way, diagonals 24: (4 * 12 / 6 + 4 * 24 / 12) / 1 = 16
    picture = torch.tensor([[24.0, 12, 24], [12, 99, 12], [24, 12, 24]])[None, None]
    removed = torch.zeros(1, 3, 3, dtype=torch.bool)
    removed[0, 1, 1] = True
    out = linear_imputation(picture, removed)
    assert out[0, 0, 1, 1].item() == pytest.approx(16, abs=1e-5)
    assert torch.equal(out[~removed[:, None]], picture[~removed[:, None]])


def test_weights_are_renormalised_at_the_border():
    # a corner has two direct neighbours and one diagonal: (6 / 6 + 12 / 6 + 24 / 12) / (5 / 12) = 12
    picture = torch.tensor([[99.0, 6], [12, 24]])[None, None]
    removed = torch.tensor([[[True, False], [False, False]]])
    assert linear_imputation(picture, removed)[0, 0, 0, 0].item() == pytest.approx(12, abs=1e-5)
    total = weight_sum((3, 3), dtype=torch.float64, device=torch.device("cpu"))
    assert torch.allclose(total, torch.tensor([[5.0, 8, 5], [8, 12, 8], [5, 8, 5]]).double() / 12)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.05, 0.97), st.booleans(), st.integers(0, 999))
def test_equals_the_dense_solution(h, w, part, ragged, seed):
    if h * w < 2 or h * w > 900:
        return
    generator = torch.Generator().manual_seed(seed)
    picture = torch.randn(2, h, w, generator=generator, dtype=torch.float64)
    order = torch.randn(h, w, generator=generator) if ragged else smooth(h, w, (min(h, 3), min(w, 3)), seed)[0]
    removed = order.flatten().argsort().argsort().reshape(h, w) < min(max(1, int(part * h * w)), h * w - 1)
    out = linear_imputation(picture[None], removed[None], tolerance=1e-9)[0]
    assert np.abs(out.numpy() - imputed(picture.numpy(), removed.numpy())).max() < 1e-7


@pytest.mark.parametrize("kind", ["blob", "smooth", "ragged", "one pixel left"])
@pytest.mark.parametrize("size", [(224, 224), (97, 60)])
def test_few_steps_on_large_holes_of_any_shape(kind, size, monkeypatch):
    h, w = size
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    removed = {
        "blob": (y - h / 2) ** 2 + (x - w / 2) ** 2 < (0.45 * min(h, w)) ** 2,
        "smooth": smooth(h, w, (7, 7))[0] > -0.5,
        "ragged": torch.rand(h, w, generator=torch.Generator().manual_seed(1)) < 0.9,
        "one pixel left": (y != 40) | (x != 50),
    }[kind]
    calls = []
    real = VCycle.__call__
    monkeypatch.setattr(VCycle, "__call__", lambda self, r: calls.append(1) or real(self, r))
    picture = smooth(h, w, (28, 28), seed=3, c=3) + 0.1 * torch.randn(3, h, w)
    out = linear_imputation(picture[None], removed[None])[0]
    assert len(calls) <= 14
    # every imputed pixel is the weighted mean of its neighbours; the residual is small against the picture's spread
    kernel = torch.tensor([[1, 2, 1], [2, 0, 2], [1, 2, 1]]).double()[None, None] / 12
    around = F.conv2d(out.double()[:, None], kernel, padding=1)[:, 0] / weight_sum(
        size, dtype=torch.float64, device=out.device
    )
    assert ((around - out) * removed).abs().max() < 2e-6 * picture.abs().max()


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")
def test_equals_pytorch_grad_cam_without_noise():
    """Theirs renormalises at the border as ours does, so the pictures are equal to the last digits."""
    from pytorch_grad_cam.metrics.road import NoisyLinearImputer

    picture = smooth(96, 96, (24, 24), seed=3, c=3) + 0.1 * torch.randn(3, 96, 96)
    for part in (0.1, 0.5, 0.9):
        order = smooth(96, 96, (5, 5), seed=4)[0]
        removed = order > order.quantile(1 - part)
        assert (
            removed[0].any() or removed[-1].any() or removed[:, 0].any() or removed[:, -1].any()
        )  # the border takes part
        theirs = NoisyLinearImputer(noise=0.0)(picture, (~removed).float())
        assert (linear_imputation(picture[None], removed[None])[0] - theirs).abs().max() < 1e-5


def test_each_row_is_its_own_problem_and_its_own_noise():
    pictures = torch.randn(3, 2, 20, 24)
    removed = torch.rand(3, 20, 24) < torch.tensor([0.2, 0.5, 0.8])[:, None, None]
    together = linear_imputation(pictures, removed)
    for i in range(3):
        assert torch.allclose(together[i], linear_imputation(pictures[i : i + 1], removed[i : i + 1])[0], atol=1e-6)
    noisy = linear_imputation(pictures, removed, noise=0.5, seed=7)
    assert torch.equal(noisy, linear_imputation(pictures, removed, noise=0.5, seed=7))
    assert torch.allclose(noisy[0], linear_imputation(pictures[:1], removed[:1], noise=0.5, seed=7)[0], atol=1e-5)
    grain = (noisy - together)[removed[:, None].expand_as(noisy)]
    assert grain.std().item() == pytest.approx(0.5, rel=0.1)
    assert torch.equal(noisy[~removed[:, None].expand_as(noisy)], pictures[~removed[:, None].expand_as(noisy)])
    assert not torch.equal(noisy, linear_imputation(pictures, removed, noise=0.5, seed=8))


def test_many_systems_at_once_as_on_an_accelerator(monkeypatch):
    from isotherm.metrics import imputation

    pictures = torch.randn(5, 3, 33, 48)
    removed = torch.stack([smooth(33, 48, (4, 4), seed=s)[0] > 0 for s in range(5)])
    calls = []
    real = imputation._Solver.__call__
    monkeypatch.setattr(imputation._Solver, "__call__", lambda self, *a: calls.append(self.systems) or real(self, *a))
    monkeypatch.setattr(imputation, "CACHE", 33 * 48 * 2)
    in_twos = linear_imputation(pictures, removed)
    monkeypatch.setattr(imputation, "CACHE", 33 * 48 * 5)
    at_once = linear_imputation(pictures, removed)
    assert calls == [2, 2, 1, 5]
    assert torch.allclose(at_once, in_twos, atol=1e-5)


def test_channels_that_need_nothing_and_pictures_that_are_flat():
    picture = torch.stack([torch.full((30, 30), 5.0), torch.randn(30, 30)])[None]
    removed = smooth(30, 30, (3, 3))[0][None] > 0
    assert torch.allclose(linear_imputation(picture, removed)[0, 0], torch.full((30, 30), 5.0))
    flat = torch.full((1, 1, 30, 30), -2.0)
    assert torch.equal(linear_imputation(flat, removed), flat)
    nothing = torch.zeros(1, 30, 30, dtype=torch.bool)
    assert torch.equal(linear_imputation(picture, nothing), picture)
    wild = picture.masked_fill(removed[:, None], torch.nan)  # what is removed is never read
    assert torch.equal(linear_imputation(wild, removed), linear_imputation(picture, removed))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_dtypes_and_autocast(dtype):
    picture = torch.randn(1, 3, 32, 32)
    removed = smooth(32, 32, (4, 4))[0][None] > 0
    exact = linear_imputation(picture, removed)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(linear_imputation(picture, removed), exact)
    out = linear_imputation(picture.to(dtype), removed)
    assert out.dtype == dtype
    assert torch.allclose(out.float(), exact, atol=0.03 if dtype != torch.float64 else 1e-5)


def test_mistakes(unchecked):
    picture = torch.zeros(1, 1, 4, 4)
    with pytest.raises(OptionError, match="keep at least one"):
        linear_imputation(picture, torch.ones(1, 4, 4, dtype=torch.bool))
    with pytest.raises(ShapeError, match="a mask per picture"):
        linear_imputation(picture, torch.zeros(1, 4, 5, dtype=torch.bool))
    with pytest.raises(OptionError, match="noise"):
        linear_imputation(picture, torch.zeros(1, 4, 4, dtype=torch.bool), noise=-1.0)
