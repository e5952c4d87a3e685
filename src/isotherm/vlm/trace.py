"""Trace: everything that a method for language models may look at, of one target."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.errors import MethodError
from isotherm.relevance.attention import AttentionRows, watched_attention
from isotherm.relevance.breaks import Break
from isotherm.relevance.grad_mode import GradientKeeper, differentiate
from isotherm.relevance.method import Method
from isotherm.vlm.frozen import frozen_norms
from isotherm.vlm.graph import TOKENS, kept_graph, no_gradient
from isotherm.vlm.question import AnswerTarget, Question
from isotherm.vlm.view import Streams


@dataclass(frozen=True, eq=False)
class LayerRows:
    """What the queries of a target do in one layer.

    Args:
        call: the attention of the layer.
        row: of its batch.
        queries: positions whose logits the target reads.
        gradient: (a, l, f) of the target at the layer's output, or None where no method asked.
    """

    call: AttentionRows
    row: int
    queries: Int[Tensor, " q"]
    gradient: Float[Tensor, "a l f"] | None

    def probabilities(self, queries: Int[Tensor, " q"] | slice | None = None) -> Float[Tensor, "a q l"]:
        return self.call.rows(self.row, self.queries if queries is None else queries)

    def gradients(
        self, queries: Int[Tensor, " q"] | slice | None = None, keys: Int[Tensor, " k"] | slice = slice(None)
    ) -> Float[Tensor, "a q k"]:
        if self.gradient is None:
            raise MethodError("this method needs the gradient at the attention, but the trace was recorded without")
        return self.call.gradient_rows(self.gradient[:, self.queries if queries is None else queries], self.row, keys)


@dataclass(frozen=True, eq=False)
class TokenLayer:
    """One stream of vision tokens as a layer of one target: channels, and behind them the tokens.

    Args:
        activation: (1, d, n), each token less the mean of its picture, because tokens have no natural zero.
        gradient: of the score there, or None where no method asked.
    """

    name: str
    activation: Float[Tensor, "1 d n"]
    gradient: Float[Tensor, "1 d n"] | None

    def need_gradient(self) -> Float[Tensor, "1 d n"]:
        if self.gradient is None:
            raise MethodError(f"this method needs the gradient at {self.name}, but the trace was recorded without")
        return self.gradient

    def map_of(self, values: Float[Tensor, "1 n"]) -> TokenMap:
        """Values of this stream's tokens as what a method returns."""
        return TokenMap(self.name, values)


@dataclass(frozen=True, eq=False)
class TokenMap:
    """What a method returns for one stream of vision tokens: (1, n) raw values."""

    name: str
    values: Float[Tensor, "1 n"]


def token_values(relevance: Sequence[TokenMap] | Tensor) -> Float[Tensor, " n"]:
    """What a method returns as one value per vision token: its own, or the sum of those of the streams."""
    return relevance if isinstance(relevance, Tensor) else torch.stack([m.values[0] for m in relevance]).sum(0)


@dataclass(frozen=True, eq=False)
class TokenTrace:
    """One target of one question.

    Args:
        question: what was asked.
        target: what of the answer.
        score: its value.
        gradients: (n, d) of each stream of vision tokens, or None.
        frozen_gradients: the same with norms' divisors taken for constants.
        reads: for each row that the target reads, its layers; empty where no method asked.
        hidden: (l, d) behind the language model's final norm, of the target's first row.
    """

    question: Question
    target: AnswerTarget
    score: float
    gradients: tuple[Float[Tensor, "n d"], ...] | None
    reads: tuple[tuple[LayerRows, ...], ...]
    hidden: Float[Tensor, "l d"]
    frozen_gradients: tuple[Float[Tensor, "n d"], ...] | None = None

    @property
    def positions(self) -> Int[Tensor, " n"]:
        return self.question.prompt.positions

    @property
    def activations(self) -> tuple[Float[Tensor, "n d"], ...]:
        """The vision tokens of each stream, in at least float32."""
        return tuple(s[0].to(torch.promote_types(s.dtype, torch.float32)) for s in self.question.streams)

    def need_layers(self) -> tuple[TokenLayer, ...]:
        """The streams as layers, for methods that are one formula per layer."""
        gradients = self.gradients or (None,) * len(self.question.streams)
        return tuple(
            TokenLayer(
                f"deepstack layer {i}" if i else "the vision tokens", a.T[None], None if g is None else g.T[None]
            )
            for i, (a, g) in enumerate(zip(self.centred(), gradients, strict=True))
        )

    def need_gradients(self) -> tuple[Float[Tensor, "n d"], ...]:
        if self.gradients is None:
            raise MethodError("this method needs gradients at the vision tokens, but the trace was recorded without")
        return self.gradients

    def need_frozen_gradients(self) -> tuple[Float[Tensor, "n d"], ...]:
        if self.frozen_gradients is None:
            raise MethodError("this method needs gradients through frozen norms, but the trace was recorded without")
        return self.frozen_gradients

    def centred(self) -> tuple[Float[Tensor, "n d"], ...]:
        """The vision tokens less the mean of their picture."""
        return tuple(a - m for a, m in zip(self.activations, self.means(), strict=True))

    def means(self) -> tuple[Float[Tensor, "n d"], ...]:
        """For each token the mean over the tokens of its picture: what stands for "nothing in particular here"."""
        first = self.question.prompt.first
        return tuple(
            torch.cat([a[i:j].mean(0, keepdim=True).expand(j - i, -1) for i, j in itertools.pairwise(first)])
            for a in self.activations
        )

    def scores(self, streams: Streams, *, hidden: Bool[Tensor, "b n"] | None = None) -> Float[Tensor, " b"]:
        """The target's value for changed vision tokens, without graph."""
        with torch.no_grad():
            return self.question.values([self.target], streams, hidden=hidden)[:, 0]

    def scores_and_gradients(self, streams: Streams) -> tuple[Float[Tensor, " b"], tuple[Float[Tensor, "b n d"], ...]]:
        """The target's value and gradient for changed vision tokens."""
        with torch.inference_mode(False), torch.enable_grad():
            leaves = tuple(s.detach().clone().requires_grad_() for s in streams)
            with kept_graph(self.question.view.model, self.question.notes, start=TOKENS) as keeper:
                values = self.question.values(
                    [self.target], tuple(leaf.clone() for leaf in leaves), batch=len(streams[0])
                )[:, 0]
            gradients = differentiate(values.sum(), leaves, allow_unused=True) if values.requires_grad else ()
        if all(g is None for g in gradients):
            raise no_gradient(f"the {self.target.label} has", TOKENS, keeper.breaks, leaves)
        return values.detach(), tuple(
            torch.zeros_like(leaf) if g is None else g for g, leaf in zip(gradients, leaves, strict=True)
        )


@runtime_checkable
class CentringMethod(Method, Protocol):
    """A method that can take the mean of a picture's tokens off, where its sum would be rounding without.

    Attributes:
        centre: whether it does.
    """

    @property
    def centre(self) -> bool: ...

    def centred(self) -> Method:
        """The same method with the mean taken off."""
        ...


@runtime_checkable
class SharingMethod(Method, Protocol):
    """A method for which several targets of one question cost less than each by itself."""

    def together(self, traces: Sequence[TokenTrace]) -> list[Float[Tensor, " n"]]:
        """What :meth:`__call__` gives for each."""
        ...


def record(question: Question, targets: Sequence[AnswerTarget], needs: frozenset[str]) -> list[TokenTrace]:
    """Read all targets in as few forward passes as there are lengths of continuations, and take each one's gradients.

    The graph starts at the vision tokens; no weight gets a gradient.
    """
    plain = needs & {"gradient", "attention", "attention_gradient"}
    if "frozen_gradient" not in needs:
        return _read(question, targets, plain)
    with frozen_norms():
        frozen = _read(question, targets, frozenset({"gradient"}))
    gradients = [t.gradients for t in frozen]
    # the values are the same, so one reading is enough unless somebody asks for more than they are
    traces = _read(question, targets, plain) if plain else [replace(t, gradients=None) for t in frozen]
    return [replace(t, frozen_gradients=g) for t, g in zip(traces, gradients, strict=True)]


def _read(question: Question, targets: Sequence[AnswerTarget], needs: frozenset[str]) -> list[TokenTrace]:
    graph = bool(needs & {"gradient", "attention_gradient"})
    watching = bool(needs & {"attention", "attention_gradient"})
    lengths = sorted({len(c) for s in targets for c in s.continuations})
    with torch.inference_mode(False), torch.set_grad_enabled(graph), frozen_weights(question.view.model):
        leaves = tuple(s.detach().clone().requires_grad_(graph) for s in question.streams)
        readings: dict[tuple[int, ...], tuple[Tensor, Tensor, list[AttentionRows], int]] = {}
        breaks: list[Break] = []
        for length in lengths:
            rows = list(dict.fromkeys(c for s in targets for c in s.continuations if len(c) == length))
            watch: AbstractContextManager[list[AttentionRows]] = watched_attention() if watching else nullcontext([])
            kept: AbstractContextManager[GradientKeeper | None] = (
                kept_graph(question.view.model, question.notes, start=TOKENS) if graph else nullcontext()
            )
            with watch as layers, kept as keeper:
                reading = question.read(tuple(leaf.clone() for leaf in leaves) if graph else leaves, rows)
            breaks += () if keeper is None else keeper.breaks
            if watching:
                need_layers(layers, question.view.layers, "this method")
            readings |= {
                row: (reading.logits[i].float(), reading.hidden[i].detach(), layers, i) for i, row in enumerate(rows)
            }
        values = [s.read([readings[c][0] for c in s.continuations]) for s in targets]
        for s, value in zip(targets, values, strict=True):
            if graph and not value.requires_grad:
                raise no_gradient(f"the {s.label} has", TOKENS, breaks, leaves)
        return [
            _trace(question, s, v, readings, leaves, needs, last=i == len(targets) - 1)
            for i, (s, v) in enumerate(zip(targets, values, strict=True))
        ]


def need_layers(calls: Sequence[AttentionRows], layers: int, job: str) -> None:
    """Refuse where not every layer has softmax attention that can be read."""
    if len(calls) > layers:
        raise MethodError(
            f"{job} reads the attention of every layer; this language model of {layers} layers takes a softmax {len(calls)} times, "
            "so which of them is a layer's attention is not known: choose integrated_gradients"
        )
    if len(calls) != layers:
        raise MethodError(
            f"{job} reads the attention of every layer; {len(calls)} of {layers} layers of this language model go through torch's scaled_dot_product_attention "
            "or a softmax of their own. Load the model with attn_implementation='sdpa'; where its layers have linear attention there is nothing to read: choose integrated_gradients"
        )


def _trace(
    question: Question,
    target: AnswerTarget,
    value: Tensor,
    readings: dict,
    leaves: Streams,
    needs: frozenset[str],
    *,
    last: bool,
) -> TokenTrace:
    outputs = (
        [layer.output for c in target.continuations for layer in readings[c][2]]
        if "attention_gradient" in needs
        else []
    )
    at = [*(leaves if "gradient" in needs else ()), *outputs]
    grads: list[Tensor | None] = [None] * len(at)
    traced = [i for i, tensor in enumerate(at) if tensor.requires_grad]
    for i, g in zip(
        traced,
        differentiate(value, [at[i] for i in traced], retain_graph=not last, allow_unused=True) if traced else (),
        strict=True,
    ):
        grads[i] = g
    n = len(leaves) if "gradient" in needs else 0
    gradients = (
        tuple(torch.zeros_like(leaf[0]) if g is None else g[0] for g, leaf in zip(grads[:n], leaves, strict=False))
        if n
        else None
    )
    if gradients is not None:
        gradients = tuple(g.to(torch.promote_types(g.dtype, torch.float32)) for g in gradients)
    rest, reads = iter(grads[n:]), []
    length = len(question.prompt.ids)
    for i, c in enumerate(target.continuations):
        _, _, layers, row = readings[c]
        queries = torch.tensor([length - 1 + step for r, step in target.steps if r == i])
        kept = []
        for layer in layers:
            g = next(rest) if outputs else None
            gradient = None if not outputs else torch.zeros_like(layer.output[row]) if g is None else g[row]
            kept.append(LayerRows(layer, row, queries, gradient))
        reads.append(tuple(kept))
    return TokenTrace(
        question, target, float(value.detach()), gradients, tuple(reads), readings[target.continuations[0]][1]
    )


class frozen_weights:
    """No weight asks for a gradient inside of the block, so none is computed; afterwards each is as it was."""

    def __init__(self, model: torch.nn.Module) -> None:
        # of weights made under inference_mode none has a gradient, and they cannot be made to ask for one again
        self.weights = [p for p in model.parameters() if p.requires_grad and not p.is_inference()]

    def __enter__(self) -> None:
        for p in self.weights:
            p.requires_grad_(False)

    def __exit__(self, *_: object) -> None:
        for p in self.weights:
            p.requires_grad_(True)
