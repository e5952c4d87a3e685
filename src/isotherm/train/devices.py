"""Where a training runs: here alone, or in step with processes of the same run on other devices and machines."""

from __future__ import annotations

from dataclasses import dataclass

from isotherm.errors import OptionError
from isotherm.ops.devices import chosen_device
from isotherm.train.worker import Alone, Worker


@dataclass(frozen=True, kw_only=True)
class Devices:
    """How many devices train one model.

    Args:
        accelerator: 'auto', 'cpu', 'cuda', 'mps' or a torch device such as 'cuda:1'.
        devices: processes per machine, one for each device.
        nodes: machines. More than one process runs through Lightning Fabric (``isotherm[train]``), which starts them
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
            OptionError: there is no such device.
            MissingExtraError: several are asked for and Lightning is not installed.
        """
        if self.devices * self.nodes == 1:
            return Alone(chosen_device(self.accelerator))
        from isotherm.train import lightning

        return lightning.launched(self.accelerator, self.devices, self.nodes)
