"""Maps from changed vision tokens: what the score loses when some are taken away. The vision tower runs once for all of
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.vlm.fills import Fill, filled
from isotherm.vlm.trace import TokenTrace


@dataclass(frozen=True)
class TokenOcclusion:
    """The score less that without a token, token by token.

    Args:
        fill: what a token becomes: ``mean`` of its picture, ``blur``, or ``mask``: nobody attends to it.

    Source: Zeiler & Fergus, "Visualizing and understanding convolutional networks" (ECCV 2014), section 4.2, on tokens.
    """

    fill: Fill = "mean"
    name: str = "token_occlusion"
    signed: bool = True
    additive: bool = True
    needs: frozenset[str] = frozenset({"activation", "rerun"})
    explains: ClassVar[frozenset[str]] = frozenset({"answers"})

    def __call__(self, trace: TokenTrace) -> Float[Tensor, " n"]:
        n, lost = trace.question.tokens, []
        for some in torch.arange(n).split(32):
            gone = F.one_hot(some, n).bool()
            lost.append(trace.score - filled(trace, gone, self.fill))
        return torch.cat(lost)


@dataclass(frozen=True)
class Rise:
    """The mean over random masks of the score, by whether a token was kept.

    Masks are smooth within each tile of each picture. A token's value is the mean score of the masks that keep it less
    the mean of all, which is Petsiuk's estimate up to a constant and has less variance.

    Args:
        masks: how many.
        keep: probability that a cell is kept.
        cells: of a mask per side.
        fill: what the others become.
        seed: of the masks.

    Source: Petsiuk, Das & Saenko, "RISE" (BMVC 2018), eqs. 5 and 6.
    """

    masks: int = 256
    keep: float = 0.5
    cells: int = 4
    fill: Fill = "mean"
    seed: int = 0
    name: str = "rise"
    signed: bool = True
    additive: bool = False
    needs: frozenset[str] = frozenset({"activation", "rerun"})
    explains: ClassVar[frozenset[str]] = frozenset({"answers"})

    def __post_init__(self) -> None:
        if self.masks < 2 or not 0 < self.keep < 1 or self.cells < 1:
            raise OptionError(
                f"masks is {self.masks}, keep {self.keep} and cells {self.cells}; expected at least 2 masks, keep between 0 and 1, at least 1 cell"
            )

    def __call__(self, trace: TokenTrace) -> Float[Tensor, " n"]:
        kept = self._masks(trace)
        scores = torch.cat([filled(trace, ~some, self.fill) for some in kept.split(32)])
        weight = kept.to(scores)
        share = weight.mean(0).clamp(min=1e-6)
        return (scores - scores.mean()) @ weight / len(scores) / share

    def _masks(self, trace: TokenTrace) -> Bool[Tensor, "m n"]:
        generator = torch.Generator().manual_seed(self.seed)
        prompt = trace.question.prompt
        kept = torch.rand(self.masks, len(prompt.positions), generator=generator) < self.keep
        for start, picture in zip(prompt.first, prompt.pictures, strict=False):
            for grid in picture.grids:
                h, w = grid.frame.size
                coarse = torch.rand(self.masks, 1, min(self.cells, h) + 1, min(self.cells, w) + 1, generator=generator)
                smooth = F.interpolate(
                    (coarse < self.keep).float(),
                    (h + h // self.cells, w + w // self.cells),
                    mode="bilinear",
                    align_corners=False,
                )
                shift = (
                    torch.randint(0, h // self.cells + 1, (1,), generator=generator),
                    torch.randint(0, w // self.cells + 1, (1,), generator=generator),
                )
                cut = smooth[:, 0, int(shift[0]) :, int(shift[1]) :][:, :h, :w]
                chance = torch.rand(cut.shape, generator=generator)
                kept[:, start + grid.token.flatten()] = (chance < cut).flatten(1)
        return kept
