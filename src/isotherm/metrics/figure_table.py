"""Figures of a set and of its groups, each with its interval, as a table and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.metrics.intervals import Interval, bootstrap


@dataclass(frozen=True)
class FigureRow:
    """The figures of a group by name; ``n`` pictures. A figure that cannot be judged is NaN."""

    group: str
    n: int
    figures: Mapping[str, Interval]


@dataclass(frozen=True)
class FigureTable:
    """Rows of figures: all pictures first, then every group, where there are several."""

    rows: tuple[FigureRow, ...]

    def table(self) -> str:
        """The figures as aligned text: one line a figure, one column a group, means with their 95 % intervals where
        they have one.
        """
        heads = ["", *(f"{row.group} (n={row.n})" for row in self.rows)]
        names = list(self.rows[0].figures)
        lines = [heads, *([name, *(_shown(row.figures[name]) for row in self.rows)] for name in names)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
        return "\n".join(
            "  ".join(
                [line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))]
            ).rstrip()
            for line in lines
        )

    def to_json(self) -> dict[str, Any]:
        """The figures as JSON can hold them; what could not be judged is null."""

        def interval(value: Interval) -> dict[str, Any]:
            return {
                key: v if math.isfinite(v) else None
                for key, v in (("mean", value.mean), ("low", value.low), ("high", value.high))
            } | {"n": value.n}

        return {
            "groups": {
                row.group: {"n": row.n, **{name: interval(value) for name, value in row.figures.items()}}
                for row in self.rows
            }
        }


def figure_rows(
    each: Mapping[str, Float[Tensor, " m"]], group: Sequence[str], *, seed: int = 0, resamples: int = 1000
) -> tuple[FigureRow, ...]:
    """Means of figures over all pictures and over every group, with intervals by bootstrap over pictures.

    Args:
        each: name -> (m,) a figure of every picture, NaN where it cannot be judged.
        group: (m) names.
        seed, resamples: of the bootstrap.

    Raises:
        OptionError: a group that is called 'all', which is the name of the row of all pictures.
    """
    if "all" in group:
        raise OptionError("a group is called 'all', which is the name of the row of all pictures; give it another name")

    def row(name: str, rows: Tensor) -> FigureRow:
        figures = {key: bootstrap(values[rows], draws=resamples, seed=seed) for key, values in each.items()}
        return FigureRow(name, int(rows.sum()), figures)

    rows = [row("all", torch.ones(len(group), dtype=torch.bool))]
    if len(set(group)) > 1:
        rows += [row(name or "(no group)", torch.tensor([g == name for g in group])) for name in sorted(set(group))]
    return tuple(rows)


def _shown(value: Interval) -> str:
    if not math.isfinite(value.mean):
        return "–"
    if not value.known:
        return f"{value.mean:.4g}"
    return f"{value.mean:.4g} [{value.low:.4g}, {value.high:.4g}]"
