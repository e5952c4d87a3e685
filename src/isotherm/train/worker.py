"""A process of a training: alone, or one of several that keep in step."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn


class Worker(ABC):
    """Abstract: one of ``world`` processes, number ``rank``, with a device."""

    rank: int = 0
    world: int = 1
    device: torch.device

    @abstractmethod
    def set_up(self, model: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[nn.Module, Any]:
        """The model to call forward on, and the optimiser to step with."""

    @abstractmethod
    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss; after the last part of a step they are the mean over all processes."""

    @abstractmethod
    def unfinished(self, model: nn.Module, *, more: bool) -> contextlib.AbstractContextManager[None]:
        """Around a forward and backward pass: where ``more`` parts of the step follow, gradients need not be exchanged
        yet.
        """

    @abstractmethod
    def total(self, value: float) -> float:
        """The sum of all processes' values."""

    @abstractmethod
    def agree(self, text: str) -> str:
        """The first process's text, in all of them; waits until all have come here."""

    @property
    def first(self) -> bool:
        """True in the process that writes files and speaks."""
        return self.rank == 0


class Alone(Worker):
    """The only process.

    Example:
        >>> Alone(torch.device("cpu")).total(2.0)
        2.0
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def set_up(self, model: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[nn.Module, Any]:
        return model, optimiser

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def unfinished(self, model: nn.Module, *, more: bool) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def total(self, value: float) -> float:
        return value

    def agree(self, text: str) -> str:
        return text
