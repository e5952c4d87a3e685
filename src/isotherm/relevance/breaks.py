"""Where gradients end between a layer and a score, so that an error can say which step it is and what helps.

A score without gradient has two causes that ask for opposite advice. Where a step behind the layer cuts the graph
(``detach``, ``numpy``, a comparison), a layer behind that step helps. Where nothing that the layer puts out is read at
all, no later layer helps: another one must be chosen, one that the score is computed from.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import FunctionCtx
from torch.utils.checkpoint import CheckpointError, CheckpointFunction

from isotherm.errors import LayerError

MOST = 8
"""How many places are kept of one forward pass."""
LATER = "choose a later layer, one behind that step"
ELSEWHERE = "choose a layer that runs outside of it, behind it or in front"
CHECKPOINTED = (
    "torch.utils.checkpoint computes this part of the model a second time in the backward pass; switch checkpointing off for "
    "the explanation (model.set_grad_checkpointing(False) in timm, model.gradient_checkpointing_disable() in transformers)"
)
_PASSED_OVER = ("torch", "isotherm.relevance.breaks", "isotherm.relevance.grad_mode", "jaxtyping")
"""Modules whose code is never the place that a person is told: what stands between the model and torch."""


@dataclass(frozen=True, eq=False)
class Break:
    """A step that took a tensor with gradient and gave something without.

    Args:
        step: the operation, such as ``detach``.
        place: the code that did it.
        node: where the graph ended.
    """

    step: str
    place: str
    node: Any

    def __str__(self) -> str:
        return f"{self.step} in {self.place}"

    def is_behind(self, output: Tensor) -> bool:
        """Whether what ended here had been computed from ``output``."""
        seen, waiting = set(), [self.node]
        while waiting:
            node = waiting.pop()
            if node is None or node in seen:
                continue
            if node is output.grad_fn or getattr(node, "variable", None) is output:
                return True
            seen.add(node)
            waiting.extend(before for before, _ in node.next_functions)
        return False


def ends_of(breaks: Sequence[Break], outputs: Sequence[Tensor]) -> str:
    """The steps at which the gradient ended behind these tensors, for people; empty where there is none.

    Args:
        breaks: of the forward pass.
        outputs: tensors of its graph.
    """
    behind = list(dict.fromkeys(str(b) for b in breaks if any(b.is_behind(output) for output in outputs)))
    return ", ".join(behind[:3]) + (f" and {len(behind) - 3} more" if len(behind) > 3 else "")


def layer_advice(breaks: Sequence[Break], outputs: Sequence[Tensor]) -> str:
    """Why a score has no gradient at these outputs of layers, and which layer to choose instead."""
    ends = ends_of(breaks, outputs)
    if ends:
        return f"on the way the gradient ends at {ends}; {LATER}"
    return "the score does not depend on its output; choose a layer that the score is computed from, or a score that has a gradient (an argmax or a count has none)"


def place_of(frame: FrameType | None) -> str:
    """The innermost code that runs in this frame or called it and is neither torch's nor ours, for people: function,
    file and line.
    """
    while frame is not None:
        code = frame.f_code
        decorated = frame.f_locals.get("func") if code.co_name == "decorate_context" else None
        inner: CodeType | None = getattr(decorated, "__code__", None)
        if inner is not None:
            return _named(inner.co_qualname, inner.co_filename, inner.co_firstlineno)
        if not is_between(frame):
            return _named(code.co_qualname, code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return "the model"


def is_between(frame: FrameType) -> bool:
    """Whether this is code of torch, or of what watches it, and not the model's."""
    name = str(frame.f_globals.get("__name__", ""))
    return name.startswith(tuple(f"{module}." for module in _PASSED_OVER)) or name in _PASSED_OVER


def _named(function: str, fpath: str, line: int) -> str:
    return f"{function.replace('.<locals>', '')} ({Path(fpath).name}, line {line})"


def running_function() -> type | None:
    """The custom autograd function (``torch.autograd.Function``) whose forward this code runs in, if any; its inside
    has no graph.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "forward" and frame.f_code.co_varnames:
            first = frame.f_locals.get(frame.f_code.co_varnames[0])
            if isinstance(first, FunctionCtx):
                running: type = type(first)._forward_cls  # type: ignore[attr-defined]
                return running
            # forward comes without a context where the function sets it up by itself
            if not isinstance(first, nn.Module) and (function := _function_of(frame.f_code)) is not None:
                return function
        frame = frame.f_back
    return None


def _function_of(code: CodeType) -> type | None:
    waiting = list(Function.__subclasses__())
    while waiting:
        function = waiting.pop()
        if getattr(inspect.unwrap(function.forward), "__code__", None) is code:
            return function
        waiting.extend(function.__subclasses__())
    return None


def refuse_inside(function: type, what: str, *, instead: str = ELSEWHERE) -> LayerError:
    """The error for a graph that would have to begin or go on inside of a custom autograd function.

    Args:
        function: from :func:`running_function`.
        what: what happens there, as a clause.
        instead: what to do.
    """
    if issubclass(function, CheckpointFunction):
        return LayerError(
            f"{what} inside of torch.utils.checkpoint with use_reentrant=True, which keeps no graph: {CHECKPOINTED}, or give it use_reentrant=False"
        )
    return LayerError(
        f"{what} inside of the autograd function {function.__name__}, whose inside has no graph; {instead}"
    )


def differentiate(
    outputs: Tensor | Sequence[Tensor], inputs: Sequence[Tensor], **options: Any
) -> tuple[Tensor | None, ...]:
    """``torch.autograd.grad``; where it cannot be, an error that says what to do.

    Raises:
        LayerError: a checkpoint's second computation differs from the first, or the model writes over what the gradient
            needs.
    """
    try:
        gradients: tuple[Tensor | None, ...] = torch.autograd.grad(outputs, inputs, **options)
    except CheckpointError as error:
        raise LayerError(
            f"the second computation was not that of the forward pass, which kept gradients on where the model puts them off: {CHECKPOINTED}"
        ) from error
    except RuntimeError as error:
        if "modified by an inplace operation" not in str(error):
            raise
        raise LayerError(
            f"the model writes over values that the gradient needs, as one may where gradients are off ({str(error).partition(';')[0]}); "
            "choose a layer behind that step, or a method that needs no gradient, such as eigencam or scorecam"
        ) from error
    return gradients


def tensors_of(arguments: Any) -> Iterator[Tensor]:
    """All tensors in arguments, also those inside of lists, tuples and dictionaries."""
    if isinstance(arguments, Tensor):
        yield arguments
    elif isinstance(arguments, list | tuple):
        for value in arguments:
            yield from tensors_of(value)
    elif isinstance(arguments, dict):
        for value in arguments.values():
            yield from tensors_of(value)


def first_traced(arguments: Any) -> Tensor | None:
    """The first tensor among arguments that the graph goes through; parameters by themselves are none."""
    return next((t for t in tensors_of(arguments) if t.grad_fn is not None), None)
