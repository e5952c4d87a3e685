"""Pictures of one layout under one prompt at once: their vision tokens in one pass, and the traces of all in another.

To the language model, several pictures of one layout are several versions of one prompt, which every view reads
together (:meth:`isotherm.vlm.view.LanguageView.read`). No row sees another one, so the gradient of the sum of all
scores is each row's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from isotherm.relevance.attention import AttentionRows, watched_attention
from isotherm.relevance.breaks import Break
from isotherm.relevance.grad_mode import GradientKeeper, differentiate
from isotherm.vlm.frozen import frozen_norms
from isotherm.vlm.graph import TOKENS, kept_graph, no_gradient
from isotherm.vlm.question import AnswerTarget, Question
from isotherm.vlm.trace import LayerRows, TokenTrace, frozen_weights, need_layers
from isotherm.vlm.view import LanguageView, PromptInputs, Streams


@runtime_checkable
class EmbeddingView(LanguageView, Protocol):
    """A language view whose vision tower takes several pictures at once."""

    def embed_alike(self, prompts: Sequence[PromptInputs]) -> Streams:
        """:meth:`embed` of prompts that :func:`alike` puts together, a row for each."""
        ...


def alike(prompts: Sequence[PromptInputs]) -> list[list[int]]:
    """The numbers of prompts that differ in nothing but their pictures' pixels, put together; videos stay alone."""
    groups: dict[Any, list[int]] = {}
    for i, prompt in enumerate(prompts):
        groups.setdefault(i if prompt.video is not None else _form(prompt), []).append(i)
    return list(groups.values())


def questions_together(view: LanguageView, prompts: Sequence[PromptInputs]) -> list[Question]:
    """Prompts that are alike as questions that know what the model would say next, in one pass for the vision tokens
    where the view has one, and one for the words.
    """
    if isinstance(view, EmbeddingView):
        streams = view.embed_alike(prompts)
    else:
        streams = tuple(torch.cat(s) for s in zip(*(view.embed(p) for p in prompts), strict=True))
    with torch.no_grad():
        logits = view.read(prompts[0], streams, torch.zeros(len(prompts), 0, dtype=torch.long)).logits.float()
    questions = []
    for i, prompt in enumerate(prompts):
        question = Question(view, prompt, tuple(s[i : i + 1] for s in streams), forwards=1)
        question.known_logits((), logits[i])
        questions.append(question)
    return questions


def record_together(
    questions: Sequence[Question], targets: Sequence[AnswerTarget], needs: frozenset[str]
) -> list[TokenTrace]:
    """The trace of one target for each question, as :func:`isotherm.vlm.trace.record` gives it, in as few passes as
    there are lengths of continuations.

    Args:
        questions: from :func:`questions_together`.
        targets: one for each.
        needs: of methods.

    Raises:
        MethodError: as of :func:`isotherm.vlm.trace.record`.
    """
    plain = needs & {"gradient", "attention", "attention_gradient"}
    if "frozen_gradient" not in needs:
        return _read(questions, targets, plain)
    with frozen_norms():
        frozen = _read(questions, targets, frozenset({"gradient"}))
    traces = _read(questions, targets, plain) if plain else [replace(t, gradients=None) for t in frozen]
    return [replace(t, frozen_gradients=f.gradients) for t, f in zip(traces, frozen, strict=True)]


def _form(prompt: PromptInputs) -> tuple[Any, ...]:
    """All but pixels: words, where the pictures stand in them, and how these were cut up."""
    parts: list[tuple[Any, ...]] = []
    for name, value in sorted(prompt.inputs.items()):
        if isinstance(value, Tensor):
            parts.append(
                (name, tuple(value.shape), None if value.is_floating_point() else value.cpu().numpy().tobytes())
            )
        else:
            parts.append((name, repr(value)))
    return (prompt.text, tuple(prompt.ids.tolist()), tuple(prompt.positions.tolist()), *parts)


def _read(questions: Sequence[Question], targets: Sequence[AnswerTarget], needs: frozenset[str]) -> list[TokenTrace]:
    first = questions[0]
    view, prompt = first.view, first.prompt
    graph = bool(needs & {"gradient", "attention_gradient"})
    watching = bool(needs & {"attention", "attention_gradient"})
    pairs = [(i, c) for i, target in enumerate(targets) for c in dict.fromkeys(target.continuations)]
    with torch.inference_mode(False), torch.set_grad_enabled(graph), frozen_weights(view.model):
        streams = (torch.cat(s) for s in zip(*(q.streams for q in questions), strict=True))
        leaves = tuple(s.detach().clone().requires_grad_(graph) for s in streams)
        logits: dict[Any, Tensor] = {}
        places: dict[Any, tuple[Tensor, list[AttentionRows], int]] = {}
        passes: list[list[AttentionRows]] = []
        breaks: list[Break] = []
        for length in sorted({len(c) for _, c in pairs}):
            rows = [(i, c) for i, c in pairs if len(c) == length]
            which = torch.tensor([i for i, _ in rows])
            watch: AbstractContextManager[list[AttentionRows]] = watched_attention() if watching else nullcontext([])
            kept: AbstractContextManager[GradientKeeper | None] = (
                kept_graph(view.model, first.notes, start=TOKENS) if graph else nullcontext()
            )
            continuations = torch.tensor([list(c) for _, c in rows], dtype=torch.long).view(len(rows), -1)
            with watch as layers, kept as keeper:
                reading = view.read(prompt, tuple(leaf[which.to(leaf.device)] for leaf in leaves), continuations)
            breaks += () if keeper is None else keeper.breaks
            if watching:
                need_layers(layers, view.layers, "this method")
                passes.append(layers)
            for j, (i, c) in enumerate(rows):
                questions[i].forwards += 1
                logits[i, c], places[i, c] = reading.logits[j].float(), (reading.hidden[j].detach(), layers, j)
        values = [t.read([logits[i, c] for c in t.continuations]) for i, t in enumerate(targets)]
        for target, value in zip(targets, values, strict=True):
            if graph and not value.requires_grad:
                raise no_gradient(f"the {target.label} has", TOKENS, breaks, leaves)
        outputs = [layer.output for layers in passes for layer in layers] if "attention_gradient" in needs else []
        wanted = [*(leaves if "gradient" in needs else ()), *outputs]
        gradients = _gradients(torch.stack(values).sum(), wanted) if graph else {}
    for question in questions[1:]:
        question.notes.update(first.notes)
    return [
        _trace(question, i, target, value, places, gradients, leaves, needs)
        for i, (question, target, value) in enumerate(zip(questions, targets, values, strict=True))
    ]


def _gradients(total: Tensor, wanted: Sequence[Tensor]) -> dict[int, Tensor]:
    """The gradient of each tensor that has one, by its identity."""
    traced = [tensor for tensor in wanted if tensor.requires_grad]
    gradients = differentiate(total, traced, allow_unused=True) if traced else ()
    return {id(tensor): g for tensor, g in zip(traced, gradients, strict=True) if g is not None}


def _trace(
    question: Question,
    number: int,
    target: AnswerTarget,
    value: Tensor,
    places: dict[Any, tuple[Tensor, list[AttentionRows], int]],
    gradients: dict[int, Tensor],
    leaves: Streams,
    needs: frozenset[str],
) -> TokenTrace:
    def of(tensor: Tensor, row: int) -> Tensor:
        g = gradients.get(id(tensor))
        return torch.zeros_like(tensor[row]) if g is None else g[row]

    own = None
    if "gradient" in needs:
        own = tuple(g.to(torch.promote_types(g.dtype, torch.float32)) for g in (of(leaf, number) for leaf in leaves))
    reads = []
    length = len(question.prompt.ids)
    for k, c in enumerate(target.continuations):
        _, layers, row = places[number, c]
        queries = torch.tensor([length - 1 + step for r, step in target.steps if r == k])
        reads.append(
            tuple(
                LayerRows(layer, row, queries, of(layer.output, row) if "attention_gradient" in needs else None)
                for layer in layers
            )
        )
    hidden = places[number, target.continuations[0]][0]
    return TokenTrace(question, target, float(value.detach()), own, tuple(reads), hidden)
