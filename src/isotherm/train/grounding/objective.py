"""What maps of instructions are trained to be."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm import losses, targets
from isotherm.data.grounding.cache import Truth
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.grounding.outputs import Outputs
from isotherm.points import Points


@dataclass(frozen=True, kw_only=True)
class GroundingObjective:
    """Cross-entropy of every map, each its own softmax, against a Gaussian at the place, or a mixture at several.

    Args:
        sigma: standard deviation of the targets in cells at the end of the run.
        first_sigma: at its start, from which it falls geometrically; None: the same throughout.
        grasp: weight of the squared errors of angle and width, where the data are about grasps.
    """

    sigma: float = 2.0
    first_sigma: float | None = None
    grasp: float = 1.0

    def __post_init__(self) -> None:
        for name in ("sigma", "first_sigma"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise OptionError(f"{name} is {value}; expected a finite number of cells above 0")
        if not 0 <= self.grasp < float("inf"):
            raise OptionError(f"grasp is {self.grasp}; expected a finite weight of at least 0")

    def sigma_at(self, done: float) -> float:
        """Sigma when this share of the run is done."""
        if self.first_sigma is None:
            return self.sigma
        return self.first_sigma * (self.sigma / self.first_sigma) ** min(max(done, 0.0), 1.0)

    def loss_of(
        self, outputs: Float[Tensor, "b v k H W"], reading: Outputs, truth: Truth, frame: Frame, *, done: float
    ) -> Float[Tensor, ""]:
        """The mean loss of the maps whose places are known.

        Args:
            outputs: of the head.
            reading: what its channels are.
            truth: of these pictures.
            frame: of the maps, (b, v).
            done: share of the run.
        """
        sigma = self.sigma_at(done)
        maps = reading.heatmaps(outputs)
        if truth.points.shape[3] == 1:
            points = Points(truth.points[..., 0, :], state=truth.state[..., 0])
            loss = losses.gaussian_cross_entropy(maps, points, frame, sigma_cells=sigma)
        else:
            points = Points(truth.points, state=truth.state)
            target = targets.mixture(points, frame, sigma_cells=sigma)
            loss = losses.cross_entropy(maps, target.heatmap.values, state=target.state)
        if reading.grasp and self.grasp:
            loss = loss + self.grasp * _grasp_loss(reading.grasps(outputs), truth, frame, sigma)
        return loss


def _grasp_loss(maps: Float[Tensor, "b v s 3 H W"], truth: Truth, frame: Frame, sigma: float) -> Float[Tensor, ""]:
    target = targets.grasps(
        Points(truth.points, state=truth.state), truth.angle_rad, truth.width_px, frame, sigma_cells=sigma
    )
    wanted = torch.stack([target.cos2, target.sin2, target.width / maps.shape[-1]], -3).to(maps)
    use = target.supervised[..., None, :, :].to(maps)
    return ((maps - wanted).square() * use).sum() / use.sum().clamp(min=1)
