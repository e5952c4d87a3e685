"""Integrated gradients: the gradient at the input, averaged on the straight way from a blank picture to the picture.

Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks" (ICML 2017), eq. 1. Summed over all pixels it is
the score's gain over the blank picture (completeness), so the error of the numerical integral can be told exactly.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.methods.scoring import batch_on, blank_of, check_batch
from isotherm.cam.trace import LayerMap, Trace
from isotherm.errors import MethodError


@dataclass(frozen=True, eq=False)
class Integration:
    """What was integrated and how well.

    Args:
        values: (t, h, w), summed over the input's channels.
        gain: (t,) score of the picture less score of the blank one: what the values should sum to.
        error: (t,) sum of the values less ``gain``.
    """

    values: Float[Tensor, "t h w"]
    gain: Float[Tensor, " t"]
    error: Float[Tensor, " t"]


@dataclass(frozen=True, kw_only=True)
class IntegratedGradients:
    """sum_c (x - blank) mean over the way of ds/dx, signed.

    Args:
        steps: points on the way; each costs one forward and one backward pass.
        rule: ``gauss`` (Gauss-Legendre, exact for polynomials of degree 2 steps - 1) or ``midpoint``.
        tolerance: a completeness error larger than this share of the gain is warned of.
        batch: points per pass; memory is bounded by it. None: 4 on a CPU, 32 elsewhere.
    """

    steps: int = 32
    rule: Literal["gauss", "midpoint"] = "gauss"
    tolerance: float = 0.05
    batch: int | None = None

    name: ClassVar[str] = "IntegratedGradients"
    signed: ClassVar[bool] = True
    explains: ClassVar[frozenset[str]] = frozenset({"pictures"})
    needs: ClassVar[frozenset[str]] = frozenset({"rerun"})

    def __post_init__(self) -> None:
        check_batch(self.batch)
        if self.steps < 1:
            raise MethodError(f"steps is {self.steps}; the way from the blank picture needs at least 1 point")
        if self.rule not in ("gauss", "midpoint"):
            raise MethodError(f"rule is {self.rule!r}; expected gauss or midpoint")

    def __call__(self, trace: Trace) -> list[LayerMap]:
        result = self.integrate(trace)
        share = result.error.abs() / result.gain.abs().clamp(min=torch.finfo(result.gain.dtype).tiny)
        # an error that is small beside the score itself is rounding, however small the gain
        poor = (share > self.tolerance) & (result.error.abs() > 1e-4 * trace.scores.abs().to(share))
        if bool(poor.any()):
            worst = int(torch.where(poor, share, torch.zeros_like(share)).argmax())
            warnings.warn(
                f"integrated gradients sum to {float(result.gain[worst] + result.error[worst]):.4g} where the score's gain over the "
                f"blank picture is {float(result.gain[worst]):.4g}; take more steps than {self.steps}",
                stacklevel=2,
            )
        return [LayerMap("input", result.values, trace.frame)]

    def integrate(self, trace: Trace) -> Integration:
        """The map with its completeness error."""
        rerun = trace.need_rerun()
        dtype = torch.promote_types(trace.inputs.tensor.dtype, torch.float32)
        position, weight = self._rule()
        target = torch.arange(len(trace)).repeat_interleave(self.steps)
        step = torch.arange(self.steps).repeat(len(trace))
        size = trace.inputs.tensor.shape[-2:]
        device = trace.inputs.tensor.device
        values = torch.zeros(len(trace), *size, dtype=dtype, device=device)
        blank = blank_of(trace)
        for rows in torch.arange(len(target)).split(batch_on(trace.inputs.tensor.device, self.batch)):
            whole = trace.input_of(target[rows])
            way = (whole - blank).to(dtype)
            here = position[step[rows]].to(device, dtype)[:, None, None, None]
            _, gradient = rerun.input_gradient((blank + here * way).to(whole.dtype), target[rows])
            part = (way * gradient.to(way)).sum(1) * weight[step[rows]].to(device, dtype)[:, None, None]
            values.index_add_(0, target[rows].to(device), part)
        gain = self._gain(trace, dtype)
        return Integration(values, gain, values.sum((1, 2)) - gain.to(values))

    def _gain(self, trace: Trace, dtype: torch.dtype) -> Tensor:
        rerun, blank = trace.need_rerun(), blank_of(trace)
        ends = []
        for rows in torch.arange(len(trace)).split(batch_on(trace.inputs.tensor.device, self.batch)):
            whole = trace.input_of(rows)
            ends.append(rerun.scores(whole, rows) - rerun.scores(blank.expand_as(whole), rows))
        return torch.cat(ends).to(dtype)

    def _rule(self) -> tuple[Tensor, Tensor]:
        """Positions in (0, 1) and weights that sum to 1."""
        if self.rule == "midpoint":
            return (torch.arange(self.steps, dtype=torch.float64) + 0.5) / self.steps, torch.full(
                (self.steps,), 1 / self.steps, dtype=torch.float64
            )
        nodes, weights = np.polynomial.legendre.leggauss(self.steps)
        return torch.from_numpy((nodes + 1) / 2), torch.from_numpy(weights / 2)


integratedgradients = IntegratedGradients()
