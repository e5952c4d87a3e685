"""Parameters that are meant to be trained and are not: named, before a run spends a day on them.

A published recipe put its new embedding into a wrapper that ran without gradients. Nothing said so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor, nn

from isotherm.errors import OptionError
from isotherm.gaze.gate import Gate, opened_gates


def expect_gradients(model: nn.Module, declared: Iterable[str] | None = None) -> None:
    """Raise where a parameter that is meant to be trained got no gradient; to be called after the first backward pass.

    What lies behind a gate that is still closed may have gradients of 0, but must have them.

    Args:
        model: after a backward pass.
        declared: names of the parameters that are meant to be trained; those that require gradients unless given.

    Raises:
        OptionError: with the names, and why.
    """
    _expect(model, declared, behind_gates=_behind_closed_gates(model) | _behind_closed_lora(model))


def check_gradients(model: nn.Module, loss: Callable[[], Tensor], declared: Iterable[str] | None = None) -> None:
    """The strict form, before training: gates stand open for one backward pass, and every gradient must not be 0.

    Args:
        model: whose gradients are cleared afterwards.
        loss: of a batch with random inputs and labels, say, in which all that is trained takes part.
        declared: as of :func:`expect_gradients`.

    Raises:
        OptionError: with the names, and why.
    """
    with opened_gates(model):
        model.zero_grad(set_to_none=True)
        loss().backward()
        try:
            _expect(model, declared, behind_gates=_behind_closed_lora(model))
        finally:
            model.zero_grad(set_to_none=True)


def _expect(model: nn.Module, declared: Iterable[str] | None, *, behind_gates: set[int]) -> None:
    parameters = dict(model.named_parameters())
    names = [name for name, p in parameters.items() if p.requires_grad] if declared is None else list(declared)
    if not names:
        raise OptionError("the model has no trainable parameter; every part of it is frozen")
    wrong = []
    for name in names:
        p = parameters.get(name)
        if p is None:
            wrong.append(f"{name} (the model has no such parameter)")
        elif not p.requires_grad:
            wrong.append(f"{name} (it is frozen)")
        elif p.grad is None:
            wrong.append(f"{name} (no gradient: the loss does not depend on it, or it was computed without gradients)")
        elif not bool(p.grad.any()) and id(p) not in behind_gates:
            wrong.append(f"{name} (its gradient is exactly 0)")
    if wrong:
        raise OptionError(
            f"{len(wrong)} parameters are to be trained but would never change: {'; '.join(wrong)}. Freeze them, or use them in the loss"
        )


def _behind_closed_gates(model: nn.Module) -> set[int]:
    """Parameters of the modules that have a closed gate as their own."""
    behind = set()
    for module in model.modules():
        if any(isinstance(child, Gate) and child.closed for child in module.children()):
            behind |= {id(p) for p in module.parameters()}
    for module in model.modules():
        if isinstance(module, Gate):  # a closed gate itself has the gradient of what it holds back
            behind -= {id(module.weight)}
    return behind


def _behind_closed_lora(model: nn.Module) -> set[int]:
    """Of peft's low-rank layers, the first matrices where the second are still 0, as they begin."""
    behind = set()
    for module in model.modules():
        first, second = (getattr(module, name, None) for name in ("lora_A", "lora_B"))
        if not isinstance(first, nn.ModuleDict) or not isinstance(second, nn.ModuleDict):
            continue
        if not any(bool(p.any()) for p in second.parameters()):
            behind |= {id(p) for p in first.parameters()}
    return behind
