"""Traces of attention: which of it goes over the whole picture, rollout and LeGrad beside their references."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from isotherm.cam.capture import record
from isotherm.cam.methods import LeGrad, Rollout, legrad, legrad_final, rollout
from isotherm.cam.observation import attention_traces, global_attention, own_score_gradients
from isotherm.cam.trace import AttentionTrace, Trace
from isotherm.cam.view import Layout
from isotherm.errors import MethodError
from isotherm.relevance.attention import recorded_attention
from isotherm.relevance.modules import resolve
from oracles import cam_formulas as oracle
from rigs.attention_models import timm_vit
from rigs.plain_classifier import make_inputs

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
