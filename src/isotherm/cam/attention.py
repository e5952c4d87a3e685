"""Recording attention: the softmax probabilities of every block, with the graph through them.

Fused attention never forms the probabilities. While a model runs inside :func:`recorded_attention`, every call of
``scaled_dot_product_attention`` is computed in the open instead, with the same result up to rounding, and what it
forms on the way is kept. That covers timm, transformers and ``nn.MultiheadAttention`` (torchvision), whose own code
runs unchanged around it; attention that is written out already is recognised by its softmax. It is done with a
torch-function mode: nothing in the model or in torch is changed, and nothing is left behind.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from isotherm.cam.breaks import differentiate
from isotherm.cam.grad_mode import begin_graph, gradients_kept
from isotherm.cam.receptive import Field
from isotherm.cam.trace import AttentionTrace
from isotherm.cam.view import Inputs, Layout
from isotherm.errors import MethodError

SOFTMAX = (F.softmax, torch.softmax, Tensor.softmax)


@dataclass(frozen=True, eq=False)
class AttentionCall:
    """One self-attention in a forward pass: the module that did it, and its probabilities, (rows, heads, n, n).

    ``rows`` is the batch, or batch times windows.
    """

    name: str
    probabilities: Float[Tensor, "r a n n"]


@contextmanager
def recorded_attention(model: nn.Module, *, gradient: bool = False) -> Iterator[list[AttentionCall]]:
    """A list that fills with every self-attention that the model does inside the block, in order of execution.

    Args:
        model: its modules' names are given to the calls.
        gradient: keep the graph from the first attention on, so that gradients at the probabilities can be taken;
            gradient mode is then left on until a surrounding ``torch.no_grad()`` ends, or, inside of
            :func:`isotherm.cam.grad_mode.gradients_kept`, until that ends.

    Cross-attention (other keys than queries) is not kept.
    """
    calls: list[AttentionCall] = []
    inside: list[str] = []
    with ExitStack() as stack:
        for name, module in model.named_modules():
            stack.callback(module.register_forward_pre_hook(_entering(inside, name)).remove)
            stack.callback(module.register_forward_hook(_leaving(inside), always_call=True).remove)
        stack.enter_context(_Open(calls, inside, gradient))
        yield calls


def _entering(inside: list[str], name: str) -> Callable[[Any, Any], None]:
    return lambda _module, _args: inside.append(name)


def _leaving(inside: list[str]) -> Callable[[Any, Any, Any], None]:
    def hook(_module: Any, _args: Any, _output: Any) -> None:
        inside.pop()

    return hook


class _Open(TorchFunctionMode):
    def __init__(self, calls: list[AttentionCall], inside: list[str], gradient: bool) -> None:
        super().__init__()
        self.calls, self.inside, self.gradient = calls, inside, gradient

    def __torch_function__(self, func, types_, args=(), kwargs=None):  # type: ignore[override]
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return self._attend(*args, **kwargs)
        if func is F.multi_head_attention_forward:
            return self._multi_head(*args, **kwargs)
        output = func(*args, **kwargs)
        if func in SOFTMAX and _is_square(output) and _last_dim(output, args, kwargs):
            return self._keep(output)
        return output

    def _keep(self, probabilities: Tensor) -> Tensor:
        name = self.inside[-1] if self.inside else ""
        if self.gradient:
            begin_graph(f"{name or 'the model'} (its attention)")
            if not probabilities.requires_grad:
                probabilities = probabilities.detach().clone().requires_grad_()
        self.calls.append(AttentionCall(name, probabilities if self.gradient else probabilities.detach()))
        return probabilities

    def _attend(
        self, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, *, scale=None, enable_gqa=False
    ) -> Tensor:
        probabilities = attention_probabilities(
            query, key, attn_mask=attn_mask, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa
        )
        if _is_square(probabilities):
            probabilities = self._keep(probabilities)
        if dropout_p:
            probabilities = F.dropout(probabilities, dropout_p)
        if enable_gqa:
            value = value.repeat_interleave(query.shape[-3] // value.shape[-3], dim=-3)
        return probabilities.to(value.dtype) @ value

    def _multi_head(self, *args, need_weights=True, average_attn_weights=True, **kwargs):
        # torch's own function, with our attention in its namespace: its mask and projection rules stay torch's.
        # With need_weights it would return a copy of the probabilities that the graph does not pass through.
        formed: list[Tensor] = []

        def attend(*inner, **options):
            probabilities = attention_probabilities(
                *inner[:2], attn_mask=inner[3] if len(inner) > 3 else None, is_causal=bool(len(inner) > 5 and inner[5])
            )
            if _is_square(probabilities):
                probabilities = self._keep(probabilities)
            formed.append(probabilities)
            dropout = inner[4] if len(inner) > 4 else 0.0
            return (F.dropout(probabilities, dropout) if dropout else probabilities).to(inner[2].dtype) @ inner[2]

        original = F.multi_head_attention_forward
        names = {**original.__globals__, "has_torch_function": lambda _: False, "scaled_dot_product_attention": attend}
        opened = types.FunctionType(original.__code__, names, original.__name__, original.__defaults__)
        opened.__kwdefaults__ = original.__kwdefaults__
        output, _ = opened(*args, need_weights=False, average_attn_weights=average_attn_weights, **kwargs)
        if not need_weights:
            return output, None
        weights = formed[0].to(output.dtype)
        if average_attn_weights:
            weights = weights.mean(1)
        return output, weights if output.ndim == 3 else weights[0]


def attention_probabilities(
    query: Float[Tensor, "*r q d"],
    key: Float[Tensor, "*s k d"],
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Float[Tensor, "*r q k"]:
    """Softmax of the scaled products, in at least float32; the arguments are those of scaled_dot_product_attention.

    A query that the mask keeps from every key gets probabilities 0, as in torch's fused kernels.

    Source: Vaswani et al., "Attention is all you need" (NeurIPS 2017), eq. 1.
    """
    dtype = torch.promote_types(query.dtype, torch.float32)
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], dim=-3)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    products = (query.to(dtype) * scale) @ key.to(dtype).transpose(-2, -1)
    if is_causal:
        attn_mask = torch.ones(products.shape[-2:], dtype=torch.bool, device=products.device).tril()
    if attn_mask is None:
        return products.softmax(-1)
    if attn_mask.dtype == torch.bool:
        products = products.masked_fill(~attn_mask, -math.inf)
    else:
        products = products + attn_mask.to(dtype)
    blind = (products == -math.inf).all(-1, keepdim=True)
    return products.masked_fill(blind, 0.0).softmax(-1).masked_fill(blind, 0.0)


def _is_square(probabilities: Any) -> bool:
    return (
        isinstance(probabilities, Tensor)
        and probabilities.ndim == 4
        and probabilities.shape[-1] == probabilities.shape[-2] > 1
    )


def _last_dim(output: Tensor, args: tuple, kwargs: dict) -> bool:
    dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    return dim in (-1, output.ndim - 1)


def global_attention(calls: Sequence[AttentionCall], layout: Layout, inputs: Inputs) -> list[AttentionCall]:
    """The calls that attend over all tokens of a picture: one row per picture, as many tokens as the layout has.

    Args:
        calls: from :func:`recorded_attention`. layout: of the model's token layers. inputs: what the model was fed.

    Raises:
        MethodError: there is none; the message says what there is instead.
    """
    if not calls:
        raise MethodError(
            "this model has no softmax attention (it is a convolutional network, or its attention is a kernel of its own), "
            "so rollout and LeGrad have nothing to read; use a method such as hirescam"
        )
    if layout.grid is None:
        raise MethodError(
            "this model attends, but its layers hold maps and no chain of tokens (Swin, or attention inside of a convolutional "
            "network), so rollout and LeGrad do not apply; use a method such as hirescam"
        )
    tokens = layout.prefix + layout.grid[0] * layout.grid[1]
    fitting = [
        call for call in calls if call.probabilities.shape[0] == len(inputs) and call.probabilities.shape[-1] == tokens
    ]
    if not fitting:
        seen = ", ".join(
            sorted(
                {
                    f"{c.probabilities.shape[-1]} tokens in {c.probabilities.shape[0] // len(inputs)} window(s)"
                    for c in calls
                }
            )
        )
        raise MethodError(
            f"no attention of this model goes over the whole picture ({tokens} tokens): there is {seen}; "
            "windowed attention has no rollout, use a method such as hirescam"
        )
    return fitting


def attention_traces(
    calls: Sequence[AttentionCall],
    layout: Layout,
    inputs: Inputs,
    picture: Int[Tensor, " t"],
    *,
    field: Field | None = None,
    gradients: Sequence[Float[Tensor, "t a n n"]] | None = None,
    own_gradients: Sequence[Float[Tensor, "t a n n"]] | None = None,
) -> tuple[AttentionTrace, ...]:
    """One AttentionTrace per call, lined up with the targets.

    Args:
        calls: from :func:`global_attention`. layout: of the token layers. picture: (t,) row of each target.
        field: where the cells of the token layers lie, if that was followed.
        gradients: of the model's score at each call's probabilities (``Recording.gradients(..., also=...)``).
        own_gradients: of each block's own score (:func:`own_score_gradients`).
    """
    assert layout.grid is not None
    frame = layout.frame(inputs, layout.grid, field)[picture.cpu()]
    traces: list[AttentionTrace] = []
    for i, call in enumerate(calls):
        rows = call.probabilities.detach()[picture.to(call.probabilities.device)]
        gradient = None if gradients is None else gradients[i]
        own = None if own_gradients is None else own_gradients[i]
        traces.append(AttentionTrace(call.name, rows, gradient, layout.prefix, frame, own))
    return tuple(traces)


def own_score_gradients(
    calls: Sequence[AttentionCall],
    tokens: Sequence[Float[Tensor, "b n d"]],
    read: Callable[[Float[Tensor, "b n d"]], Float[Tensor, " t"]],
    picture: Int[Tensor, " t"],
) -> list[Float[Tensor, "t a n n"]]:
    """Gradient of each block's own score at its attention, for LeGrad.

    Args:
        calls: with graph. tokens: behind each call's block, with graph (the block's output, recorded).
        read: tokens of any block -> the targets' scores, through the model's final norm, pooling and classifier.
        picture: (t,) row of each target.

    Raises:
        MethodError: as many blocks as calls are needed, or a block's tokens do not depend on its attention.

    Source: Bousselham et al., "LeGrad" (2024), eqs. 6 and 7.
    """
    if len(calls) != len(tokens):
        raise MethodError(
            f"there are {len(calls)} attention calls but tokens of {len(tokens)} blocks; LeGrad needs one block per attention"
        )
    everything = []
    for call, behind in zip(calls, tokens, strict=True):
        with torch.enable_grad(), gradients_kept(begun=True):
            scores = read(behind)
        rows = []
        for target, row in enumerate(picture.tolist()):
            (gradient,) = differentiate(scores[target], [call.probabilities], retain_graph=True, allow_unused=True)
            if gradient is None:
                raise MethodError(
                    f"the tokens given for {call.name} do not depend on its attention; give the output of the block around it"
                )
            rows.append(gradient[row])
        everything.append(torch.stack(rows))
    return everything
