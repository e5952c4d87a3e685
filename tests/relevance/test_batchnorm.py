"""Gradients of batch norm behind which a map of one picture is turned into tokens."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from isotherm.relevance.modules import exact_batch_norm, plain_strides


def tokens_gradient(batch: int, exact: bool):
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(6).eval()
    with torch.no_grad():
        norm.weight.normal_()
    x = torch.randn(batch, 6, 3, 5, requires_grad=True)
    toward = torch.randn(batch, 15, 6)

    def run():
        return (norm(x).flatten(2).transpose(1, 2) * toward).sum()

    if exact:
        with exact_batch_norm(norm):
            score = run()
    else:
        score = run()
    (gradient,) = torch.autograd.grad(score, x)
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    right = toward.transpose(1, 2).unflatten(2, (3, 5)) * scale[:, None, None]
    return gradient, right.detach()


@pytest.mark.parametrize("batch", [1, 3])
def test_every_cell_gets_its_own_gradient(batch):
    gradient, right = tokens_gradient(batch, exact=True)
    torch.testing.assert_close(gradient, right)


def test_hooks_are_gone_afterwards():
    norm = nn.BatchNorm2d(2)
    with exact_batch_norm(norm):
        assert norm._forward_hooks
    assert not norm._forward_hooks


def test_strides_are_changed_and_values_are_not():
    odd = torch.randn(1, 15, 6).transpose(1, 2).reshape(1, 6, 3, 5)
    assert odd.stride(0) != 90
    plain = plain_strides(odd)
    assert plain.is_contiguous()
    assert torch.equal(plain, odd)
    whole = torch.randn(2, 6, 3, 5)
    assert plain_strides(whole) is whole
