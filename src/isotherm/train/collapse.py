"""Whether a heatmap model has collapsed: maps that say the same of every cell, and a loss that is the number for it."""

from __future__ import annotations

import math
from collections import deque
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.train.watch import Watch

UNIFORM = 0.995
"""Entropy, as a share of that of a uniform map, above which a map says nothing. A Gaussian of sigma 2 on 64 x 64 cells
has .51.
"""


class CollapseWatch(Watch):
    """Looks at the maps of a run and says when it has collapsed.

    Args:
        kind: of its maps, 'logits' of one softmax per map, or 'peak'.
        cells: (h, w) of the maps, for the message.
        patience: steps in a row in which nearly every map must be uniform.
        after: steps at the start that are not looked at, because random weights begin uniform.

    Source: a published run that ended at a loss of 16.6355 = 2 ln 4096 had collapsed to uniform maps, and nothing said
    so.
    """

    def __init__(
        self, kind: Literal["logits", "peak"], cells: tuple[int, int], *, patience: int = 200, after: int = 200
    ) -> None:
        self.kind, self.cells = kind, cells
        self.patience, self.after = patience, after
        self.uniform: deque[float] = deque(maxlen=patience)

    @torch.no_grad()
    def look(self, maps: Float[Tensor, "b n h w"], *, step: int) -> dict[str, float]:
        """Figures of a batch: mean largest value per map, mean entropy as a share of a uniform map's, share of uniform
        maps.
        """
        h, w = maps.shape[-2:]
        flat = maps.detach().float().flatten(-2)
        if self.kind == "logits":
            share = flat.softmax(-1)
            entropy = -torch.xlogy(share, share).sum(-1) / math.log(h * w)
            uniform = float((entropy > UNIFORM).float().mean())
        else:  # a peak map that says nothing is flat: its largest value is hardly above its mean
            spread = flat.amax(-1) - flat.mean(-1)
            entropy = torch.ones_like(spread)
            uniform = float((spread < 0.05).float().mean())
        if step >= self.after:
            self.uniform.append(uniform)
        return {"max": float(flat.amax(-1).mean()), "entropy": float(entropy.mean()), "uniform": uniform}

    @property
    def alarmed(self) -> bool:
        """True where for ``patience`` steps on end more than nine maps in ten were uniform."""
        return len(self.uniform) == self.patience and min(self.uniform) > 0.9

    def message(self, loss: float) -> str:
        """What to tell a person."""
        count = self.cells[0] * self.cells[1]
        return (
            f"the run has collapsed: for {self.patience} steps the maps have been uniform, and the loss, {loss:.4f}, is about that of uniform maps "
            f"(ln {count} = {math.log(count):.4f} for cross-entropy); lower the learning rate, check the labels and their frame, or train wider targets first"
        )

    def state_dict(self) -> dict[str, Any]:
        """The shares of uniform maps, of the last steps."""
        return {"uniform": list(self.uniform)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.uniform = deque(state["uniform"], maxlen=self.patience)
