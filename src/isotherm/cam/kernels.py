"""Where a convolution's kernel looks: the centre of its energy, which training may have moved off its window's middle.

A window that is padded on the right and below alone has its middle one cell too far to the right and too far down, and
a network can learn to look through its left and upper weights instead: the energy of a trained EfficientNet-Lite0's
first 5x5 kernels of stride 2 is centred on weight 1.3 of 0 to 4. :mod:`isotherm.cam.receptive` adds up the middles of
windows; with what is given here it also adds up how far the weights' energy is from them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Centre:
    """Where a kernel's energy is centred along one axis.

    Args:
        off: from the middle of the window, in weights.
        chance: the variance of that for random weights.
    """

    off: float = 0.0
    chance: float = 0.0


@torch.no_grad()
def energy_centres(weight: Float[Tensor, "o i *kernel"]) -> tuple[Centre, ...]:
    """Where a kernel's energy is centred, along each of its axes.

    The centre of N independent normal weights has the variance (k^2 - 1) / (6 N) along an axis of k, since a square has
    the mean s^2 and the variance 2 s^4.

    Args:
        weight: of a convolution, or of a transposed one.

    Example:
        >>> upper = torch.zeros(64, 64, 3, 3)
        >>> upper[:, :, 0] = 1
        >>> [centre.off for centre in energy_centres(upper)]
        [-1.0, 0.0]
    """
    kernel = tuple(weight.shape[2:])
    if all(length == 1 for length in kernel):
        return (Centre(),) * len(kernel)
    energy = weight.detach().float().square().sum((0, 1)).double().cpu()
    total, centres = float(energy.sum()), []
    for axis, length in enumerate(kernel):
        along = energy.movedim(axis, 0).reshape(length, -1).sum(1)
        weighted = float(along @ (torch.arange(length, dtype=torch.float64) - (length - 1) / 2))
        usual = math.isfinite(weighted) and math.isfinite(total) and total > 0
        centres.append(Centre(weighted / total if usual else 0.0, (length**2 - 1) / (6 * weight.numel())))
    return tuple(centres)
