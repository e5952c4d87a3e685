"""Does the map depend on the weights? Maps of the model beside maps of the same model with ever more random weights.

Adebayo et al., "Sanity checks for saliency maps" (NeurIPS 2018), section 4.1, cascading randomisation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from isotherm.errors import OptionError, ShapeError
from isotherm.metrics.intervals import Interval, bootstrap
from isotherm.metrics.randomisation import randomised
from isotherm.metrics.similarity import pearson, spearman, ssim

DEPENDS_BELOW = 0.5
"""Largest similarity, |Spearman|, of a map that depends on the weights. Two unrelated fields on a 7 x 7 grid reach 0.3
in one case of twenty; maps that only show edges stay above 0.7."""


@dataclass(frozen=True, eq=False)
class Cascade:
    """How alike maps stay as weights are randomised, from the output to the input.

    Args:
        fractions: (s,) the part of the modules randomised at each stage.
        modules: how many these are.
        spearman, pearson, ssim: (s, t) similarity to the map of the true weights, mean over the seeds; NaN where a map
            is constant, which cannot be compared, or not finite.
        magnitude: (s, t) |Spearman|, mean over the seeds: seeds of opposite sign do not cancel.
    """

    fractions: tuple[float, ...]
    modules: tuple[int, ...]
    spearman: Float[Tensor, "s t"]
    pearson: Float[Tensor, "s t"]
    ssim: Float[Tensor, "s t"]
    magnitude: Float[Tensor, "s t"]

    @property
    def similarity(self) -> Float[Tensor, " t"]:
        """|Spearman| at the last stage, 0 to 1: an inverted map shows as little of the weights as an equal one."""
        return self.magnitude[-1]

    def depends(self, *, below: float = DEPENDS_BELOW) -> Bool[Tensor, " t"]:
        """True where the map depends on the weights: its similarity is under the threshold. NaN gives False."""
        return self.similarity < below

    def interval(self, *, level: float = 0.95, draws: int = 2000, seed: int = 0) -> Interval:
        """The mean similarity over the targets, with its bootstrap interval."""
        return bootstrap(self.similarity, level=level, draws=draws, seed=seed)


def cascade(
    model: nn.Module,
    explain: Callable[[], Float[Tensor, "t h w"]],
    *,
    maps: Float[Tensor, "t h w"] | None = None,
    fractions: Sequence[float] = (0.25, 0.5, 0.75, 1.0),
    seeds: Sequence[int] = (0,),
    keep: Sequence[str] = (),
    calibrate: bool = True,
) -> Cascade:
    """Compare maps of the model with maps of randomised models, stage by stage.

    Args:
        model: the module whose weights are randomised; it is given back as it was.
        explain: makes the maps of the same targets with the weights that the model has at that moment.
        maps: those of the true weights; None: ``explain`` is called for them.
        fractions: parts of the modules to randomise, counted from the output.
        seeds: one cascade for each.
        keep: modules that stay as they are (:func:`isotherm.metrics.randomisation.randomised`).
        calibrate: fit batch norms to the random weights, by running ``explain`` once more per stage. Without batch
            norms nothing is run.

    Source: Adebayo et al. 2018, section 4.1; similarities as there, except that HOG is left out.
    """
    if not fractions or not seeds:
        raise OptionError("a cascade needs at least one fraction and one seed")
    true = (explain() if maps is None else maps).detach()
    norms = any(m._buffers.get("running_mean") is not None for m in model.modules())
    counts, stages = [], []
    for fraction in fractions:
        figures = []
        for seed in seeds:
            with randomised(
                model, float(fraction), seed=seed, keep=keep, calibrate=explain if calibrate and norms else None
            ) as what:
                now = explain().detach()
            if now.shape != true.shape:
                raise ShapeError(
                    f"with random weights there are maps of {tuple(now.shape)}, with the true ones of {tuple(true.shape)}; explain must give maps of the same targets"
                )
            measured = [_finite(f, true, now.to(true)) for f in (spearman, pearson, ssim)]
            figures.append(torch.stack([*measured, measured[0].abs()]))
        counts.append(what.modules)
        stages.append(torch.stack(figures).mean(0))
    by_stage = torch.stack(stages).cpu()
    return Cascade(tuple(float(f) for f in fractions), tuple(counts), *by_stage.unbind(1))


def _finite(measure: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """The similarity of each pair; NaN where a map is not finite, as it can be when random weights overflow."""
    bad = ~(torch.isfinite(a) & torch.isfinite(b)).flatten(1).all(1)
    clean = bad[:, None, None]
    return measure(a.masked_fill(clean, 0.0), b.masked_fill(clean, 0.0)).masked_fill(bad, torch.nan)
