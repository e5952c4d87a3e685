"""Recorded attention: the model's own answer, the true probabilities and their gradients, nothing left behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import _get_current_function_mode_stack

from isotherm.cam.capture import record
from isotherm.cam.methods import LeGrad, Rollout, legrad, legrad_final, rollout
from isotherm.cam.observation import attention_traces, global_attention, own_score_gradients
from isotherm.cam.trace import AttentionTrace, Trace
from isotherm.cam.view import Layout
from isotherm.errors import MethodError
from isotherm.relevance.attention import attention_probabilities, recorded_attention
from isotherm.relevance.modules import resolve
from oracles import cam_formulas as oracle
from rigs.plain_classifier import make_inputs


def timm_vit(**given):
    import timm

    torch.manual_seed(0)
    settings = {"img_size": (32, 48), "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 3, "num_classes": 5}
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False, **{**settings, **given})
    return lively(model), (32, 48)


def torchvision_vit():
    from torchvision.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    model = VisionTransformer(
        image_size=32, patch_size=8, num_layers=3, num_heads=3, hidden_dim=24, mlp_dim=32, num_classes=5
    )
    nn.init.normal_(model.heads.head.weight)
    return lively(model), (32, 32)


def transformers_vit(attention="sdpa"):
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=32,
        image_size=32,
        patch_size=8,
        num_labels=5,
        attn_implementation=attention,
    )
    return lively(ViTForImageClassification(config)), (32, 32)


def lively(model):
    """Random weights large enough for attention to differ from uniform."""
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 2:
                p.mul_(4 * (24**-0.5) / p.std().clamp(min=1e-3) / 4)
    return model.eval()


MODELS = {
    "timm": timm_vit,
    "timm, written out": lambda: unfused(*timm_vit()),
    "timm, registers": lambda: timm_vit(reg_tokens=4),
    "torchvision": torchvision_vit,
    "transformers, sdpa": transformers_vit,
    "transformers, eager": lambda: transformers_vit("eager"),
}


def unfused(model, size):
    for block in model.blocks:
        block.attn.fused_attn = False
    return model, size


def logits(output) -> Tensor:
    return output if isinstance(output, Tensor) else output.logits


def left_behind(model):
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules()]
    grads = [p.grad for p in model.parameters()]
    return hooks, grads, _get_current_function_mode_stack(), F.scaled_dot_product_attention, torch.is_grad_enabled()


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


# --- which attention is over the whole picture -------------------------------------------------------


def test_models_without_global_attention_are_refused_with_advice():
    from torchvision.models import swin_transformer

    inputs = make_inputs(torch.randn(2, 3, 32, 32))
    layout = Layout("tokens", 1, (4, 4))
    cnn = nn.Conv2d(3, 4, 3)
    with recorded_attention(cnn) as calls:
        cnn(inputs.tensor)
    with pytest.raises(MethodError, match=r"no softmax attention.*hirescam"):
        global_attention(calls, layout, inputs)

    torch.manual_seed(0)
    swin = swin_transformer.SwinTransformer([4, 4], 12, [1, 1], [2, 2], [4, 4], num_classes=3).eval()
    with torch.no_grad(), recorded_attention(swin) as calls:
        swin(inputs.tensor)
    assert len(calls) == 2  # seen, but in windows
    with pytest.raises(MethodError, match=r"16 tokens in 4 window\(s\)"):
        global_attention(calls, layout, inputs)
    with pytest.raises(MethodError, match="no chain of tokens"):
        global_attention(calls, Layout("nhwc"), inputs)


# --- rollout and LeGrad ------------------------------------------------------------------------------


def vit_trace(*, own=False, gradient=True, classes=(1, 3), picture=None) -> tuple[Trace, nn.Module]:
    model, size = timm_vit(reg_tokens=2)
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(4))
    inputs, layout = make_inputs(x), Layout("tokens", 3, (4, 6), (8, 8))
    row = torch.arange(2) if picture is None else torch.tensor(picture)
    which = torch.tensor(classes)
    blocks = [f"blocks.{i}" for i in range(3)]
    with recorded_attention(model, gradient=gradient) as calls:
        rec = record(model, lambda: model(x), resolve(model, blocks), gradient=gradient)
    calls = global_attention(calls, layout, inputs)
    scores = rec.raw[row, which]
    gradients = None
    if gradient:
        gradients = rec.gradients(scores, row, also=[c.probabilities for c in calls], keep_graph=True)[3:]
    own_gradients = None
    if own:
        own_gradients = own_score_gradients(
            calls, [c.output for c in rec.calls], lambda t: model.forward_head(model.norm(t))[row, which], row
        )
    attention = attention_traces(calls, layout, inputs, row, gradients=gradients, own_gradients=own_gradients)
    return Trace(scores.detach(), row, inputs, attention=attention), model


@pytest.mark.parametrize(
    "settings",
    [{}, {"heads": "max"}, {"heads": "min"}, {"residual": 0.3}, {"discard": 0.5}, {"discard": 0.9, "heads": "max"}],
)
def test_rollout_equals_its_reference(settings):
    trace, _ = vit_trace(gradient=False)
    (m,) = Rollout(**settings)(trace)
    assert m.frame.size == (4, 6)
    for i in range(2):
        flow = oracle.rollout([b.probabilities[i].double().numpy() for b in trace.attention], **settings)
        np.testing.assert_allclose(m.values[i].numpy(), flow[0, 3:].reshape(4, 6), atol=1e-6)
        pooled = Rollout(**settings, query="cells")(trace)[0].values[i]
        np.testing.assert_allclose(pooled.numpy(), flow[3:].mean(0)[3:].reshape(4, 6), atol=1e-6)


def test_rollout_by_hand():
    """One token in front of two cells, one head. A1 = rows (0 1 0), (0 1 0), (0 0 1); A2 = rows (0 0 1), (0 1 0), (0 0 1).
    With the skip connection the first rows are (1/2 1/2 0) and (1/2 0 1/2); the cells only see themselves.
    The token's row of the product: 1/2 (1/2 1/2 0) + 1/2 (0 0 1) = (1/4 1/4 1/2)."""
    one = torch.tensor([[0.0, 1, 0], [0, 1, 0], [0, 0, 1]])[None, None]
    two = torch.tensor([[0.0, 0, 1], [0, 1, 0], [0, 0, 1]])[None, None]
    inputs = make_inputs(torch.zeros(1, 3, 4, 8))
    frame = inputs.frame.to_grid(size=(1, 2))
    blocks = tuple(AttentionTrace(f"b{i}", p, None, 1, frame) for i, p in enumerate((one, two)))
    trace = Trace(torch.zeros(1), torch.tensor([0]), inputs, attention=blocks)
    torch.testing.assert_close(rollout(trace)[0].values, torch.tensor([[[0.25, 0.5]]]))
    swapped = Trace(torch.zeros(1), torch.tensor([0]), inputs, attention=blocks[::-1])
    torch.testing.assert_close(rollout(swapped)[0].values, torch.tensor([[[0.5, 0.25]]]))  # order matters


def test_legrad_equals_its_reference_with_each_blocks_own_score():
    trace, model = vit_trace(own=True)
    (m,) = legrad(trace)
    assert m.values.min() >= 0
    assert m.frame.size == (4, 6)
    # by hand for picture 1: run block by block, probabilities as leaves
    x = model.patch_embed(trace.inputs.tensor[1:])
    x = model.norm_pre(model._pos_embed(x))
    gradients = []
    for block in model.blocks:
        a = block.attn
        h = block.norm1(x.detach())
        q, k, v = a.qkv(h).reshape(1, -1, 3, 3, 8).permute(2, 0, 3, 1, 4)
        p = (q @ k.mT * 8**-0.5).softmax(-1).detach().requires_grad_()
        behind = x.detach() + a.proj((p @ v).transpose(1, 2).flatten(2))
        behind = behind + block.mlp(block.norm2(behind))
        score = model.forward_head(model.norm(behind))[0, 3]
        gradients.append(torch.autograd.grad(score, p)[0][0].numpy())
        x = behind
    np.testing.assert_allclose(m.values[1].numpy(), oracle.legrad(gradients)[3:].reshape(4, 6), rtol=1e-3, atol=1e-7)


def test_legrad_with_the_final_score_is_another_map_under_another_name():
    trace, _ = vit_trace(own=True)
    (own,), (final,) = legrad(trace), legrad_final(trace)
    for i in range(2):
        want = oracle.legrad([b.gradient[i].numpy() for b in trace.attention])[3:].reshape(4, 6)
        np.testing.assert_allclose(final.values[i].numpy(), want, rtol=1e-4, atol=1e-8)
    # the last block's own score is the final one; the others' are not
    torch.testing.assert_close(trace.attention[-1].own_gradient, trace.attention[-1].gradient)
    assert not torch.allclose(trace.attention[0].own_gradient, trace.attention[0].gradient)
    assert not torch.allclose(own.values, final.values)
    assert legrad.name == "LeGrad"
    assert legrad_final.name == "LeGrad (final score)"


def test_several_targets_of_one_picture_get_their_own_gradients():
    several, _ = vit_trace(own=True, classes=(1, 3, 1), picture=[0, 1, 1])
    single, _ = vit_trace(own=True)
    for method in (legrad, legrad_final, rollout):
        a, b = method(several)[0].values, method(single)[0].values
        torch.testing.assert_close(a[:2], b)
    assert not torch.allclose(legrad(several)[0].values[2], legrad(several)[0].values[1])
    torch.testing.assert_close(rollout(several)[0].values[2], rollout(several)[0].values[1])


def test_what_a_trace_lacks_is_told():
    trace, _ = vit_trace()
    assert trace.attention[0].own_gradient is None
    with pytest.raises(MethodError, match="use legrad_final"):
        legrad(trace)
    bare, _ = vit_trace(gradient=False)
    with pytest.raises(MethodError, match=r"blocks\.0.*recorded without"):
        legrad_final(bare)
    with pytest.raises(MethodError, match="no plain vision"):
        rollout(Trace(trace.scores, trace.picture, trace.inputs))
    inputs = make_inputs(torch.zeros(1, 3, 8, 8))
    frame = inputs.frame.to_grid(size=(2, 2))
    uneven = tuple(AttentionTrace("b", torch.ones(1, 1, n, n) / n, None, n - 4, frame) for n in (4, 5))
    with pytest.raises(MethodError, match="different numbers of tokens"):
        rollout(Trace(torch.zeros(1), torch.tensor([0]), inputs, attention=uneven))
    with pytest.raises(MethodError, match="no token in front"):
        Rollout(query="first")(Trace(torch.zeros(1), torch.tensor([0]), inputs, attention=uneven[:1]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rollout(residual=1.0),
        lambda: Rollout(discard=1.0),
        lambda: Rollout(heads="sum"),
        lambda: LeGrad(score="mean"),
        lambda: Rollout(query="cls"),
    ],
)
def test_settings_that_cannot_be_are_refused(make):
    with pytest.raises((MethodError, TypeError), match=r"expected|share|heads|score|query"):
        make()


def test_own_scores_need_one_block_per_attention():
    trace, model = vit_trace()
    with torch.no_grad(), recorded_attention(model, gradient=True) as calls:
        model(trace.inputs.tensor)
    with pytest.raises(MethodError, match="one block per attention"):
        own_score_gradients(calls, [], lambda t: t.sum((1, 2)), torch.arange(2))
    unrelated = [torch.randn(2, 27, 24, requires_grad=True) for _ in calls]
    with pytest.raises(MethodError, match="do not depend on its attention"):
        own_score_gradients(calls, unrelated, lambda t: t.sum((1, 2)), torch.arange(2))
