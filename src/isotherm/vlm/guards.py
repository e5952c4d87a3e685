"""What makes a map of a language model meaningless: found out, mended or refused, and said."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.errors import MethodError
from isotherm.relevance.method import Method
from isotherm.vlm.nonfinite import values_not_finite
from isotherm.vlm.pixel_cells import check_places
from isotherm.vlm.trace import CentringMethod, SharingMethod, TokenTrace, token_values

CANCELS = 1e-3
"""|sum_c g a| over sum_c |g a| below which the sum over channels is rounding."""
SURE = 0.9999
"""Probability from which log p hardly moves any more."""
SINK_SHARE, SINK_VALUE = 0.1, 0.3
"""A sink gets at least this share of the attention on the pictures, and its value vector is at most this part of the
median's length.
"""


def guarded(method: Method, traces: Sequence[TokenTrace]) -> list[tuple[Float[Tensor, " n"], list[str]]]:
    """The method's values for each target of one question, and what a person should know about them.

    Raises:
        MethodError: there is nothing to show: no gradient reaches any vision token, or none stands for a place.
        NonFiniteError: a value is NaN or infinite.
    """
    for trace in traces:
        check_places([method], trace.question.prompt)
    looked = [_looked_at(method, trace) for trace in traces]
    sharing = isinstance(method, SharingMethod) and all(m is method for m, _ in looked)
    every = (
        method.together(traces)  # type: ignore[attr-defined]
        if sharing
        else [token_values(m(trace)) for (m, _), trace in zip(looked, traces, strict=True)]
    )
    return [
        _checked(method, trace, values, notes) for trace, values, (_, notes) in zip(traces, every, looked, strict=True)
    ]


def _looked_at(method: Method, trace: TokenTrace) -> tuple[Method, list[str]]:
    """The method, mended where its values would be rounding."""
    notes = []
    used = method
    if (gradients := _gradients(method, trace)) is not None:
        notes += _streams(trace, gradients)
    cancels = isinstance(method, CentringMethod) and trace.gradients is not None and not method.centre
    if cancels and (left := cancellation(trace)) < CANCELS:
        used = method.centred()  # type: ignore[attr-defined]
        notes.append(
            f"gradient x activation sums to {left:.0e} of its parts here, because a norm follows that does not see a token's scale; the mean was taken off instead"
        )
    notes += _saturated(trace)
    if "hidden" in method.needs and _blind(trace):
        notes.append(
            "the picture stands before the question and no token sees those behind it: what the vision tokens would say does not depend on the question"
        )
    return used, notes


def _checked(
    method: Method, trace: TokenTrace, values: Float[Tensor, " n"], notes: list[str]
) -> tuple[Float[Tensor, " n"], list[str]]:
    if not bool(torch.isfinite(values).all()):
        raise values_not_finite(method.name, trace, values)
    if "attention" in method.needs:
        sinks = attention_sinks(trace)
        if bool(sinks.any()) and not bool(sinks.all()):
            values = torch.where(sinks.to(values.device), values[~sinks.to(values.device)].median(), values)
            sink = f"{int(sinks.sum())} vision token(s) take attention from every word and give next to nothing back (attention sinks); they are shown as the median"
            return values, [*notes, sink]
    return values, notes


def _gradients(method: Method, trace: TokenTrace) -> Sequence[Tensor] | None:
    """Those that the method rests on."""
    if "frozen_gradient" in method.needs:
        return trace.need_frozen_gradients()
    return trace.gradients if "gradient" in method.needs else None


def cancellation(trace: TokenTrace) -> float:
    """|sum over channels of g a| relative to the sum of |g a|, over all tokens and streams."""
    pairs = list(zip(trace.need_gradients(), trace.activations, strict=True))
    net = sum(float((g * a).sum(-1).abs().sum()) for g, a in pairs)
    gross = sum(float((g * a).abs().sum()) for g, a in pairs)
    return net / gross if gross > 0 else 1.0


def attention_sinks(trace: TokenTrace) -> Bool[Tensor, " n"]:
    """Vision tokens that are attended to, but whose values are short: nothing is read from them.

    Source: Xiao et al., "Efficient streaming language models with attention sinks" (ICLR 2024); Kang et al., "See what
        you are told" (ICLR 2025).
    """
    share, lengths = [], []
    for read in trace.reads:
        for layer in read:
            at = trace.positions.to(layer.call.value.device)
            share.append(layer.probabilities()[..., at].mean((0, 1)))
            lengths.append(layer.call.value[layer.row][:, at].float().norm(dim=-1).mean(0))
    if not share:
        return torch.zeros(trace.question.tokens, dtype=torch.bool)
    looked = torch.stack(share).mean(0)
    length = torch.stack([v / v.median().clamp(min=1e-12) for v in lengths]).mean(0)
    return ((looked / looked.sum().clamp(min=1e-12) > max(SINK_SHARE, 4 / len(looked))) & (length < SINK_VALUE)).cpu()


def _streams(trace: TokenTrace, gradients: Sequence[Tensor]) -> list[str]:
    silent = [i for i, g in enumerate(gradients) if not bool(g.any())]
    if len(silent) == len(gradients):
        raise MethodError(
            f"no vision token changes the {trace.target.label}: every gradient is exactly 0 (the softmax may be saturated); explain a logit or a contrast"
        )
    return [
        f"deepstack layer {i} has no gradient at all and adds nothing to the map"
        if i
        else "the merged tokens have no gradient; only deepstack adds to the map"
        for i in silent
    ]


def _saturated(trace: TokenTrace) -> list[str]:
    if trace.target.of != "log_prob" or trace.score < math.log(SURE) * len(trace.target.steps):
        return []
    return [
        f"the model is sure of this (log p = {trace.score:.1e}), so log p hardly moves with the picture; a logit, a contrast or the expected number says more"
    ]


def _blind(trace: TokenTrace) -> bool:
    last = int(trace.positions.max())
    behind = trace.question.prompt.ids[last + 1 :].tolist()
    return trace.question.view.causal and len(set(behind) & set(trace.question.prompt_tokens())) > 0
