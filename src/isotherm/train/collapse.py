"""Whether a heatmap model has collapsed: maps that say the same of every cell, and a loss that is the number for it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from isotherm.train.map_figures import MapKind, map_figures
from isotherm.train.watch import Watch

MOST = 0.9
"""Share of the maps that must be uniform at every step."""


class CollapseWatch(Watch):
    """Looks at the maps of a run and says when it has collapsed, or one of its channels has.

    Args:
        kind: of its maps, 'logits' of one softmax per map, or 'peak'.
        cells: (h, w) of the maps, for the message.
        patience: steps in a row in which nearly every map must be uniform.
        after: steps at the start that are not looked at, because random weights begin uniform.
        names: of the channels, where each means the same in every step: then a channel whose maps are uniform is
            warned of by itself, once, and the run goes on.

    Source: a published run that ended at a loss of 16.6355 = 2 ln 4096 had collapsed to uniform maps, and nothing said
    so.
    """

    def __init__(
        self, kind: MapKind, cells: tuple[int, int], *, patience: int = 200, after: int = 200, names: Sequence[str] = ()
    ) -> None:
        self.kind, self.cells = kind, cells
        self.patience, self.after, self.names = patience, after, tuple(names)
        self.uniform: deque[float] = deque(maxlen=patience)
        self.steps_of = [0] * len(self.names)
        """Steps in a row in which a channel has been uniform."""
        self._warned: set[int] = set()

    def look(self, maps: Float[Tensor, "b n h w"], *, step: int) -> dict[str, float]:
        """Figures of a batch: mean largest value per map, mean entropy as a share of a uniform map's, share of uniform
        maps.
        """
        figures = map_figures(maps, self.kind)
        uniform = float(figures.uniform.float().mean())
        if step >= self.after:
            self.uniform.append(uniform)
            of = figures.uniform.float().mean(0).tolist()
            self.steps_of = [steps + 1 if share > MOST else 0 for steps, share in zip(self.steps_of, of, strict=False)]
        return {"max": float(figures.largest.mean()), "entropy": float(figures.entropy.mean()), "uniform": uniform}

    def warnings(self) -> list[str]:
        """A line for every channel that has just been uniform for ``patience`` steps."""
        new = [i for i, steps in enumerate(self.steps_of) if steps >= self.patience and i not in self._warned]
        self._warned |= set(new)
        return [
            f"the maps of {self.names[i]} have been uniform for {self.patience} steps: this channel has collapsed, or nothing of it is labelled"
            for i in new
        ]

    @property
    def alarmed(self) -> bool:
        """True where for ``patience`` steps on end more than nine maps in ten were uniform."""
        return len(self.uniform) == self.patience and min(self.uniform) > MOST

    def message(self, loss: float) -> str:
        """What to tell a person."""
        count = self.cells[0] * self.cells[1]
        return (
            f"the run has collapsed: for {self.patience} steps the maps have been uniform, and the loss, {loss:.4f}, is about that of uniform maps "
            f"(ln {count} = {math.log(count):.4f} for cross-entropy); lower the learning rate, check the labels and their frame, or train wider targets first"
        )

    def state_dict(self) -> dict[str, Any]:
        """The shares of uniform maps, of the last steps, and the channels' counts."""
        return {"uniform": list(self.uniform), "steps_of": list(self.steps_of), "warned": sorted(self._warned)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.uniform = deque(state["uniform"], maxlen=self.patience)
        self.steps_of = list(state.get("steps_of", self.steps_of))
        self._warned = set(state.get("warned", ()))
