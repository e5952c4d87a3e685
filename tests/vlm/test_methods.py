"""Methods on a view whose score is known: values by hand, sums that must hold, and slow matrices beside the quick ones."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from isotherm.errors import MethodError, OptionError
from isotherm.relevance.attention import watched_attention
from isotherm.relevance.hidden import hidden_keys
from isotherm.vlm.fills import filled
from isotherm.vlm.guards import attention_sinks
from isotherm.vlm.methods import (
    Attention,
    AttentionGradient,
    Chefer,
    GradCam,
    GradientActivation,
    IntegratedGradients,
    Rise,
    Rollout,
    TokenActivation,
    TokenOcclusion,
)
from isotherm.vlm.question import Question
from isotherm.vlm.scores import Custom
from isotherm.vlm.trace import record
from rigs.toy_language_view import Toy

WEIGHT = torch.tensor([1.0, -2.0, 0.5])


def linear(tokens, said):
    return torch.stack([tokens[0] @ WEIGHT, tokens[3] @ WEIGHT * 3])


def squared(tokens, said):
    return torch.stack([(tokens @ WEIGHT).square().sum(), tokens.sum()])


def trace_of(rule, needs=frozenset({"gradient"}), *, index: int = 0, streams=None):
    given = streams or (
        torch.arange(12.0).view(4, 3) / 5,
        torch.ones(4, 3) * torch.tensor([[1.0], [2.0], [0.0], [1.0]]),
    )
    view = Toy(rule, ["a", "?"], given, (2, 2))
    question = Question.of(view, view.ask([view.picture()], "what ?"))
    (trace,) = record(question, Custom(lambda logits: logits[0, index])(question), needs)
    return trace


def test_gradient_x_activation_of_a_linear_score_is_what_each_token_adds():
    trace = trace_of(linear)
    streams = [s[0] for s in trace.question.streams]
    expected = torch.zeros(4)
    expected[0] = sum(((s[0] - s.mean(0)) @ WEIGHT for s in streams), torch.tensor(0.0))
    torch.testing.assert_close(GradientActivation()(trace), expected)
    plain = GradientActivation(centre=False)(trace)
    torch.testing.assert_close(
        plain[0], trace.question.streams[0][0, 0] @ WEIGHT + trace.question.streams[1][0, 0] @ WEIGHT
    )


def test_occlusion_of_a_linear_score_is_gradient_x_activation():
    trace = trace_of(linear, index=1)
    torch.testing.assert_close(TokenOcclusion()(trace), GradientActivation()(trace), atol=1e-5, rtol=1e-5)


def test_integrated_gradients_add_up_to_what_the_score_gains():
    trace = trace_of(squared)
    gone = torch.ones(1, 4, dtype=torch.bool)
    gained = trace.score - float(filled(trace, gone, "mean"))
    values = IntegratedGradients(steps=5, batch=2)(trace)  # exact for squares at any number of midpoints
    assert float(values.sum()) == pytest.approx(gained, rel=1e-5)
    # by hand: each token's share of a square's difference
    tokens = sum(s[0] for s in trace.question.streams)
    start = tokens.mean(0, keepdim=True)
    torch.testing.assert_close(
        values, (tokens @ WEIGHT).square() - (start @ WEIGHT).square() - 0 * values, atol=1e-3, rtol=1e-3
    )


def test_gradcam_by_hand():
    trace = trace_of(linear)
    weights = WEIGHT / 4  # the mean over four tokens of a gradient that is at one
    expected = sum((s[0] - s[0].mean(0)) @ weights for s in trace.question.streams).clamp(min=0)
    torch.testing.assert_close(GradCam()(trace), expected)


def test_rise_finds_the_token_that_counts():
    trace = trace_of(lambda tokens, said: torch.stack([tokens[2].sum(), tokens.sum()]))
    values = Rise(masks=400, cells=1)(trace)
    assert int(values.argmax()) == 2 or float(trace.centred()[0][2].sum() + trace.centred()[1][2].sum()) < 0
    again = Rise(masks=400, cells=1)(trace)
    assert torch.equal(values, again)
    with pytest.raises(OptionError, match="at least 2 masks"):
        Rise(masks=1)


def test_token_activation_reads_one_column():
    trace = trace_of(linear, needs=frozenset())
    values = TokenActivation()(trace)
    assert values.shape == (4,)
    assert bool((values >= 0).all())


def test_fills(unchecked):
    trace = trace_of(linear)
    gone = torch.tensor([[True, False, False, False]])
    assert float(filled(trace, gone, "mask")) == 0.0  # nobody sees the only token that counts
    blurred = float(filled(trace, gone, "blur"))
    assert blurred == pytest.approx(
        float(filled(trace, gone, "mean")), rel=1e-4
    )  # a blur of 7 cells over 2 x 2 is their mean
    with pytest.raises(OptionError, match=r"[Ii]t takes mean, blur, mask"):
        filled(trace, gone, "zero")  # type: ignore[arg-type]


# --- attention: rows and their gradients beside attention written out -------------------------------------


def attend(q, k, v, mask, causal):
    scale = q.shape[-1] ** -0.5
    if k.shape[1] != q.shape[1]:
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
    products = q @ k.transpose(-1, -2) * scale
    if causal:
        products = products.masked_fill(~torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool).tril(), -torch.inf)
    if mask is not None:
        products = products.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else products + mask
    p = products.softmax(-1)
    p.retain_grad()
    return p, p @ v


@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize("masked", ["none", "causal", "bool", "added"])
def test_rows_and_gradients_of_fused_attention(groups, masked):
    torch.manual_seed(1)
    q, k, v = torch.randn(2, 4, 6, 8), torch.randn(2, groups, 6, 8), torch.randn(2, groups, 6, 5)
    q.requires_grad_()
    allowed = torch.rand(2, 1, 6, 6) < 0.7
    allowed |= torch.eye(6, dtype=torch.bool)
    mask = {"bool": allowed, "added": torch.zeros(2, 1, 6, 6).masked_fill(~allowed, -1e9)}.get(masked)
    causal = masked == "causal"
    p, out = attend(q, k, v, mask, causal)
    weight = torch.randn_like(out)
    (out * weight).sum().backward()
    with watched_attention() as kept:
        fused = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=groups != 4)
    torch.testing.assert_close(fused, out, atol=1e-5, rtol=1e-4)
    (g,) = torch.autograd.grad((fused * weight).sum(), kept[0].output)
    queries = torch.tensor([1, 5])
    torch.testing.assert_close(kept[0].rows(1, queries), p[1][:, queries].detach(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(kept[0].gradient_rows(g[1][:, queries], 1), p.grad[1][:, queries], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("masked", ["none", "causal", "added"])
def test_hidden_keys_are_seen_by_none_but_themselves(masked):
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 2, 5, 4) for _ in range(3))
    mask = torch.zeros(1, 1, 5, 5) if masked == "added" else None
    hide = torch.tensor([[False, True, False, False, False]])
    with hidden_keys(hide):
        before = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=masked == "causal")
        v2, k2 = v.clone(), k.clone()
        v2[:, :, 1], k2[:, :, 1] = 9.0, -3.0
        after = F.scaled_dot_product_attention(q, k2, v2, attn_mask=mask, is_causal=masked == "causal")
    others = [0, 2, 3, 4]
    torch.testing.assert_close(before[:, :, others], after[:, :, others])
    assert not torch.allclose(before[:, :, 1], after[:, :, 1])
    if masked == "causal":
        torch.testing.assert_close(before[:, :, 0], v[:, :, 0])


def test_followed_attention_is_a_row_of_the_product(families):
    """Rollout and Chefer beside whole matrices of an eager model with gradients from autograd."""
    view, question = families("qwen2_vl")
    target = Custom(lambda logits: logits[0, 7])
    (trace,) = record(question, target(question), frozenset({"attention", "attention_gradient"}))
    matrices, gradients = eager_attention(view, question, 7)
    length = matrices[0].shape[-1]
    eye = torch.eye(length)
    rolled, relevance = eye, eye
    for p, g in zip(matrices, gradients, strict=True):
        rolled = (p.mean(0) + eye) / 2 @ rolled
        relevance = relevance + (p * g).clamp(min=0).mean(0) @ relevance
    at = trace.positions
    torch.testing.assert_close(Rollout()(trace), rolled[-1][at], atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(Chefer()(trace), relevance[-1][at], atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(Attention()(trace), torch.stack(matrices).mean((0, 1))[-1][at], atol=1e-5, rtol=1e-3)
    expected = torch.stack([p * g.clamp(min=0) for p, g in zip(matrices, gradients, strict=True)]).mean((0, 1))[-1][at]
    torch.testing.assert_close(AttentionGradient(queries="answer")(trace), expected, atol=1e-6, rtol=1e-3)
    everyone = (
        torch.stack([p * g.clamp(min=0) for p, g in zip(matrices, gradients, strict=True)]).mean((0, 1)).sum(0)[at]
    )
    torch.testing.assert_close(AttentionGradient()(trace), everyone, atol=1e-6, rtol=1e-3)


def test_attention_that_cannot_be_read_is_refused():
    with pytest.raises(MethodError, match="0 of 1 layers of this language model go through"):
        record(
            trace_of(linear).question,
            Custom(lambda logits: logits[0, 0])(trace_of(linear).question),
            frozenset({"attention"}),
        )


@pytest.mark.parametrize("family", ["llava", "qwen2_vl"])
def test_attention_that_is_written_out_gives_the_maps_of_fused_attention(families, family):
    view, question = families(family)
    target = Custom(lambda logits: logits[0, 7])
    methods = [Attention(), AttentionGradient(), AttentionGradient(queries="answer"), Rollout(), Chefer()]
    gone = torch.zeros(2, question.tokens, dtype=torch.bool)
    gone[0, :2], gone[1, 3] = True, True

    def read():
        (trace,) = record(question, target(question), frozenset({"attention", "attention_gradient"}))
        return [*(method(trace) for method in methods), attention_sinks(trace), filled(trace, gone, "mask")]

    fused = read()
    view.model.set_attn_implementation("eager")
    try:
        written = read()
    finally:
        view.model.set_attn_implementation("sdpa")
    for ours, theirs in zip(written, fused, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-3)
    assert len(set(fused[-1].tolist())) == 2


def eager_attention(view, question, token):
    """Every layer's probabilities and the gradient of a logit at them, from attention that is written out."""
    from isotherm.relevance.attention import recorded_attention

    with torch.enable_grad(), recorded_attention(view.model, gradient=True) as calls:
        reading = view.read(question.prompt, question.streams, torch.zeros(1, 0, dtype=torch.long))
        grads = torch.autograd.grad(reading.logits[0, -1, token], [c.probabilities for c in calls])
    return [c.probabilities[0].detach() for c in calls], [g[0] for g in grads]
