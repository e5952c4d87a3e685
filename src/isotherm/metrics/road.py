"""ROAD: remove and debias. The score as pixels are imputed, most relevant first and least relevant first.

Rong et al., "A consistent and efficient evaluation strategy for attribution methods" (ICML 2022). Removed pixels are
filled from their neighbours (:mod:`isotherm.metrics.imputation`), which leaks less of *where* was removed than a blank.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.metrics.imputation import linear_imputation
from isotherm.metrics.ranking import rank_cells
from isotherm.metrics.references import mix
from isotherm.metrics.scoring import Score, check_maps, picture_keys, picture_rows, score_stream

FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, eq=False)
class Road:
    """Scores after imputation.

    Args:
        fractions: parts of the pixels that were removed.
        morf, lerf: (t, f) scores with the most (least) relevant pixels removed.
        whole: (t,) of the whole picture.
    """

    fractions: tuple[float, ...]
    morf: Float[Tensor, "t f"]
    lerf: Float[Tensor, "t f"]
    whole: Float[Tensor, " t"]

    @property
    def combined(self) -> Float[Tensor, " t"]:
        """(LeRF - MoRF) / 2, mean over the fractions; above 0 is better than chance, and higher is better."""
        return (self.lerf - self.morf).mean(1) / 2


def road(
    maps: Float[Tensor, "t h w"],
    pictures: Float[Tensor, "b c h w"],
    score: Score,
    *,
    fractions: Sequence[float] = FRACTIONS,
    picture: Int[Tensor, " t"] | None = None,
    region: Bool[Tensor, "t h w"] | None = None,
    noise: float = 0.01,
    seed: int = 0,
    batch: int = 32,
) -> Road:
    """Scores as a growing part of the pixels is imputed, from the most relevant and from the least relevant on.

    Exactly the asked-for number of pixels is removed, ties in a random order. (A threshold at a percentile, as in other
    code, removes all pixels that share its value: of a map that is 0 on half of the picture, everything at once.)

    Args:
        fractions: parts to remove, each above 0 and below 1.
        noise: standard deviation of the noise on imputed pixels, in the model input's units.
        seed: of noise and ties, which are the same for all maps of one picture.
        maps, pictures, score, picture, region, batch: as of :func:`isotherm.metrics.perturbation.deletion`.

    Source: Rong et al. 2022, section 4 and eq. 6; the combination is that of pytorch-grad-cam's ROADCombined.
    """
    check_maps(maps)
    if not fractions or not all(0 < f < 1 for f in fractions):
        raise OptionError(f"fractions are {list(fractions)}; give at least one, each above 0 and below 1")
    rows = picture_rows(maps, pictures, picture)
    keys = picture_keys(pictures, rows)
    plan = [(i, j, least) for i in range(len(maps)) for least in (False, True) for j in range(len(fractions))]

    def stream() -> Iterator[tuple[Tensor, int]]:
        for i, row in enumerate(rows):
            yield pictures[row], i
        for start in range(0, len(plan), batch):
            part = plan[start : start + batch]
            removed = torch.stack([gone(i, fractions[j], least) for i, j, least in part])
            same = torch.tensor([rows[i] for i, _, _ in part], device=pictures.device)
            imputed = linear_imputation(pictures[same], removed)
            for (i, j, least), one in zip(part, imputed, strict=True):
                # seeded by what it is, not by where in a batch or among the maps it lies
                generator = torch.Generator().manual_seed(mix(seed, keys[i], j, int(least)))
                grain = torch.randn(one.shape, generator=generator, dtype=torch.float32).to(one) * noise
                yield one + grain * gone(i, fractions[j], least), i

    ranks: dict[int, tuple[Tensor, int]] = {}

    def gone(i: int, fraction: float, least: bool) -> Tensor:
        if i not in ranks:
            ranks.clear()
            ranking = rank_cells(maps[i], region=None if region is None else region[i], seed=mix(seed, keys[i]))
            ranks[i] = ranking.rank.to(pictures.device), ranking.units
        rank, units = ranks[i]
        count = round(fraction * units)
        return (rank >= units - count) & (rank < units) if least else rank < count

    scores = score_stream(score, stream(), batch=batch)
    both = scores[len(rows) :].reshape(len(maps), 2, len(fractions))
    return Road(tuple(fractions), both[:, 0], both[:, 1], scores[: len(rows)])
