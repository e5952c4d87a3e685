"""How sure a mean is: seeded bootstrap percentile intervals.

Efron & Tibshirani, "An introduction to the bootstrap" (1993), chapter 13. NaN means "could not be judged": such values
are left out, and how many they are is part of the answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError

FEWEST = 3
"""Values that an interval needs. Of two, the ends are the values themselves, and where these are alike it has no width:
it would hold the true mean in half of all cases at most.
"""


@dataclass(frozen=True)
class Interval:
    """A mean with its interval.

    Args:
        mean, low, high: NaN where nothing could be judged; low and high are NaN also of fewer than :data:`FEWEST`
            values, which hardly say how far others lie.
        n: values that count.
        left_out: values that were NaN.
    """

    mean: float
    low: float
    high: float
    n: int
    left_out: int

    @property
    def known(self) -> bool:
        """Whether there is an interval beside the mean."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def __str__(self) -> str:
        left_out = f", {self.left_out} left out" if self.left_out else ""
        around = f"[{self.low:.3g}, {self.high:.3g}]" if self.known else "without an interval"
        return f"{self.mean:.3g} {around} (n={self.n}{left_out})"

    def per_cent(self) -> str:
        """A share with its interval in per cent, and the mean alone where there is no interval.

        Example:
            >>> Interval(0.5, 0.25, 0.75, 40, 0).per_cent(), Interval(0.5, math.nan, math.nan, 2, 0).per_cent()
            ('50.0 [25.0, 75.0]', '50.0')
        """
        around = f" [{100 * self.low:.1f}, {100 * self.high:.1f}]" if self.known else ""
        return f"{100 * self.mean:.1f}{around}"


def bootstrap(values: Float[Tensor, " n"], *, level: float = 0.95, draws: int = 2000, seed: int = 0) -> Interval:
    """The mean of independent values with its bootstrap percentile interval.

    Args:
        values: one per picture (or whatever is independent); NaN is left out and counted.
        level: the interval's probability.
        draws: resamples.
        seed: of the resampling.

    Example:
        >>> bootstrap(torch.tensor([1.0, 2.0, 3.0, torch.nan]))
        Interval(mean=2.0, low=1.0, high=3.0, n=3, left_out=1)
    """
    return bootstrap_nested(values[:, None], level=level, draws=draws, seed=seed)


def bootstrap_paired(
    a: Float[Tensor, " n"], b: Float[Tensor, " n"], *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> Interval:
    """The mean of a - b, where a[i] and b[i] are of the same picture; a pair with a NaN is left out."""
    if a.shape != b.shape:
        raise ShapeError(f"a has {tuple(a.shape)} values and b {tuple(b.shape)}; pairs need as many of each")
    return bootstrap(a - b, level=level, draws=draws, seed=seed)


def bootstrap_nested(
    values: Float[Tensor, "n k"], *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> Interval:
    """The mean over pictures of means over repeats (random orders), resampling pictures and, within each, repeats.

    With a single picture only its repeats are resampled: the interval then says how well *this* picture is known.
    There is none of two pictures, nor of one with two repeats (:data:`FEWEST`). A picture with a NaN is left out.
    """
    if not 0 < level < 1 or draws < 1:
        raise OptionError(
            f"level is {level} and draws {draws}; the level lies between 0 and 1, and at least one draw is needed"
        )
    values = values.detach().cpu().double()
    good = values[~values.isnan().any(1)]
    (n, k), left_out = good.shape, len(values) - len(good)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0, left_out)
    mean = float(good.mean())
    if (k if n == 1 else n) < FEWEST:
        return Interval(mean, math.nan, math.nan, n, left_out)
    generator = torch.Generator().manual_seed(seed)
    means = torch.empty(draws, dtype=torch.float64)
    together = max(1, (1 << 22) // (n * k))
    for rows in torch.arange(draws).split(together):
        picked = torch.randint(n, (len(rows), n), generator=generator)
        repeats = torch.randint(k, (len(rows), n, k), generator=generator)
        means[rows] = good[picked].gather(2, repeats).mean((1, 2))
    tail = (1 - level) / 2
    low, high = torch.quantile(means, torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return Interval(mean, low, high, n, left_out)


def bootstrap_answers(
    right: Float[Tensor, "n k"], *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> Interval:
    """The share of right answers, as :func:`bootstrap_nested`, and exact where all are right or all are wrong.

    Drawn again, answers that are all alike are alike, so the bootstrap would say that there is no doubt at all. There
    the interval is that of Clopper and Pearson, "The use of confidence or fiducial limits" (1934), of so many pictures;
    their repeats, which know of each other, are not counted.

    Args:
        right: 1 where an answer is right and 0 where it is wrong, of pictures and repeats; a picture with a NaN is left
            out.
        level, draws, seed: as of :func:`bootstrap_nested`.

    Example:
        >>> bootstrap_answers(torch.ones(100, 2)).per_cent(), bootstrap_answers(torch.zeros(100, 2)).per_cent()
        ('100.0 [96.4, 100.0]', '0.0 [0.0, 3.6]')
    """
    share = bootstrap_nested(right, level=level, draws=draws, seed=seed)
    if share.n < FEWEST or share.mean not in (0.0, 1.0):
        return share
    away = 1 - ((1 - level) / 2) ** (1 / share.n)
    return replace(share, low=max(0.0, share.mean - away), high=min(1.0, share.mean + away))
