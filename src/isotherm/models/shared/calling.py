"""How a module of one's own is called, and which part of what it puts out is its logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


def call(model: nn.Module, *parts: Any) -> Any:
    """The forward pass of a module that takes its inputs one by one."""
    return model(*parts)


def as_it_is(raw: Any) -> Any:
    """What a module puts out, all of it."""
    return raw


def also(number: int) -> str:
    """The name of an input beside the one that is explained, in :attr:`isotherm.cam.view.Inputs.extra`."""
    return f"input {number}"


@dataclass(frozen=True)
class Calling:
    """How a module is called and what of its output is read.

    Args:
        forward: (module, its inputs, one by one) -> what it puts out.
        logits: what it puts out -> the logits in it.
        count: how many inputs there are.
        over: which of them is the one that is explained, from 0.
    """

    forward: Callable[..., Any] = call
    logits: Callable[[Any], Any] = as_it_is
    count: int = 1
    over: int = 0

    def run(self, model: nn.Module, tensor: Tensor, extra: Mapping[str, Any]) -> Any:
        """What the module puts out.

        Args:
            tensor: the input that is explained.
            extra: the others, by their names.
        """
        if self.count == 1:
            return self.forward(model, tensor)
        return self.forward(model, *(tensor if i == self.over else extra[also(i)] for i in range(self.count)))


PLAIN = Calling()
"""Of a module that maps pictures to logits."""
