"""Where a training runs: here alone, or in step with processes of the same run on other devices and machines."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from isotherm.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class Devices:
    """How many devices train one model.

    Args:
        accelerator: 'auto', 'cpu', 'cuda', 'mps' or a torch device such as 'cuda:1'. devices: processes per machine, one for each
            device. nodes: machines. More than one process runs through Lightning Fabric (``isotherm[train]``), which starts them
            here itself, or finds them under torchrun and SLURM.
    """

    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1

    def __post_init__(self) -> None:
        if self.devices < 1 or self.nodes < 1:
            raise OptionError(f"devices is {self.devices} and nodes {self.nodes}; expected at least 1 of each")

    def worker(self) -> Worker:
        """Take the devices.

        Raises:
            OptionError: there is no such device. MissingExtraError: several are asked for and Lightning is not installed.
        """
        if self.devices * self.nodes == 1:
            return Alone(chosen_device(self.accelerator))
        from isotherm.train import lightning

        return lightning.launched(self)


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
        """Around a forward and backward pass: where ``more`` parts of the step follow, gradients need not be exchanged yet."""

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


def chosen_device(name: str) -> torch.device:
    """'auto' or the name of a torch device -> the device.

    Raises:
        OptionError: no such device.
    """
    if name == "auto":
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise OptionError(
            f"there is no device {name!r} here ({str(error).splitlines()[0]}); expected auto, cpu, cuda, cuda:1 or mps"
        ) from error
    return device
