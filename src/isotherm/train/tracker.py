"""What takes the figures of a run while it goes on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np


class Tracker(ABC):
    """Abstract: takes figures and pictures. Finished at the end of the ``with`` block, also after an error."""

    @abstractmethod
    def log(self, row: Mapping[str, float]) -> None:
        """Figures with their 'step'."""

    @abstractmethod
    def picture(self, name: str, rgb: np.ndarray, step: int) -> None:
        """A picture (h, w, 3) uint8."""

    @abstractmethod
    def finish(self, *, failed: bool) -> None:
        """Close it."""

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self.finish(failed=kind is not None)


class NoTracker(Tracker):
    """Nothing beside metrics.csv."""

    def log(self, row: Mapping[str, float]) -> None:
        pass

    def picture(self, name: str, rgb: np.ndarray, step: int) -> None:
        pass

    def finish(self, *, failed: bool) -> None:
        pass
