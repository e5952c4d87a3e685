"""Attention as a model does it, in vision towers and language models alike: one interceptor, and what is done with what
it sees.

While a model runs inside of a block, every call of ``scaled_dot_product_attention`` is seen, whatever kernel it would
take, also inside of ``nn.MultiheadAttention`` (torchvision), and so is attention that is written out, by its softmax.
That covers timm, torchvision and transformers. It is done with a torch-function mode: nothing in the model or in torch
is changed, and nothing is left behind. Three things are made of it:

- :func:`recorded_attention` computes the softmax probabilities in the open, with the graph through them, for what needs
  whole matrices. The result is the fused one up to rounding.
- :func:`watched_attention` lets every kernel run as always and keeps what the graph holds anyway: queries, keys, values
  and outputs. Any row of probabilities is computed from them when it is needed, and so is the gradient at it: from o =
  p v follows ds/dp = (ds/do) v^T, whatever computed o. Whole matrices would cost layers x heads x tokens squared.
- :func:`isotherm.relevance.hidden.hidden_keys` keeps tokens from being attended to.
"""

from __future__ import annotations

import math
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from isotherm.relevance.grad_mode import begin_graph

SOFTMAX = (F.softmax, torch.softmax, Tensor.softmax)
INTERCEPTED = {F.scaled_dot_product_attention, F.multi_head_attention_forward, *SOFTMAX}
PRODUCTS = (torch.matmul, Tensor.matmul, Tensor.__matmul__)
Softmax = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class AttentionCall:
    """One self-attention in a forward pass, whole: the module that did it, and its probabilities, (rows, heads, l, l).

    ``rows`` is the batch, or batch times windows.
    """

    name: str
    probabilities: Float[Tensor, "r a l l"]


@dataclass(frozen=True, eq=False)
class AttentionRows(ABC):
    """One self-attention in a forward pass, whose probabilities come row by row.

    Args:
        value: (b, g, l, f) with g groups of heads.
        output: (b, a, l, f), with graph if there is one.
    """

    value: Float[Tensor, "b g l f"]
    output: Float[Tensor, "b a l f"]

    @property
    def tokens(self) -> int:
        """How many tokens attend to each other."""
        return self.output.shape[-2]

    @abstractmethod
    def rows(self, row: int, queries: Int[Tensor, " q"] | slice) -> Float[Tensor, "a q l"]:
        """Probabilities of some queries of one row of the batch, in at least float32."""

    def gradient_rows(
        self, gradient: Float[Tensor, "a q f"], row: int, keys: Int[Tensor, " k"] | slice = slice(None)
    ) -> Float[Tensor, "a q k"]:
        """Gradient at the probabilities of some queries on some keys from the gradient at the queries' outputs."""
        dtype = torch.promote_types(gradient.dtype, torch.float32)
        return gradient.to(dtype) @ self._heads(self.value[row][:, keys]).to(dtype).transpose(-2, -1)

    def _heads(self, grouped: Float[Tensor, "g l e"]) -> Float[Tensor, "a l e"]:
        return grouped.repeat_interleave(self.output.shape[1] // grouped.shape[0], 0)


@dataclass(frozen=True, eq=False)
class FusedRows(AttentionRows):
    """Attention of a fused kernel: a row is computed from queries and keys.

    Args:
        query: (b, a, l, e).
        key: (b, g, l, e).
        mask: what was added to the products, or which keys may be seen; None: none but causality.
        causal: no query sees what is behind it.
        scale: of the products.
    """

    query: Float[Tensor, "b a l e"]
    key: Float[Tensor, "b g l e"]
    mask: Tensor | None
    causal: bool
    scale: float

    def rows(self, row: int, queries: Int[Tensor, " q"] | slice) -> Float[Tensor, "a q l"]:
        dtype = torch.promote_types(self.query.dtype, torch.float32)
        q, k = self.query[row][:, queries].to(dtype), self._heads(self.key[row]).to(dtype)
        products = (q * self.scale) @ k.transpose(-2, -1)
        if self.mask is not None:
            mask = self.mask.expand(*self.query.shape[:2], *self.mask.shape[-2:])[row][:, queries]
            products = products.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else products + mask.to(dtype)
        if self.causal:
            at = torch.arange(self.tokens, device=q.device)
            products = products.masked_fill(at > at[queries][:, None], -math.inf)
        return products.softmax(-1)


@dataclass(frozen=True, eq=False)
class FormedRows(AttentionRows):
    """Attention that is written out: the model forms its probabilities, (b, a, l, l), by itself."""

    probabilities: Float[Tensor, "b a l l"]

    def rows(self, row: int, queries: Int[Tensor, " q"] | slice) -> Float[Tensor, "a q l"]:
        dtype = torch.promote_types(self.probabilities.dtype, torch.float32)
        return self.probabilities[row][:, queries].to(dtype)


class Arguments(NamedTuple):
    """The arguments of one call of scaled_dot_product_attention."""

    query: Tensor
    key: Tensor
    value: Tensor
    attn_mask: Tensor | None = None
    dropout_p: float = 0.0
    is_causal: bool = False
    scale: float | None = None
    enable_gqa: bool = False

    @property
    def factor(self) -> float:
        """What the products of queries and keys are multiplied by."""
        return 1 / math.sqrt(self.query.shape[-1]) if self.scale is None else self.scale

    @property
    def of_itself(self) -> bool:
        """Whether tokens attend to each other, and not to others."""
        return self.query.ndim == 4 and self.query.shape[-2] == self.key.shape[-2]


class AttentionInterceptor(TorchFunctionMode):
    """Sees every attention of the forward passes inside of its block; what is done there a subclass decides."""

    _beside: Tensor | None = None
    """Probabilities with one column more than tokens, which is a sink's if it is left out of them."""

    def fused(self, call: Arguments) -> Tensor:
        """The output of one call of scaled_dot_product_attention."""
        return F.scaled_dot_product_attention(
            call.query,
            call.key,
            call.value,
            call.attn_mask,
            call.dropout_p,
            call.is_causal,
            scale=call.scale,
            enable_gqa=call.enable_gqa,
        )

    def written_out(self, products: Tensor, softmax: Softmax) -> Tensor:
        """The output of one softmax over the last of two equal dimensions, which is attention that is written out."""
        return softmax(products)

    def written_out_with_sink(self, products: Tensor, softmax: Softmax) -> Tensor:
        """The output of one softmax over one key more than there are queries: a sink, or attention to others."""
        return softmax(products)

    def without_sink(self, probabilities: Tensor) -> Tensor:
        """What attention that is written out goes on with when the share of its sink is left out."""
        return probabilities

    def otherwise(self, func, args, kwargs):
        """The output of any other operation: so many that each step counts."""
        return func(*args, **kwargs)

    def __torch_function__(self, func, types_, args=(), kwargs=None):  # type: ignore[override]
        if func not in INTERCEPTED:
            if self._beside is not None and func == Tensor.__getitem__ and args[0] is self._beside:
                output, self._beside = func(*args), None
                return self.without_sink(output) if _is_square(output) else output
            return self.otherwise(func, args, kwargs or {})
        kwargs = dict(kwargs or {})
        if func is F.scaled_dot_product_attention:
            return self.fused(Arguments(*args, **kwargs))
        if func is F.multi_head_attention_forward:
            return self._multi_head(*args, **kwargs)
        products, *rest = args or (kwargs.pop("input"),)
        if (rest[0] if rest else kwargs.get("dim")) not in (-1, 3):
            return func(products, *rest, **kwargs)
        if _is_square(products):
            return self.written_out(products, lambda values: func(values, *rest, **kwargs))
        if not _is_square(products, sinks=1):
            return func(products, *rest, **kwargs)
        self._beside = self.written_out_with_sink(products, lambda values: func(values, *rest, **kwargs))
        return self._beside

    def _multi_head(self, *args, need_weights=True, average_attn_weights=True, **kwargs):
        # torch's own function, with our attention in its namespace: its mask and projection rules stay torch's.
        # With need_weights it would return a copy of the probabilities that the graph does not pass through.
        calls: list[Arguments] = []

        def attend(*inner: Any, **options: Any) -> Tensor:
            calls.append(Arguments(*inner, **options))
            return self.fused(calls[-1])

        original = F.multi_head_attention_forward
        names = {**original.__globals__, "has_torch_function": lambda _: False, "scaled_dot_product_attention": attend}
        opened = types.FunctionType(original.__code__, names, original.__name__, original.__defaults__)
        opened.__kwdefaults__ = original.__kwdefaults__
        output, _ = opened(*args, need_weights=False, average_attn_weights=average_attn_weights, **kwargs)
        if not need_weights:
            return output, None
        weights = self.weights(calls[0]).to(output.dtype)
        weights = weights.mean(1) if average_attn_weights else weights
        return output, weights if output.ndim == 3 else weights[0]

    def weights(self, call: Arguments) -> Float[Tensor, "b a q k"]:
        """The probabilities of a call, for a module that returns them."""
        return attention_probabilities(
            call.query,
            call.key,
            attn_mask=call.attn_mask,
            is_causal=call.is_causal,
            scale=call.scale,
            enable_gqa=call.enable_gqa,
        )


@contextmanager
def recorded_attention(model: nn.Module, *, gradient: bool = False) -> Iterator[list[AttentionCall]]:
    """A list that fills with every self-attention inside of the block, probabilities in the open, in order of
    execution.

    Args:
        model: its modules' names are given to the calls.
        gradient: keep the graph from the first attention on, so that gradients at the probabilities can be taken;
            gradient mode is then left on until a surrounding ``torch.no_grad()`` ends, or, inside of
            :func:`isotherm.relevance.grad_mode.gradients_kept`, until that ends.

    Cross-attention (other keys than queries) is not kept.
    """
    calls: list[AttentionCall] = []
    inside: list[str] = []
    with ExitStack() as stack:
        for name, module in model.named_modules():
            stack.callback(module.register_forward_pre_hook(_entering(inside, name)).remove)
            stack.callback(module.register_forward_hook(_leaving(inside), always_call=True).remove)
        stack.enter_context(_InTheOpen(calls, inside, gradient))
        yield calls


def _entering(inside: list[str], name: str) -> Callable[[Any, Any], None]:
    return lambda _module, _args: inside.append(name)


def _leaving(inside: list[str]) -> Callable[[Any, Any, Any], None]:
    def hook(_module: Any, _args: Any, _output: Any) -> None:
        inside.pop()

    return hook


class _InTheOpen(AttentionInterceptor):
    """Computes the probabilities and what follows from them, so that the graph goes through them."""

    def __init__(self, calls: list[AttentionCall], inside: list[str], gradient: bool) -> None:
        super().__init__()
        self.calls, self.inside, self.gradient = calls, inside, gradient
        self._last: Tensor | None = None

    def fused(self, call: Arguments) -> Tensor:
        probabilities = super().weights(call)
        if _is_square(probabilities):
            probabilities = self._keep(probabilities)
        self._last = probabilities
        if call.dropout_p:
            probabilities = F.dropout(probabilities, call.dropout_p)
        value = call.value
        if call.enable_gqa:
            value = value.repeat_interleave(call.query.shape[-3] // value.shape[-3], dim=-3)
        return probabilities.to(value.dtype) @ value

    def written_out(self, products: Tensor, softmax: Softmax) -> Tensor:
        return self._keep(softmax(products))

    def without_sink(self, probabilities: Tensor) -> Tensor:
        return self._keep(probabilities)

    def weights(self, call: Arguments) -> Float[Tensor, "b a q k"]:
        assert self._last is not None  # those that the output was computed from
        return self._last

    def _keep(self, probabilities: Tensor) -> Tensor:
        name = (self.inside or [""])[-1]
        if self.gradient:
            begin_graph(f"{name or 'the model'} (its attention)")
            if not probabilities.requires_grad:
                probabilities = probabilities.detach().clone().requires_grad_()
        self.calls.append(AttentionCall(name, probabilities if self.gradient else probabilities.detach()))
        return probabilities


@contextmanager
def watched_attention() -> Iterator[list[AttentionRows]]:
    """A list that fills with every self-attention inside of the block; nothing is changed, fused kernels run as always.

    Where attention is written out, its probabilities exist anyway and are kept as they are.
    """
    calls: list[AttentionRows] = []
    with _Watch(calls):
        yield calls


class _Watch(AttentionInterceptor):
    def __init__(self, calls: list[AttentionRows]) -> None:
        super().__init__()
        self.calls = calls
        self._formed: tuple[Tensor, Tensor] | None = None
        """Probabilities that wait for the values that they are multiplied with, and what has become of them meanwhile.
        """

    def fused(self, call: Arguments) -> Tensor:
        output = super().fused(call)
        if call.of_itself:
            query, key, value = call.query.detach(), call.key.detach(), call.value.detach()
            self.calls.append(FusedRows(value, output, query, key, call.attn_mask, call.is_causal, call.factor))
        return output

    def written_out(self, products: Tensor, softmax: Softmax) -> Tensor:
        return self.without_sink(softmax(products))

    def without_sink(self, probabilities: Tensor) -> Tensor:
        self._formed = probabilities, probabilities
        return probabilities

    def otherwise(self, func, args, kwargs):
        output = func(*args, **kwargs)
        if self._formed is None or not args or args[0] is not self._formed[1] or not isinstance(output, Tensor):
            return output
        probabilities, now = self._formed
        if func in PRODUCTS:
            self.calls.append(FormedRows(args[1].detach(), output, probabilities.detach()))
            self._formed = None
        elif output.shape == now.shape:  # another type, or dropout
            self._formed = probabilities, output
        return output


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


def _is_square(products: Any, *, sinks: int = 0) -> bool:
    if not isinstance(products, Tensor) or products.ndim != 4:
        return False
    return products.shape[-1] - sinks == products.shape[-2] > 1
