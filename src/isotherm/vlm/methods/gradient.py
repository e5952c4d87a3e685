"""Maps from the gradient at the vision tokens: gradient x activation, Grad-CAM, integrated gradients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.vlm.trace import TokenTrace


@dataclass(frozen=True)
class GradientActivation:
    """sum_c g (a - mean a), over all streams: what the score loses to first order when a token becomes the mean of its
    picture.

    Without the centring the sum vanishes wherever a norm follows, which does not see the scale of a token (Euler's
    theorem), and what is left is rounding; centred, it does not.

    Args:
        centre: take the mean off. The plain product is for comparison.

    Source: Shrikumar et al., "Learning important features through propagating activation differences" (ICML 2017),
        section 3.2, with the mean as reference.
    """

    centre: bool = True
    name: str = "gradient_activation"
    signed: bool = True
    additive: bool = True
    needs: frozenset[str] = frozenset({"activation", "gradient"})
    explains: ClassVar[frozenset[str]] = frozenset({"answers"})

    def centred(self) -> GradientActivation:
        """The same with the mean taken off."""
        return replace(self, centre=True)

    def __call__(self, trace: TokenTrace) -> Float[Tensor, " n"]:
        activations = trace.centred() if self.centre else trace.activations
        return torch.stack([(g * a).sum(-1) for g, a in zip(trace.need_gradients(), activations, strict=True)]).sum(0)


@dataclass(frozen=True)
class GradCam:
    """relu(sum_c w_c (a_c - mean a_c)), w_c the mean gradient of a channel, over all streams.

    Source: Selvaraju et al., "Grad-CAM" (ICCV 2017), eqs. 1 and 2, on vision tokens; activations are centred, because
        tokens have no natural zero.
    """

    name: str = "gradcam"
    signed: bool = False
    additive: bool = False
    needs: frozenset[str] = frozenset({"activation", "gradient"})
    explains: ClassVar[frozenset[str]] = frozenset({"answers"})

    def __call__(self, trace: TokenTrace) -> Float[Tensor, " n"]:
        return (
            torch.stack([a @ g.mean(0) for g, a in zip(trace.need_gradients(), trace.centred(), strict=True)])
            .sum(0)
            .clamp(min=0)
        )


@dataclass(frozen=True)
class IntegratedGradients:
    """The gradient's mean along the straight way from the picture's mean token to the tokens, times the difference.

    The values add up to what the score gains on that way, to the error of the quadrature.

    Args:
        steps: midpoints.
        batch: of them at a time.

    Source: Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks" (ICML 2017), eq. 1, by the midpoint
        rule.
    """

    steps: int = 16
    batch: int = 4
    name: str = "integrated_gradients"
    signed: bool = True
    additive: bool = True
    needs: frozenset[str] = frozenset({"activation", "rerun"})
    explains: ClassVar[frozenset[str]] = frozenset({"answers"})

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise OptionError(f"steps is {self.steps} and batch {self.batch}; expected at least 1 of each")

    def __call__(self, trace: TokenTrace) -> Float[Tensor, " n"]:
        start, apart = trace.means(), trace.centred()
        total = [torch.zeros_like(a) for a in apart]
        for some in ((torch.arange(self.steps) + 0.5) / self.steps).split(self.batch):
            at = some.to(apart[0])[:, None, None]
            _, gradients = trace.scores_and_gradients(
                tuple((m + at * d).to(s.dtype) for m, d, s in zip(start, apart, trace.question.streams, strict=True))
            )
            for sum_, g in zip(total, gradients, strict=True):
                sum_ += g.to(sum_).sum(0)
        return torch.stack([(g * d).sum(-1) / self.steps for g, d in zip(total, apart, strict=True)]).sum(0)
