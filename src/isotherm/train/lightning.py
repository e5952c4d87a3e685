"""Several devices and machines through Lightning Fabric: the same steps, each process working on its share of every
batch.
"""

from __future__ import annotations

import atexit
import contextlib
from typing import Any

import torch
from torch import Tensor, nn

from isotherm.errors import MissingExtraError, OptionError
from isotherm.train.worker import Worker


def launched(accelerator: str, devices: int, nodes: int, *, strategy: str = "ddp") -> FabricWorker:
    """Start the other processes, or join those that torchrun or SLURM started.

    Args: as of :class:`isotherm.train.devices.Devices`; ``devices`` a machine.

    Raises:
        MissingExtraError: Lightning is not installed.
        OptionError: there are not so many devices.
    """
    try:
        # the same as lightning.fabric; without torchmetrics it loads no trainer of lightning's, which takes seconds
        from lightning_fabric import Fabric
        from lightning_fabric.utilities.exceptions import MisconfigurationException
    except ImportError as error:
        raise MissingExtraError("lightning", "train", "training on several devices") from error
    try:
        fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, strategy=strategy)
    except (MisconfigurationException, RuntimeError, ValueError) as error:
        raise OptionError(
            f"{devices} devices of {accelerator!r} on {nodes} machines: {str(error).splitlines()[0]}"
        ) from error
    fabric.launch()
    # before Python takes threads away that the group still uses, which ends a process that has done its work by SIGABRT
    atexit.register(_leave)
    return FabricWorker(fabric)


def _leave() -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


class FabricWorker(Worker):
    """A process of several, with gradients averaged over all (distributed data parallel).

    Args:
        fabric: launched.
    """

    def __init__(self, fabric: Any) -> None:
        self.fabric = fabric
        self.rank, self.world, self.device = int(fabric.global_rank), int(fabric.world_size), fabric.device

    def set_up(self, model: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[nn.Module, Any]:
        forward, stepping = self.fabric.setup(model, optimiser)
        return forward, stepping

    def backward(self, loss: Tensor) -> None:
        self.fabric.backward(loss)

    def unfinished(self, model: nn.Module, *, more: bool) -> contextlib.AbstractContextManager[None]:
        quiet: contextlib.AbstractContextManager[None] = self.fabric.no_backward_sync(model, enabled=more)
        return quiet

    def total(self, value: float) -> float:
        return float(
            self.fabric.all_reduce(torch.tensor(value, dtype=torch.float64, device=self.device), reduce_op="sum")
        )

    def agree(self, text: str) -> str:
        return str(self.fabric.broadcast(text))
