"""A patch embedding's gradient by one product of matrices is torch's own; other convolutions are left alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from isotherm.vlm.patch_embedding import embedding_by_products

SIDE_BY_SIDE = {
    "flat": (nn.Conv2d(3, 8, 4, stride=4), (2, 3, 12, 8)),
    "left over": (nn.Conv2d(3, 8, 4, stride=4, bias=False), (1, 3, 14, 11)),
    "with time": (nn.Conv3d(3, 8, (2, 4, 5), stride=(2, 4, 5)), (6, 3, 4, 8, 10)),
    "list of patches": (nn.Conv3d(3, 8, (2, 4, 4), stride=(2, 4, 4), bias=False), (7, 3, 2, 4, 4)),
}
OTHERS = {
    "padded": (nn.Conv2d(3, 8, 4, stride=4, padding=1), (1, 3, 8, 8)),
    "overlapping": (nn.Conv2d(3, 8, 4, stride=2), (1, 3, 8, 8)),
    "dilated": (nn.Conv2d(3, 8, 2, stride=2, dilation=2), (1, 3, 8, 8)),
    "same": (nn.Conv2d(3, 8, 1, padding="same"), (1, 3, 8, 8)),
    "in groups": (nn.Conv2d(4, 8, 4, stride=4, groups=2), (1, 4, 8, 8)),
}


def gradient_of(layer, x, weight):
    out = layer(x)
    (gradient,) = torch.autograd.grad((out * weight[: out.numel()].view_as(out)).sum(), x)
    return out, gradient


@pytest.mark.parametrize("name", [*SIDE_BY_SIDE, *OTHERS])
def test_values_and_gradients_are_those_of_torch(name):
    layer, shape = (SIDE_BY_SIDE | OTHERS)[name]
    layer.requires_grad_(False)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weight = torch.randn(4096, generator=torch.Generator().manual_seed(1))
    out, gradient = gradient_of(layer, x, weight)
    with embedding_by_products():
        ours, found = gradient_of(layer, x, weight)
    torch.testing.assert_close(ours, out, rtol=0, atol=0)
    torch.testing.assert_close(found, gradient, rtol=1e-5, atol=1e-5)
    assert (type(ours.grad_fn).__name__ == "_EmbeddingBackward") == (name in SIDE_BY_SIDE)


def test_a_weight_that_wants_a_gradient_gets_one():
    layer = nn.Conv2d(3, 8, 4, stride=4)
    with embedding_by_products():
        layer(torch.randn(1, 3, 8, 8)).sum().backward()
    assert float(layer.weight.grad.abs().sum()) > 0
