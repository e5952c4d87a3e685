"""First principal components: against the full decomposition, by hand, in both signs, and faster."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.errors import ShapeError
from isotherm.ops.eigen import EIGH_UP_TO, first_component, first_kernel_component, top_eigenvector
from oracles import cam_formulas as oracle


@pytest.mark.parametrize(("c", "h", "w"), [(3, 5, 4), (40, 3, 3), (160, 14, 14), (600, 16, 16), (2, 1, 7), (1, 4, 4)])
def test_equals_the_singular_value_decomposition(c, h, w):
    x = torch.rand(2, c, h, w, dtype=torch.float64)
    want = np.stack([oracle.first_component(m) for m in x.numpy()])
    np.testing.assert_allclose(first_component(x).numpy(), want, rtol=0, atol=1e-9)
    got = first_component(x.float())
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), want, rtol=0, atol=2e-3 * np.abs(want).max())


def test_by_hand():
    """Cells (0, 0), (3, 4), (6, 8): centred (-3, -4), (0, 0), (3, 4), direction (3, 4) / 5: projections -5, 0, 5."""
    x = torch.tensor([[[[0.0, 3, 6]], [[0.0, 4, 8]]]])
    torch.testing.assert_close(first_component(x)[0, 0], torch.tensor([-5.0, 0, 5]))


@pytest.mark.parametrize("c", [3, 300])
def test_the_sign_follows_the_mean_activation_either_way(c):
    """Both signs: of a map and of its negative, whichever the solver returns."""
    bright = torch.zeros(1, c, 6, 6)
    bright[:, :, 2:4, 2:4] = 1 + torch.rand(1, c, 1, 1)
    bright += 0.01 * torch.randn(1, c, 6, 6)
    up, down = first_component(bright), first_component(-bright)
    assert up[0, 2, 2] > 0 > up[0, 0, 0]
    assert down[0, 2, 2] < 0 < down[0, 0, 0]
    torch.testing.assert_close(down, -up)


def test_the_sign_does_not_hang_on_the_solvers_choice(monkeypatch):
    x = torch.rand(1, 5, 6, 6)
    want = first_component(x)
    original = torch.linalg.eigh

    def turned(*args, **kwargs):
        result = original(*args, **kwargs)
        return type(result)((result.eigenvalues, -result.eigenvectors))

    monkeypatch.setattr(torch.linalg, "eigh", turned)
    assert not torch.equal(top_eigenvector(torch.eye(3)[None]), original(torch.eye(3)[None]).eigenvectors[..., -1])
    torch.testing.assert_close(first_component(x), want)


@pytest.mark.parametrize("c", [3, 300])
@pytest.mark.parametrize("power", [120, 60, -60, -110])
def test_values_whose_squares_cannot_be_held(c, power):
    """A power of two changes no digit of the map, and 2**120 has no square in single precision."""
    x = torch.rand(2, c, 6, 6)
    assert torch.equal(first_component(x * 2.0**power), first_component(x) * 2.0**power)


def test_where_the_mean_says_nothing_the_larger_extreme_is_positive():
    a = torch.tensor([[[[3.0, -1, -1, -1]], [[-3.0, 1, 1, 1]]]])  # channel mean 0 everywhere
    assert first_component(a)[0, 0].tolist() == pytest.approx([3 * 2**0.5, -(2**0.5), -(2**0.5), -(2**0.5)])
    assert first_component(-a)[0, 0].tolist() == pytest.approx([3 * 2**0.5, -(2**0.5), -(2**0.5), -(2**0.5)])


@pytest.mark.parametrize("n", [5, EIGH_UP_TO + 1, 400])
def test_top_eigenvector_is_the_algebraically_largest(n):
    generator = torch.Generator().manual_seed(n)
    q = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64)).Q
    values = torch.linspace(-10, 3, n, dtype=torch.float64)
    values[-1] = 4
    matrix = (q * values) @ q.T
    got = top_eigenvector(matrix[None])[0]
    assert float(got.norm()) == pytest.approx(1)
    assert float((got @ q[:, -1]).abs()) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_matrices_of_low_rank_and_close_eigenvalues(rank):
    n = 200
    basis = torch.linalg.qr(torch.randn(n, max(rank, 1), dtype=torch.float64)).Q
    value = torch.tensor([1.0, 1 - 1e-9][: max(rank, 1)], dtype=torch.float64) * (rank > 0)
    matrix = (basis * value) @ basis.T
    got = top_eigenvector(matrix[None])[0]
    assert float((matrix @ got - got * (got @ matrix @ got)).norm()) < 1e-8
    assert float(got @ matrix @ got) == pytest.approx(float(rank > 0), abs=1e-8)
    assert float(got.norm()) == pytest.approx(1)


def test_iteration_that_has_not_converged_is_replaced_by_a_decomposition(monkeypatch):
    from isotherm.ops import eigen

    n = 300
    matrix = torch.diag(torch.linspace(0, 1, n, dtype=torch.float64))  # a gap of 1/300: 2 steps are hopeless
    monkeypatch.setattr(eigen, "CHECKS", (2,))
    got = top_eigenvector(matrix[None])[0].abs()
    assert float(got[-1]) == pytest.approx(1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_widened(dtype):
    x = torch.rand(1, 200, 12, 12).to(dtype)
    got = first_component(x)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, first_component(x.float()))


def test_constant_maps_give_zero_and_broken_ones_nan():
    assert torch.equal(first_component(torch.full((1, 3, 4, 4), 7.0)), torch.zeros(1, 4, 4))
    assert torch.equal(first_kernel_component(torch.full((1, 3, 4, 4), 7.0)), torch.zeros(1, 4, 4))
    broken = torch.rand(2, 3, 4, 4)
    whole = first_component(broken)
    broken[0, 0, 0, 0] = torch.inf
    assert first_component(broken)[0].isnan().all()
    assert torch.equal(first_component(broken)[1], whole[1])
    assert first_kernel_component(broken)[0].isnan().all()
    assert first_kernel_component(broken)[1].isfinite().all()
    with pytest.raises(ShapeError, match="at most 10000 cells"):
        first_kernel_component(torch.zeros(1, 1, 101, 100))


def test_a_kernel_component_equals_scikit_learns():
    decomposition = pytest.importorskip("sklearn.decomposition", reason="scikit-learn comes with pytorch-grad-cam")
    x = torch.rand(1, 12, 15, 14, dtype=torch.float64)  # more than 128 cells: through the iteration
    flat = x[0].flatten(1).T.numpy()
    flat = flat - flat.mean(0)
    for kernel in ("sigmoid", "rbf", "linear"):
        want = decomposition.KernelPCA(n_components=1, kernel=kernel).fit_transform(flat)[:, 0]
        got = first_kernel_component(x, kernel=kernel).flatten().numpy()
        np.testing.assert_allclose(got * np.sign(got @ want), want, atol=1e-8)
