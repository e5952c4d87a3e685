"""The Triton kernels beside the plain steps, run by Triton's interpreter on the CPU, in a process of its own."""

from __future__ import annotations

import importlib.util

import pytest

from isotherm.losses import kernels

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")

SCRIPT = """
import torch
from isotherm import losses
from isotherm.losses import kernels, triton_gaussian

torch.manual_seed(0)
torch.set_num_threads(1)
calls = []
for name in ("squared_error", "squared_error_gradient", "log_loss", "log_loss_gradient"):
    def counted(*arguments, kernel=getattr(triton_gaussian, name), name=name):
        calls.append(name)
        return kernel(*arguments)
    setattr(triton_gaussian, name, counted)

def both(loss, maps, at, **options):
    found = []
    for plain in (True, False):
        kernels.kernels_for = KERNELS if not plain else lambda maps: None
        for module in ("gaussian_mse", "gaussian_cross_entropy"):
            vars(__import__(f"isotherm.losses.{module}", fromlist=["x"]))["kernels_for"] = kernels.kernels_for
        these = maps.clone().requires_grad_()
        value = loss(these, at, reduction="none", **options)
        scale = torch.linspace(0.5, 2, value.numel()).view(value.shape)
        found += [value, *torch.autograd.grad(value, these, scale)]
    return found

KERNELS = kernels.kernels_for
for loss in (losses.gaussian_mse, losses.gaussian_cross_entropy):
    # many small maps; maps of several parts, the last one not full; a batch of batches; none at all
    for lead, size in (((3, 5), (7, 9)), ((1, 2), (70, 130)), ((2, 1, 2), (4, 4)), ((0, 3), (4, 4))):
        # how numbers are read and written does not depend on the batch: half precision in two of the four
        halves = (torch.bfloat16, torch.float16) if len(lead) == 2 and all(lead) else ()
        for dtype in (torch.float32, *halves):
            maps = (3 * torch.randn(*lead, *size)).to(dtype)
            at = torch.rand(*lead, 2) * torch.tensor([size[1], size[0]])
            state = torch.randint(0, 5, lead)
            unknown = (state == 0)
            at[unknown] = torch.nan
            maps[unknown] = torch.nan
            value, gradient, fast_value, fast_gradient = both(loss, maps, at, sigma_cells=1.7, state=state)
            torch.testing.assert_close(fast_value, value, atol=1e-5, rtol=1e-5)
            tolerance = {torch.float32: 1e-6, torch.bfloat16: 1e-2, torch.float16: 2e-3}[dtype]
            torch.testing.assert_close(fast_gradient, gradient, atol=tolerance * 1e-2 if dtype != torch.float32 else 1e-6, rtol=tolerance)
            assert (fast_gradient[unknown] == 0).all() and fast_gradient.dtype == dtype
    # a part of nothing but -inf (cells that are masked out) is no NaN; other memory orders
    maps = torch.randn(1, 1, 90, 90)
    maps[..., :60, :] = -torch.inf if loss is losses.gaussian_cross_entropy else 0
    at = torch.tensor([[[45.0, 89.0]]])
    value, gradient, fast_value, fast_gradient = both(loss, maps, at, sigma_cells=0.7)
    assert fast_value.isfinite().all() == value.isfinite().all() and fast_gradient.isfinite().all()
    torch.testing.assert_close(fast_gradient, gradient, atol=1e-6, rtol=1e-5)
    maps = torch.randn(2, 3, 8, 8).to(memory_format=torch.channels_last)
    value, gradient, fast_value, fast_gradient = both(loss, maps, torch.rand(2, 3, 2) * 8, sigma_cells=1.0)
    torch.testing.assert_close(fast_value, value)
    torch.testing.assert_close(fast_gradient, gradient)
    # gradients of gradients and of points take the plain steps
    maps, at = torch.randn(1, 1, 5, 5, requires_grad=True), (torch.rand(1, 1, 2) * 5).requires_grad_()
    first = torch.autograd.grad(loss(maps, at, sigma_cells=1.0), (maps, at), create_graph=True)
    torch.autograd.grad(sum(part.square().sum() for part in first), (maps, at))
assert set(calls) == {"squared_error", "squared_error_gradient", "log_loss", "log_loss_gradient"}, calls
print("equal", len(calls))
"""


def test_equal_to_the_plain_steps(programs, tmp_path):
    """Values 1e-5, gradients 1e-6 in float32 and the last digit in half precision; states, parts, memory orders."""
    variables = {"TRITON_INTERPRET": "1", "ISOTHERM_KERNELS": "triton"}
    found = programs.run(SCRIPT, cwd=tmp_path, environment=variables)
    assert found.returncode == 0, found.stderr[-3000:]
    assert found.stdout.startswith("equal")


@pytest.mark.usefixtures("unchecked")
def test_chosen_for_cuda_alone(monkeypatch):
    """The CPU keeps its plain steps; on CUDA single and half precision go to Triton, double does not."""
    import torch

    class OnCuda:
        is_cuda = True

        def __init__(self, dtype):
            self.dtype = dtype

    monkeypatch.setattr(kernels, "_module", lambda: "triton")
    assert kernels.kernels_for(torch.zeros(1)) is None
    assert kernels.kernels_for(OnCuda(torch.float32)) == "triton"
    assert kernels.kernels_for(OnCuda(torch.bfloat16)) == "triton"
    assert kernels.kernels_for(OnCuda(torch.float64)) is None


@pytest.mark.gpu
@pytest.mark.skipif(not __import__("torch").cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu():
    """The kernels themselves, beside float64 on the CPU."""
    import torch

    from isotherm import losses

    maps, at = torch.randn(4, 3, 70, 90), torch.rand(4, 3, 2) * 70
    for loss in (losses.gaussian_mse, losses.gaussian_cross_entropy):
        exact_maps, fast_maps = maps.double().requires_grad_(), maps.cuda().requires_grad_()
        exact, fast = loss(exact_maps, at.double(), sigma_cells=2.0), loss(fast_maps, at.cuda(), sigma_cells=2.0)
        assert fast.item() == pytest.approx(exact.item(), rel=1e-5)
        exact.backward()
        fast.backward()
        torch.testing.assert_close(fast_maps.grad.cpu().double(), exact_maps.grad, atol=1e-7, rtol=1e-4)
