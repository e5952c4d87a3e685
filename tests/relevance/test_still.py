"""Attention that passes nothing on: each token has its own value, and cross-attention is as it was."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from isotherm.relevance.still import still_attention


def test_every_token_keeps_its_own_value_fused_and_written_out():
    q, k, v = torch.randn(3, 2, 4, 5, 8).unbind()
    with still_attention():
        assert torch.equal(F.scaled_dot_product_attention(q, k, v), v)
        written = (q @ k.transpose(-2, -1)).softmax(-1) @ v
    assert torch.equal(written, v)
    assert not torch.allclose(F.scaled_dot_product_attention(q, k, v), v)


def test_groups_of_heads_get_the_value_of_their_group():
    q, (k, v) = torch.randn(1, 6, 5, 8), torch.randn(2, 1, 2, 5, 8).unbind()
    with still_attention():
        out = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    assert torch.equal(out, v.repeat_interleave(3, 1))


def test_what_attends_to_others_is_left_alone():
    q, k, v = torch.randn(1, 2, 3, 8), torch.randn(1, 2, 5, 8), torch.randn(1, 2, 5, 8)
    with still_attention():
        assert torch.equal(F.scaled_dot_product_attention(q, k, v), F.scaled_dot_product_attention(q, k, v))
        inside = F.scaled_dot_product_attention(q, k, v)
    assert torch.allclose(inside, F.scaled_dot_product_attention(q, k, v))


def test_a_change_of_one_token_stays_with_it():
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, dropout=0.0).train(False)
    x = torch.randn(1, 6, 16)
    y = x.clone()
    y[0, 2] += 1
    with torch.no_grad(), still_attention():
        moved = (layer(y) - layer(x)).abs().amax(-1)[0]
    assert moved[2] > 0.1
    assert moved[[0, 1, 3, 4, 5]].max() < 1e-6
