"""Whether a heatmap model has collapsed: maps that say the same of every cell, and a loss that is the number for it."""

from __future__ import annotations

import math
from collections import deque

import torch
from jaxtyping import Float
from torch import Tensor

UNIFORM = 0.995
"""Entropy, as a share of that of a uniform map, above which a map says nothing. A Gaussian of sigma 2 on 64 x 64 cells has .51."""


class CollapseWatch:
    """Looks at the maps of a run and says when it has collapsed.

    Args:
        patience: steps in a row in which nearly every map must be uniform. after: steps at the start that are not looked at,
            because random weights begin uniform.

    Source: a published run that ended at a loss of 16.6355 = 2 ln 4096 had collapsed to uniform maps, and nothing said so.
    """

    def __init__(self, *, patience: int = 200, after: int = 200) -> None:
        self.patience, self.after = patience, after
        self.uniform: deque[float] = deque(maxlen=patience)

    @torch.no_grad()
    def look(self, maps: Float[Tensor, "b n h w"], *, kind: str, step: int) -> dict[str, float]:
        """Figures of a batch: mean largest value per map, mean entropy as a share of a uniform map's, share of uniform maps."""
        h, w = maps.shape[-2:]
        flat = maps.detach().float().flatten(-2)
        if kind == "logits":
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
    def collapsed(self) -> bool:
        """True where for ``patience`` steps on end more than nine maps in ten were uniform."""
        return len(self.uniform) == self.patience and min(self.uniform) > 0.9

    def message(self, loss: float, size: tuple[int, int]) -> str:
        """What to tell a person."""
        floor = math.log(size[0] * size[1])
        return (
            f"the run has collapsed: for {self.patience} steps the maps have been uniform, and the loss, {loss:.4f}, is about that of uniform maps "
            f"(ln {size[0] * size[1]} = {floor:.4f} for cross-entropy); lower the learning rate, check the labels and their frame, or train wider targets first"
        )
