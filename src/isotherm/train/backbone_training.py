"""What is the same for all models of a backbone and a head: how much more slowly the backbone learns, or that it does
not.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from isotherm.errors import OptionError
from isotherm.models.backbone import Backbone
from isotherm.train.loop import LoopConfig
from isotherm.train.parameters import ParameterGroup, parameter_groups


@dataclass(frozen=True, kw_only=True)
class BackboneTraining(LoopConfig):
    """A recipe for a backbone and a head; the rest of it is in :class:`isotherm.train.loop.LoopConfig`.

    Args:
        backbone_rate: factor of the head's rate for the backbone; 0: frozen.
        layer_decay: factor per block towards the input.
    """

    backbone_rate: float = 0.0
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.backbone_rate < 0 or not 0 < self.layer_decay <= 1:
            raise OptionError(
                f"backbone_rate is {self.backbone_rate} and layer_decay {self.layer_decay}; expected at least 0, and above 0 to 1"
            )

    def groups(self, backbone: Backbone, head: nn.Module) -> list[ParameterGroup]:
        """The groups of :func:`isotherm.train.parameters.parameter_groups` for these rates."""
        return parameter_groups(
            backbone,
            head,
            rate=self.rate,
            decay=self.decay,
            backbone_rate=self.backbone_rate,
            layer_decay=self.layer_decay,
        )
