"""pysaliency's metrics of given maps and fixations, through its own models."""

from __future__ import annotations

import warnings
from functools import cache
from unittest.mock import patch

import numpy as np


@cache
def pysaliency():
    """The package; its import warns of what is old in its own dependencies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pysaliency as package
        import pysaliency.metrics
    return package


class Oracle:
    """What pysaliency says of maps (t, h, w) and fixations, a list of (n, 2) pixels (x, y) for each map."""

    def __init__(self, maps: np.ndarray, fixations: list[np.ndarray]) -> None:
        package = pysaliency()
        self.maps = maps
        # pictures are told apart by their content
        pictures = [np.full((*m.shape, 3), i, np.uint8) for i, m in enumerate(maps)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.stimuli = package.Stimuli(pictures)
            xy = np.concatenate(fixations)
            number = np.concatenate([np.full(len(f), i) for i, f in enumerate(fixations)])
            self.fixations = package.Fixations.create_without_history(xy[:, 0], xy[:, 1], number)

            class Given(package.SaliencyMapModel):
                def _saliency_map(self, stimulus):
                    return maps[stimulus[0, 0, 0]]

            self.model = Given(caching=False)

    def auc(self, nonfixations: str, thresholds: str) -> list[float]:
        """One for each picture."""
        # it calls NumPy's trapezoid by the name of before NumPy 2
        with warnings.catch_warnings(), patch.object(np, "trapz", np.trapezoid, create=True):
            warnings.simplefilter("ignore")
            return self.model.AUC_per_image(
                self.stimuli, self.fixations, nonfixations=nonfixations, thresholds=thresholds
            )

    def nss(self) -> list[float]:
        """One for each picture."""
        values = self.model.NSSs(self.stimuli, self.fixations)
        return [float(values[self.fixations.n == i].mean()) for i in range(len(self.maps))]
