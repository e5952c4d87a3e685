"""How a module of one's own is called, and which part of what it puts out is its logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


def call(model: nn.Module, tensor: Tensor) -> Any:
    """The forward pass of a module that takes pictures alone."""
    return model(tensor)


def as_it_is(raw: Any) -> Any:
    """What a module puts out, all of it."""
    return raw


@dataclass(frozen=True)
class Calling:
    """How a module is called and what of its output is read.

    Args:
        forward: (module, input) -> what it puts out.
        logits: what it puts out -> the logits in it.
    """

    forward: Callable[[nn.Module, Tensor], Any] = call
    logits: Callable[[Any], Any] = as_it_is


PLAIN = Calling()
"""Of a module that maps pictures to logits."""
