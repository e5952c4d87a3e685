"""What the optimiser does to each parameter: weight decay on weights of convolutions and matrices alone, slower rates
deeper in.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn

from isotherm.errors import OptionError
from isotherm.models.backbone import Backbone


@dataclass(frozen=True, kw_only=True)
class ParameterGroup:
    """Parameters that are trained alike. What is in no group is frozen.

    Args:
        rate: peak learning rate.
        decay: weight decay.
        parameters: in the order of the model.
    """

    rate: float
    decay: float
    parameters: list[nn.Parameter] = field(default_factory=list)


def parameter_groups(
    backbone: Backbone | None, head: nn.Module, *, rate: float, decay: float, backbone_rate: float, layer_decay: float
) -> list[ParameterGroup]:
    """Parameters that are trained, by learning rate and by whether they decay.

    Args:
        backbone: what lies in front of the head, or None.
        rate: peak learning rate of the head.
        decay: weight decay of weights with two or more dimensions; norms, biases and position embeddings have none.
        backbone_rate: factor of the rate for the backbone; 0: it is frozen, whatever its parameters say.
        layer_decay: factor per block of the backbone, from its last block towards the input.

    Raises:
        OptionError: numbers outside of their ranges, or nothing to train.

    Source: layer-wise decay, Bao et al., "BEiT" (ICLR 2022), appendix; no decay on norms and biases, He et al., "Bag of
    tricks" (CVPR 2019), section 3.1.
    """
    if rate <= 0 or decay < 0 or backbone_rate < 0 or not 0 < layer_decay <= 1:
        raise OptionError(
            f"rate {rate}, decay {decay}, backbone_rate {backbone_rate}, layer_decay {layer_decay}; expected above 0, at least 0, at least 0, and above 0 to 1"
        )
    rates: dict[int, float] = {id(p): rate for p in head.parameters()}
    modules = [head] if backbone is None else [backbone, head]
    names = {id(p): name for module in modules for name, p in module.named_parameters()}
    if backbone is not None and backbone_rate > 0:
        blocks = backbone.blocks()
        for p in backbone.parameters():  # what is in no block (patch embedding, positions) lies in front of all of them
            rates[id(p)] = rate * backbone_rate * layer_decay ** len(blocks)
        for depth, block in enumerate(blocks):
            for p in block.parameters():
                rates[id(p)] = rate * backbone_rate * layer_decay ** (len(blocks) - 1 - depth)
    groups: dict[tuple[float, float], ParameterGroup] = {}
    for module in modules:
        for p in module.parameters():
            if id(p) not in rates or not p.requires_grad:
                continue
            decays = decay if p.ndim >= 2 and "pos" not in names[id(p)] and "token" not in names[id(p)] else 0.0
            key = rates[id(p)], decays
            groups.setdefault(key, ParameterGroup(rate=key[0], decay=key[1])).parameters.append(p)
    if not groups:
        raise OptionError("there is nothing to train: the backbone is frozen and the head has no parameters")
    return list(groups.values())
