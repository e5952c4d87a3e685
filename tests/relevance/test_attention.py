"""One interceptor for every model: rows computed from what fused kernels were given, rows of attention that is written out, hidden keys."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from isotherm.relevance.attention import (
    FormedRows,
    FusedRows,
    attention_probabilities,
    recorded_attention,
    watched_attention,
)
from isotherm.relevance.grad_mode import gradients_kept
from isotherm.relevance.hidden import hidden_keys
from isotherm.relevance.still import still_attention
from rigs.attention_models import MODELS, left_behind, logits, timm_vit

# --- whole matrices -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("gradient", [False, True])
def test_every_block_is_recorded_and_the_answer_stays(name, gradient):
    model, size = MODELS[name]()
    x = torch.randn(2, 3, *size)
    before = left_behind(model)
    with torch.no_grad():
        want = logits(model(x))
        with recorded_attention(model, gradient=gradient) as calls:
            got = logits(model(x))
    assert left_behind(model) == before
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
    assert len(calls) == 3
    for i, call in enumerate(calls):
        b, heads, n, _ = call.probabilities.shape
        assert (b, heads) == (2, 3)
        assert n >= size[0] * size[1] // 64 + (0 if "gap" in name else 1)
        torch.testing.assert_close(call.probabilities.sum(-1), torch.ones(b, heads, n))
        assert call.probabilities.std() > 1e-3  # not uniform: a mistake in them would show
        assert call.probabilities.requires_grad == gradient
        assert str(i) in call.name
    assert got.requires_grad == gradient


@pytest.mark.parametrize("pair", [("timm", "timm, written out"), ("transformers, sdpa", "transformers, eager")])
def test_fused_and_written_out_attention_have_the_same_probabilities_and_gradients(pair):
    seen = []
    for name in pair:
        model, size = MODELS[name]()
        x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
        with torch.no_grad(), recorded_attention(model, gradient=True) as calls:
            score = logits(model(x))[:, 2].sum()
        seen.append((calls, torch.autograd.grad(score, [c.probabilities for c in calls])))
    (calls_a, grads_a), (calls_b, grads_b) = seen
    for a, b in zip(calls_a, calls_b, strict=True):
        torch.testing.assert_close(a.probabilities, b.probabilities, rtol=1e-4, atol=1e-6)
    for a, b in zip(grads_a, grads_b, strict=True):
        assert b.abs().max() > 1e-4
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("need_weights", [False, True])
def test_multi_head_attention_by_its_own_weights(need_weights, masked):
    """nn.MultiheadAttention, whose returned weights are a copy without a way to the output: ours have one."""
    layer = nn.MultiheadAttention(12, 3, batch_first=True).eval()
    x = torch.randn(2, 5, 12)
    mask = torch.zeros(5, 5, dtype=torch.bool).index_fill_(1, torch.tensor([3]), True) if masked else None
    want, weights = layer(x, x, x, need_weights=need_weights, attn_mask=mask)
    with recorded_attention(layer, gradient=True) as calls:
        got, got_weights = layer(x, x, x, need_weights=need_weights, attn_mask=mask)
    torch.testing.assert_close(got, want)
    if need_weights:
        torch.testing.assert_close(got_weights, weights)
    else:
        assert got_weights is None
    (call,) = calls
    if masked:
        assert float(call.probabilities[..., 3].detach().abs().max()) == 0
    (gradient,) = torch.autograd.grad(got.square().sum(), call.probabilities)
    # by hand: out = concat(P V) W + b
    q, k, v = (x @ layer.in_proj_weight.T + layer.in_proj_bias).unflatten(-1, (3, 3, 4)).permute(2, 0, 3, 1, 4)
    products = q @ k.mT / 2
    p = (products if mask is None else products.masked_fill(mask, -torch.inf)).softmax(-1).detach().requires_grad_()
    out = (p @ v).transpose(1, 2).flatten(2) @ layer.out_proj.weight.T + layer.out_proj.bias
    (want_gradient,) = torch.autograd.grad(out.square().sum(), p)
    torch.testing.assert_close(call.probabilities, p)
    torch.testing.assert_close(gradient, want_gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [{}, {"is_causal": True}, {"scale": 0.3}, {"attn_mask": "bool"}, {"attn_mask": "float"}, {"enable_gqa": True}],
)
def test_the_open_attention_is_torchs_fused_attention(settings):
    q, k, v = (torch.randn(2, 4, 6, 8) for _ in range(3))
    settings = dict(settings)
    if "attn_mask" in settings:
        allowed = torch.rand(2, 1, 6, 6) > 0.4
        allowed[0, 0, 2] = False  # one query that may look at nothing
        settings["attn_mask"] = (
            allowed if settings["attn_mask"] == "bool" else torch.zeros(2, 1, 6, 6).masked_fill(~allowed, -torch.inf)
        )
    if settings.get("enable_gqa"):
        k, v = k[:, :2], v[:, :2]
    want = F.scaled_dot_product_attention(q, k, v, **settings)
    with recorded_attention(nn.Identity()) as calls:
        got = F.scaled_dot_product_attention(q, k, v, **settings)
    torch.testing.assert_close(got, want.nan_to_num(), rtol=1e-4, atol=1e-5)
    assert len(calls) == 1
    torch.testing.assert_close(calls[0].probabilities, attention_probabilities(q, k, **settings))


def test_cross_attention_and_other_softmaxes_are_not_kept():
    q, kv = torch.randn(1, 2, 3, 4), torch.randn(1, 2, 7, 4)
    with recorded_attention(nn.Identity()) as calls:
        out = F.scaled_dot_product_attention(q, kv, kv)
        torch.randn(2, 3, 5, 5).softmax(1)
        torch.randn(4, 9).softmax(-1)
    assert calls == []
    torch.testing.assert_close(out, F.scaled_dot_product_attention(q, kv, kv))


def test_nothing_is_left_behind_after_an_exception():
    class Fails(nn.Module):
        def forward(self, x):
            raise RuntimeError("on purpose")

    model, size = timm_vit()
    model.blocks[1].mlp = Fails()
    before = left_behind(model)
    with pytest.raises(RuntimeError, match="on purpose"), torch.no_grad(), recorded_attention(model, gradient=True):
        model(torch.randn(1, 3, *size))
    assert left_behind(model) == before


def test_half_precision_attention_is_recorded_in_float32():
    model, size = timm_vit()
    x = torch.randn(1, 3, *size)
    with torch.no_grad(), recorded_attention(model) as full:
        model(x)
    with torch.no_grad(), recorded_attention(model.bfloat16()) as half:
        assert model(x.bfloat16()).dtype == torch.bfloat16
    assert half[0].probabilities.dtype == torch.float32
    torch.testing.assert_close(half[0].probabilities, full[0].probabilities, atol=0.05, rtol=0.1)


# --- rows ---------------------------------------------------------------------------------------------


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


def test_a_sink_is_no_token_that_attention_reads():
    """A column beside the products, as GPT-OSS has it; what is left of each row sums to less than one."""
    query, key, value, sink = (torch.randn(1, 2, 4, n) for n in (3, 3, 3, 1))
    products = query @ key.transpose(-2, -1)
    shares = torch.cat([products, sink], -1).softmax(-1)[..., :-1]

    def written():
        return F.softmax(torch.cat([products, sink], -1), -1)[..., :-1].to(value.dtype) @ value

    products.requires_grad_()
    with watched_attention() as watched, gradients_kept(nn.Identity(), begun=True):
        output = written()
    products = products.detach()
    with recorded_attention(nn.Identity(), gradient=True) as calls:
        recorded = written()
    torch.testing.assert_close(watched[0].rows(0, slice(None)), shares[0])
    assert watched[0].output is output
    torch.testing.assert_close(calls[0].probabilities.detach(), shares)
    (gradient,) = torch.autograd.grad(recorded.sum(), calls[0].probabilities)
    torch.testing.assert_close(gradient[0], watched[0].gradient_rows(torch.ones(2, 4, 3), 0))
    hide = torch.tensor([[False, True, False, False]])
    with hidden_keys(hide):
        hidden = written()
    products = products.masked_fill(hide & ~torch.eye(4, dtype=torch.bool), -torch.inf)
    torch.testing.assert_close(hidden, torch.cat([products, sink], -1).softmax(-1)[..., :-1] @ value)
    with still_attention():
        assert torch.equal(written(), value)


def test_one_key_more_that_is_not_left_out_is_attention_to_others():
    query, key, value = torch.randn(1, 2, 4, 3), torch.randn(1, 2, 5, 3), torch.randn(1, 2, 5, 3)
    with watched_attention() as calls, still_attention():
        output = Written().eval()(query, key, value)
    torch.testing.assert_close(output, Written().eval()(query, key, value))
    assert not calls
