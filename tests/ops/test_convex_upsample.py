"""Convex upsampling: by hand, against loops and against RAFT's unfold, at the border, gradients, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from isotherm.errors import OptionError, ShapeError
from isotherm.ops.convex_steps import convex_steps
from isotherm.ops.convex_upsample import convex_upsample
from oracles import heads as oracle
from rigs.breadth import wide


def raft(values, mask, ratio, kernel, scale):
    """The published form: unfold, softmax, sum."""
    b, c, h, w = values.shape
    weights = (scale * mask).view(b, 1, kernel**2, ratio, ratio, h, w).softmax(2)
    around = F.unfold(values, kernel, padding=kernel // 2).view(b, c, kernel**2, 1, 1, h, w)
    return (weights * around).sum(2).permute(0, 1, 4, 2, 5, 3).reshape(b, c, h * ratio, w * ratio)


def test_by_hand():
    # the fine cell at the top right of the left cell takes the right neighbour alone
    values, mask = torch.tensor([[[[1.0, 5.0]]]]), torch.zeros(1, 36, 1, 2)
    mask[0, 5 * 4 + 1, 0, 0] = 100.0
    out = convex_upsample(values, mask, ratio=2)
    assert torch.allclose(out, torch.tensor([[[[3.0, 5.0, 3, 3], [3, 3, 3, 3]]]]))
    zeros = convex_upsample(values, mask, ratio=2, padding="zeros")
    assert torch.allclose(zeros, torch.tensor([[[[6 / 9, 5.0, 6 / 9, 6 / 9], [6 / 9] * 4]]]))


@pytest.mark.parametrize("padding", ["renorm", "zeros"])
@pytest.mark.parametrize(("kernel", "ratio"), [(3, 4), (5, 2), (1, 3)])
def test_the_loops(padding, kernel, ratio):
    values = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    mask = 5 * torch.randn(2, (kernel * ratio) ** 2, 4, 5, dtype=torch.float64)
    out = convex_upsample(values, mask, ratio=ratio, kernel=kernel, mask_scale=0.7, padding=padding)
    for b in range(2):
        assert np.allclose(
            out[b], oracle.convex_upsample(values[b].numpy(), mask[b].numpy(), ratio, kernel, 0.7, padding), atol=1e-12
        )


def test_the_published_form():
    values, mask = torch.randn(3, 2, 6, 7), 20 * torch.randn(3, 9 * 196, 6, 7)
    out = convex_upsample(values, mask, ratio=14, mask_scale=0.1, padding="zeros")
    assert torch.allclose(out, raft(values, mask, 14, 3, 0.1), atol=1e-6)
    # away from the border both paddings are the same
    renorm = convex_upsample(values, mask, ratio=14, mask_scale=0.1)
    assert torch.equal(renorm[..., 14:-14, 14:-14], out[..., 14:-14, 14:-14])
    assert not torch.allclose(renorm, out, atol=1e-2)


def test_a_constant_map_stays_flat_only_when_renormalised():
    values, mask = torch.full((1, 1, 16, 16), -5.0), torch.randn(1, 9 * 196, 16, 16)
    flat = convex_upsample(values, mask, ratio=14, mask_scale=0.1)
    assert torch.allclose(flat, torch.tensor(-5.0), atol=1e-5)
    zeros = convex_upsample(values, mask, ratio=14, mask_scale=0.1, padding="zeros")
    probability = zeros.flatten().softmax(0).view(224, 224)
    border = 1 - probability[14:-14, 14:-14].sum()
    assert border.item() == pytest.approx(0.65, abs=0.02)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.floats(0.0, 300.0), st.integers(0, 99))
def test_every_fine_cell_lies_between_its_coarse_ones(h, w, ratio, spread, seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(1, 1, h, w, generator=generator)
    mask = spread * torch.randn(1, 9 * ratio**2, h, w, generator=generator)
    out = convex_upsample(values, mask, ratio=ratio)
    low = -F.max_pool2d(-values, 3, 1, 1).repeat_interleave(ratio, 2).repeat_interleave(ratio, 3)
    high = F.max_pool2d(values, 3, 1, 1).repeat_interleave(ratio, 2).repeat_interleave(ratio, 3)
    # also where the largest weight by far would be a neighbour that does not exist
    assert (out >= low - 1e-5).all()
    assert (out <= high + 1e-5).all()


@pytest.mark.parametrize("padding", ["renorm", "zeros"])
@pytest.mark.parametrize("block", [1 << 19, 1])
def test_gradients(padding, block, monkeypatch):
    """Once and twice, in one block and picture by picture; of one input alone too."""
    monkeypatch.setattr("isotherm.ops.convex_upsample.BLOCK_VALUES", block)
    values = torch.randn(2, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.randn(2, 36, 2, 3, dtype=torch.float64, requires_grad=True)

    def up(v, m):
        return convex_upsample(v, m, ratio=2, mask_scale=0.7, padding=padding)

    assert torch.autograd.gradcheck(up, (values, mask), fast_mode=True)
    assert torch.autograd.gradgradcheck(up, (values, mask), fast_mode=True)
    assert torch.autograd.gradcheck(lambda m: up(values.detach(), m), mask, fast_mode=True)
    assert torch.autograd.gradcheck(lambda v: up(v, mask.detach()), values, fast_mode=True)


@pytest.mark.parametrize("padding", ["renorm", "zeros"])
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (6, 5)])
def test_equal_to_what_is_compiled_and_exported(padding, size):
    """The steps in place and those for compilers, values and gradients; maps smaller than the neighbourhood too."""
    found = []
    for function in (
        convex_upsample,
        lambda v, m, *, ratio, kernel, padding: convex_steps(v, m, ratio, kernel, 1.0, padding == "renorm"),
    ):
        torch.manual_seed(0)
        values, mask = torch.randn(3, 2, *size, requires_grad=True), (3 * torch.randn(3, 100, *size)).requires_grad_()
        out = function(values, mask, ratio=2, kernel=5, padding=padding)
        found.append(
            (out, *torch.autograd.grad(out, (values, mask), torch.linspace(-1, 1, out.numel()).view(out.shape)))
        )
    for mine, plain in zip(*found, strict=True):
        torch.testing.assert_close(mine, plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("padding", ["renorm", "zeros"])
@pytest.mark.parametrize(
    ("shift", "spread", "size"),
    [(0.0, 1.0, 1.0), (1e4, 1.0, 1.0), (-1e4, 1.0, 1.0), (0.0, 1e4, 1.0), (10.0, 0.1, 1e36), (-60.0, 0.1, 1e-30)],
    ids=["moderate", "all high", "all low", "far apart", "high with large values", "low with small values"],
)
def test_logits_of_any_size(padding, shift, spread, size, monkeypatch):
    """Where powers would overflow or vanish the largest logit is subtracted, and else nothing: the same either way."""
    monkeypatch.setattr("isotherm.ops.convex_upsample.BLOCK_VALUES", 1)  # each picture a block
    values = size * torch.randn(3, 1, 4, 5)
    mask = shift + spread * torch.randn(3, 36, 4, 5)
    mask[::2] = torch.randn(2, 36, 4, 5)  # pictures of moderate logits before and behind it
    leaves = values.clone().requires_grad_(), mask.clone().requires_grad_()
    out = convex_upsample(*leaves, ratio=2, padding=padding)
    exact = [v.double().requires_grad_() for v in (values, mask)]
    expected = convex_steps(*exact, 2, 3, 1.0, padding == "renorm")
    off = 2e-6 + 1e-7 * max(abs(shift), spread)  # single precision knows a logit of 1e4 to 1e-3 alone
    torch.testing.assert_close(out / size, (expected / size).float(), atol=off, rtol=1e-5)
    steps = convex_steps(values, mask, 2, 3, 1.0, padding == "renorm")
    torch.testing.assert_close(steps / size, (expected / size).float(), atol=off, rtol=1e-5)
    upstream = torch.linspace(-1, 1, out.numel()).view(out.shape)
    for mine, right, unit in zip(
        torch.autograd.grad(out, leaves, upstream),
        torch.autograd.grad(expected, exact, upstream.double()),
        (1, size),
        strict=True,
    ):
        torch.testing.assert_close(mine / unit, (right / unit).float(), atol=5 * off, rtol=1e-4)


@pytest.mark.parametrize("largest", [0.0, 1e30])
def test_weights_alone_and_relative_to_the_largest_are_equal(largest, monkeypatch):
    values, mask = torch.randn(2, 3, 4, 5), 5 * torch.randn(2, 36, 4, 5)
    out = convex_upsample(values, mask, ratio=2)
    monkeypatch.setattr("isotherm.ops.convex_upsample.LARGEST_VALUE", largest)
    torch.testing.assert_close(convex_upsample(values, mask, ratio=2), out, atol=1e-6, rtol=1e-6)


def test_infinite_logits():
    values, mask = torch.tensor([[[[1.0, 5.0]]]]), torch.zeros(1, 9, 1, 2)
    mask[0, 4] = float("-inf")  # the cell itself has no weight: its neighbour is all that is left
    assert convex_upsample(values, mask, ratio=1).tolist() == [[[[5.0, 1.0]]]]
    mask[0, :, 0, 0] = float("-inf")  # no weights at all: there is no mean, as of a softmax
    nowhere = convex_upsample(values, mask, ratio=1)
    assert nowhere[0, 0, 0, 0].isnan()
    assert nowhere[0, 0, 0, 1] == 1.0


def test_tensors_without_numbers():
    shape = convex_upsample(torch.zeros(1, 1, 2, 2, device="meta"), torch.zeros(1, 36, 2, 2, device="meta"), ratio=2)
    assert shape.shape == (1, 1, 4, 4)
    with FakeTensorMode():
        assert convex_upsample(torch.zeros(1, 1, 2, 2), torch.zeros(1, 36, 2, 2), ratio=2).shape == (1, 1, 4, 4)


def test_no_pictures():
    assert convex_upsample(torch.zeros(0, 1, 2, 2), torch.zeros(0, 36, 2, 2), ratio=2).shape == (0, 1, 4, 4)


def test_half_precision_is_summed_in_single():
    values, mask = torch.randn(1, 1, 5, 5), torch.randn(1, 36, 5, 5)
    low = convex_upsample(values.bfloat16(), mask.bfloat16(), ratio=2)
    assert low.dtype == torch.bfloat16
    again = convex_upsample(values.bfloat16().float(), mask.bfloat16().float(), ratio=2)
    assert torch.equal(low, again.bfloat16())


@pytest.mark.parametrize("padding", ["renorm", "zeros"])
@pytest.mark.parametrize("layout", ["channels last", "transposed", "a slice"])
def test_masks_in_any_layout_of_memory(layout, padding):
    values, mask = torch.randn(3, 2, 4, 5), 3 * torch.randn(3, 36, 4, 5)
    laid_out = {
        "channels last": lambda: mask.contiguous(memory_format=torch.channels_last),
        "transposed": lambda: mask.transpose(2, 3).contiguous().transpose(2, 3),
        "a slice": lambda: torch.cat([mask, mask], 1)[:, :36],
    }[layout]()
    assert not laid_out.is_contiguous()
    found = []
    for one in (mask, laid_out):
        leaves = values.clone().requires_grad_(), one.detach().requires_grad_()
        out = convex_upsample(*leaves, ratio=2, mask_scale=0.3, padding=padding)
        upstream = torch.linspace(-1, 1, out.numel()).view(out.shape)
        found.append((out.detach(), *torch.autograd.grad(out, leaves, upstream)))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert found[0][2].abs().sum() > 0


@pytest.mark.parametrize("padding", ["renorm", "zeros"])
def test_the_scale_of_a_half_precision_mask_is_not_rounded(padding):
    values, mask = torch.randn(1, 1, 5, 5), (20 * torch.randn(1, 36, 5, 5)).bfloat16()
    mixed = convex_upsample(values, mask, ratio=2, mask_scale=0.1, padding=padding)
    assert torch.equal(mixed, convex_upsample(values, mask.float(), ratio=2, mask_scale=0.1, padding=padding))


COMPILED = """
import torch
from isotherm.ops.convex_upsample import convex_upsample

torch.manual_seed(0)
values, mask = torch.randn(2, 1, 5, 6), torch.randn(2, 9 * 16, 5, 6)
for padding in ("renorm", "zeros"):
    compiled = torch.compile(convex_upsample, fullgraph=True, backend={backend!r})
    expected = convex_upsample(values, mask, ratio=4, padding=padding)
    assert torch.allclose(compiled(values, mask, ratio=4, padding=padding), expected, atol=1e-6), padding
print("the same")
"""


@pytest.mark.parametrize("backend", ["aot_eager", *wide(["inductor"])])
def test_compiled_is_the_same(unchecked_process, backend):
    """In the process where all is compiled. tests/losses/test_compile.py always goes all the way to machine code."""
    assert unchecked_process.run(COMPILED.format(backend=backend)) == "the same\n"


def test_mistakes(unchecked):
    values, mask = torch.zeros(1, 1, 4, 4), torch.zeros(1, 36, 4, 4)
    with pytest.raises(ShapeError, match=r"expected \(1, 81, 4, 4\)"):
        convex_upsample(values, mask, ratio=3)
    with pytest.raises(OptionError, match="odd"):
        convex_upsample(values, mask, ratio=2, kernel=2)
    with pytest.raises(OptionError, match="ratio is 0"):
        convex_upsample(values, mask, ratio=0)
    with pytest.raises(OptionError, match="'renorm'"):
        convex_upsample(values, mask, ratio=2, padding="reflect")
