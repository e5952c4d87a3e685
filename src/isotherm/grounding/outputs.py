"""What the channels of a grounding head are: a heatmap for every step, and of grasps an angle and a width beside it."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from isotherm.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """How the outputs of a head are to be read.

    Args:
        steps: heatmaps of every picture, one after the other: pick, then place.
        grasp: beside each, three maps more: cosine and sine of twice the angle, and the width, in shares of the map's
            width.

    Example:
        >>> Outputs(steps=2, grasp=True).channels
        8
    """

    steps: int = 1
    grasp: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise OptionError(f"steps is {self.steps}; expected at least 1")

    @property
    def channels(self) -> int:
        """Outputs of the head."""
        return self.steps * (4 if self.grasp else 1)

    def heatmaps(self, outputs: Float[Tensor, "*b k H W"]) -> Float[Tensor, "*b s H W"]:
        """The logits of every step."""
        return outputs[..., : self.steps, :, :]

    def grasps(self, outputs: Float[Tensor, "*b k H W"]) -> Float[Tensor, "*b s 3 H W"]:
        """Of every step cosine and sine of twice the angle, and the width.

        Raises:
            OptionError: the head has none.
        """
        if not self.grasp:
            raise OptionError("these outputs have no grasps; train on data with angle_deg and width_px")
        return outputs[..., self.steps :, :, :].unflatten(-3, (self.steps, 3))
