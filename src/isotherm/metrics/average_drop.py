"""Average drop, increase and gain: what the model makes of the picture seen through its own map; and ADCC.

Chattopadhay et al., "Grad-CAM++" (WACV 2018), section 4.1. The mask is :func:`unit_maps`: negative values to 0, then
divided by the largest, so that 0 stays 0 ("no evidence") and the strongest pixel is shown in full. Where other code
subtracts the smallest positive value as well, a map that is positive everywhere loses its weakest pixel; ours does not.

These figures reward large maps: showing everything never drops. Complexity, and ADCC, exist because of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.metrics.fills import as_fill
from isotherm.metrics.scoring import Score, check_maps, picture_rows, score_stream
from isotherm.metrics.similarity import pearson


@dataclass(frozen=True, eq=False)
class MaskedScores:
    """Probabilities of the whole picture and of the picture seen through its map.

    Args:
        whole, masked: (t,). ``masked`` is NaN for maps without positive evidence, and so is all that follows from it.
    """

    whole: Float[Tensor, " t"]
    masked: Float[Tensor, " t"]

    @property
    def drop(self) -> Float[Tensor, " t"]:
        """max(0, Y - O) / Y, lower is better; the papers' average drop is 100 times its mean."""
        return ((self.whole - self.masked).clamp(min=0) / self.whole).masked_fill(self.whole <= 0, torch.nan)

    @property
    def increase(self) -> Float[Tensor, " t"]:
        """1 where O > Y, else 0, higher is better ("increase in confidence")."""
        return torch.where(self.masked.isnan(), torch.nan, (self.masked > self.whole).to(self.whole))

    @property
    def gain(self) -> Float[Tensor, " t"]:
        """max(0, O - Y) / (1 - Y), higher is better (Zhang et al., "Opti-CAM", CVIU 2024, eq. 13)."""
        return ((self.masked - self.whole).clamp(min=0) / (1 - self.whole)).masked_fill(self.whole >= 1, torch.nan)


def unit_maps(maps: Float[Tensor, "t h w"]) -> Float[Tensor, "t h w"]:
    """Maps without their negative part, divided by their largest value: 0 to 1. All 0 where nothing is positive."""
    positive = maps.clamp(min=0)
    peak = positive.amax((1, 2), keepdim=True)
    return torch.where(peak > 0, positive / torch.where(peak > 0, peak, 1.0), 0.0)


def masked_pictures(
    maps: Float[Tensor, "t h w"],
    pictures: Float[Tensor, "t c h w"],
    *,
    fill: Float[Tensor, " c"] | Float[Tensor, "t c h w"],
) -> Float[Tensor, "t c h w"]:
    """Each picture seen through its map: m x + (1 - m) fill with m of :func:`unit_maps`.

    ``fill=torch.zeros(c)`` multiplies the normalised picture, which is what the papers' code does: the dataset's
    mean colour where the map is 0.
    """
    masks = unit_maps(maps)[:, None].to(pictures)
    return masks * pictures + (1 - masks) * as_fill(fill, pictures)


def masked_scores(
    maps: Float[Tensor, "t h w"],
    pictures: Float[Tensor, "b c h w"],
    score: Score,
    *,
    fill: Float[Tensor, " c"] | Float[Tensor, "b c h w"],
    picture: Int[Tensor, " t"] | None = None,
    batch: int = 32,
) -> MaskedScores:
    """Scores of whole pictures and of the same seen through their maps.

    Args:
        score: must return probabilities: a drop relative to a logit, which may be negative, means nothing.
        maps, pictures, fill, picture, batch: as of :func:`isotherm.metrics.perturbation.deletion`.

    Raises:
        OptionError: a score outside of [0, 1].
    """
    check_maps(maps)
    rows = picture_rows(maps, pictures, picture)
    filled = as_fill(fill, pictures)
    judged = [i for i, peak in enumerate(maps.flatten(1).amax(1).tolist()) if peak > 0] if len(maps) else []

    def stream() -> Iterator[tuple[Tensor, int]]:
        for i, row in enumerate(rows):
            yield pictures[row], i
        for i in judged:
            one = masked_pictures(maps[i : i + 1], pictures[rows[i] : rows[i] + 1], fill=filled[rows[i] : rows[i] + 1])
            yield one[0], i

    scores = score_stream(score, stream(), batch=batch)
    if len(scores) and (float(scores.min()) < 0 or float(scores.max()) > 1):
        raise OptionError(
            f"scores lie from {float(scores.min()):.3g} to {float(scores.max()):.3g}; average drop needs probabilities, so pass softmax or sigmoid of the logit"
        )
    whole = scores[: len(rows)]
    masked = torch.full_like(whole, torch.nan)
    masked[torch.tensor(judged, dtype=torch.long)] = scores[len(rows) :]
    return MaskedScores(whole, masked)


def complexity(maps: Float[Tensor, "t h w"]) -> Float[Tensor, " t"]:
    """Mean of each unit map, 0 to 1, lower is better; NaN without positive evidence. Poppi et al. 2021, eq. 4."""
    check_maps(maps)
    return unit_maps(maps).mean((1, 2)).masked_fill(maps.amax((1, 2)) <= 0, torch.nan)


def coherency(maps: Float[Tensor, "t h w"], again: Float[Tensor, "t h w"]) -> Float[Tensor, " t"]:
    """How alike a map is to the map of its own masked picture, (1 + Pearson) / 2, higher is better; Poppi et al. 2021,
    eq. 3.

    Args:
        maps: of the pictures.
        again: of :func:`masked_pictures`, for the same targets.
    """
    return (1 + pearson(unit_maps(maps), unit_maps(again))) / 2


def adcc(
    coherency: Float[Tensor, " t"], complexity: Float[Tensor, " t"], drop: Float[Tensor, " t"]
) -> Float[Tensor, " t"]:
    """Harmonic mean of coherency, 1 - complexity and 1 - average drop, 0 to 1; 0 where one of them is 0.

    Source: Poppi et al., "Revisiting the evaluation of class activation mapping for explainability" (CVPR-W 2021), eq.
    6.
    """
    parts = torch.stack([coherency.double(), 1 - complexity.double(), 1 - drop.double()])
    harmonic = 3 / (1 / parts.clamp(min=torch.finfo(torch.float64).tiny)).sum(0)
    return torch.where((parts <= 0).any(0), 0.0, harmonic).masked_fill(parts.isnan().any(0), torch.nan)
