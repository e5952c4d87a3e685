"""Figures to TensorBoard, in the folder ``tensorboard`` of the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from isotherm.errors import MissingExtraError
from isotherm.train.tracker import Tracker


class TensorBoardTracker(Tracker):
    """Writes event files.

    Args:
        dpath: the run's folder.

    Raises:
        MissingExtraError: tensorboard is not installed.
    """

    def __init__(self, dpath: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("tensorboard", "track", "tracking by TensorBoard") from error
        self.writer = SummaryWriter(str(dpath / "tensorboard"))  # type: ignore[no-untyped-call]

    def log(self, row: Mapping[str, float]) -> None:
        for key, value in row.items():
            if key != "step":
                self.writer.add_scalar(key.replace(" ", "/", 1), value, int(row["step"]))  # type: ignore[no-untyped-call]

    def picture(self, name: str, rgb: np.ndarray, step: int) -> None:
        self.writer.add_image(name, rgb, step, dataformats="HWC")  # type: ignore[no-untyped-call]

    def finish(self, *, failed: bool) -> None:
        self.writer.close()  # type: ignore[no-untyped-call]
