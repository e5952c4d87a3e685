"""One interceptor for every model: rows computed from what fused kernels were given, rows of attention that is written out, hidden keys."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cam.test_attention import MODELS, left_behind, logits
from isotherm.relevance.attention import FormedRows, FusedRows, hidden_keys, recorded_attention, watched_attention


class Written(nn.Module):
    """Attention as models of transformers write it out: softmax in float32, another type, dropout, values."""

    def forward(self, query, key, value):
        products = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
        probabilities = F.softmax(products, dim=-1, dtype=torch.float32).to(query.dtype)
        return torch.matmul(F.dropout(probabilities, p=0.5, training=self.training), value)


@pytest.mark.parametrize("name", MODELS)
def test_rows_and_their_gradients_are_those_of_the_whole_matrices(name):
    model, size = MODELS[name]()
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.enable_grad(), recorded_attention(model, gradient=True) as whole:
        score = logits(model(x))[:, 1].sum()
    gradients = torch.autograd.grad(score, [call.probabilities for call in whole])
    before = left_behind(model)
    with torch.enable_grad(), watched_attention() as calls:
        score = logits(model(x))[:, 1].sum()
    assert left_behind(model) == before
    assert len(calls) == len(whole)
    assert all(isinstance(call, FormedRows if "written" in name or "eager" in name else FusedRows) for call in calls)
    outputs = torch.autograd.grad(score, [call.output for call in calls])
    queries = torch.tensor([0, 3])
    for call, matrix, at, out in zip(calls, whole, gradients, outputs, strict=True):
        for row in range(2):
            torch.testing.assert_close(
                call.rows(row, queries), matrix.probabilities[row][:, queries], atol=1e-6, rtol=1e-5
            )
            there = call.gradient_rows(out[row][:, queries], row, slice(1, 5))
            torch.testing.assert_close(there, at[row][:, queries, 1:5], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_that_is_written_out_is_followed_to_its_values(dtype):
    query, key, value = (torch.randn(2, 3, 5, 4, dtype=dtype) for _ in range(3))
    with watched_attention() as calls:
        output = Written().eval()(query, key, value)
        F.softmax(torch.randn(2, 3, 5, 5), -1)  # a softmax that is no attention: nothing is multiplied with it
        F.softmax(torch.randn(2, 3, 5, 4), -1)
    (call,) = calls
    assert call.output is output
    assert call.tokens == 5
    torch.testing.assert_close(call.value, value)
    assert call.rows(1, slice(None)).dtype == torch.float32
    torch.testing.assert_close(
        (call.rows(1, slice(None)) @ value[1].float()).to(dtype), output[1], atol=2e-2, rtol=2e-2
    )


def test_values_as_wide_as_there_are_tokens_are_no_probabilities():
    """The product of probabilities and values may have the shape of the probabilities."""
    query, key, value = (torch.randn(1, 2, 4, 4) for _ in range(3))
    with watched_attention() as calls:
        output = Written().eval()(query, key, value)
        torch.matmul(output, value)
    assert [call.output is output for call in calls] == [True]


@pytest.mark.parametrize("masked", [None, "causal"])
def test_hidden_keys_are_hidden_from_attention_that_is_written_out_as_from_fused_one(masked):
    query, key, value = (torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(i)) for i in range(3))
    hide = torch.zeros(2, 5, dtype=torch.bool)
    hide[0, 1], hide[1, 3] = True, True
    lower = torch.ones(5, 5, dtype=torch.bool).tril()

    def written():
        products = query @ key.transpose(-2, -1) / 2
        return (products.masked_fill(~lower, -torch.inf) if masked else products).softmax(-1) @ value

    with hidden_keys(hide):
        fused = F.scaled_dot_product_attention(query, key, value, is_causal=masked == "causal")
        ours = written()
    torch.testing.assert_close(ours, fused)
    assert not torch.allclose(written(), ours)
