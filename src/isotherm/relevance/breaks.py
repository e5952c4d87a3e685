"""Where gradients end between a layer and a score, so that an error can say which step it is and what helps.

A score without gradient has two causes that ask for opposite advice. Where a step behind the layer cuts the graph
(``detach``, ``numpy``, a comparison), a layer behind that step helps. Where nothing that the layer puts out is read at
all, no later layer helps: another one must be chosen, one that the score is computed from.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils.checkpoint import CheckpointFunction

from isotherm.errors import LayerError

MOST = 8
"""How many places are kept of one forward pass."""
LATER = "choose a later layer, one behind that step"
ELSEWHERE = "choose a layer that runs outside of it, behind it or in front"
CHECKPOINTED = (
    "torch.utils.checkpoint computes this part of the model a second time in the backward pass; switch checkpointing off for "
    "the explanation (model.set_grad_checkpointing(False) in timm, model.gradient_checkpointing_disable() in transformers)"
)
_set_grad_enabled = torch._C._set_grad_enabled
_BLOCKS = torch.autograd.grad_mode.__file__
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


def step_of(func: Any) -> str:
    """The name of an operation of torch, for people."""
    owner = getattr(func, "__self__", None)
    name = getattr(owner if getattr(func, "__name__", "") == "__get__" else func, "__name__", str(func))
    return {"__float__": "float", "__int__": "int", "__array__": "numpy", "__deepcopy__": "deepcopy"}.get(name, name)


def block_that_begins(frame: FrameType | None) -> str | None:
    """The code that puts gradients off; None where a block ends and puts back what was before it."""
    name = ""
    while frame is not None and is_between(frame):
        if frame.f_code.co_filename == _BLOCKS:
            name = frame.f_code.co_name
        elif name:
            break
        frame = frame.f_back
    return None if name == "__exit__" else place_of(frame)


def again_without_gradients(
    error: RuntimeError, func: Callable[..., Any], args: Any, kwargs: Any, *, instead: str
) -> Any:
    """A step that fails because gradients are on: without them, where what it gives does not depend on the target
    layers.

    Args:
        error: how it failed.
        func, args, kwargs: the step.
        instead: what to do where the graph goes through it.

    Raises:
        RuntimeError: the same error, if gradients were not its cause.
        LayerError: the graph goes through this step, and it has no gradient.
    """
    if "Inplace update to inference tensor" in str(error):  # torch says so after it has written
        if first_traced((args[1:], kwargs)) is not None:
            raise _without_derivative(error, func, instead) from error
        return None if func is Tensor.__setitem__ else kwargs.get("out", args[0])
    if any(t.is_inference() for t in tensors_of((args, kwargs))):
        # tensors made under inference_mode, such as the weights of a model that was built there
        args, kwargs = pytree.tree_map_only(Tensor, lambda t: t.clone() if t.is_inference() else t, (args, kwargs))
        return func(*args, **kwargs)
    # asked before the step runs, since views of what it changes may not be asked any more
    apart = first_traced((args, kwargs)) is None or (bool(args) and isinstance(args[0], Tensor) and _is_weight(args[0]))
    try:
        with _gradients_off():
            output = func(*args, **kwargs)
    except RuntimeError:
        if _fails(func, *pytree.tree_map_only(Tensor, Tensor.detach, (args, kwargs))):
            raise error from None
    else:
        if apart:
            return output
    raise _without_derivative(error, func, instead) from error


@contextmanager
def _gradients_off() -> Iterator[None]:
    _set_grad_enabled(False)
    try:
        yield
    finally:
        _set_grad_enabled(True)


def _fails(func: Callable[..., Any], args: Any, kwargs: Any) -> bool:
    """Whether a step fails also where no graph goes through it, so that gradients are not to blame."""
    try:
        func(*args, **kwargs)
    except RuntimeError:
        return True
    return False


def _is_weight(tensor: Tensor) -> bool:
    home = tensor._base if tensor._is_view() else tensor
    return home is not None and home.is_leaf and home.requires_grad


def _without_derivative(error: RuntimeError, func: Callable[..., Any], instead: str) -> LayerError:
    return LayerError(
        f"{step_of(func)} in {place_of(sys._getframe())} cannot be differentiated ({error}), and the score's gradient would go through it; {instead}"
    )
