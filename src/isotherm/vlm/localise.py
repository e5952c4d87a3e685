"""Whether a map lies where the answer is known to rest, in one line."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool

from isotherm.errors import ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.metrics.intervals import bootstrap
from isotherm.metrics.localisation import energy_inside, pointing_game
from isotherm.metrics.references import centre_map, random_maps
from isotherm.ops.resample import to_frame

RANDOM = 64
"""Random maps as coarse as the map."""


def localised(heatmap: Heatmap, mask: Bool[np.ndarray, "h w"], *, seed: int = 0) -> str:
    """Energy in the mask and the pointing game, beside random maps (mean and 95 % interval) and the distance from the
    centre.

    Raises:
        ShapeError: the mask is not of the picture's size.
    """
    h, w = (int(v) for v in heatmap.frame.source_size.tolist())
    if mask.shape != (h, w):
        raise ShapeError(
            f"the mask is {mask.shape[0]} x {mask.shape[1]} and the picture {h} x {w}; give a mask of the picture's own size"
        )
    source = Frame.identity((h, w))
    drawn = to_frame(heatmap.values.nan_to_num(0.0), heatmap.frame, source, outside="zero")[None]
    rows, columns = heatmap.frame.size
    random = random_maps(RANDOM, (h, w), grid=(min(rows, h), min(columns, w)), seed=seed)
    random = random - random.amin((1, 2), keepdim=True)
    centre = centre_map((h, w))[None]
    region = torch.from_numpy(mask)[None]
    everywhere = region.expand(RANDOM, -1, -1)
    energies, hits = (
        bootstrap(energy_inside(random, everywhere).double()),
        bootstrap(pointing_game(random, everywhere).double()),
    )
    middle = centre - centre.min()
    return (
        f"{heatmap.label}: energy in the mask {float(energy_inside(drawn, region)):.2f} (random {energies.mean:.2f} [{energies.low:.2f}, {energies.high:.2f}], centre {float(energy_inside(middle, region)):.2f}, "
        f"the mask's share of the picture {mask.mean():.2f}), strongest point {_hit(float(pointing_game(drawn, region)))} (random {hits.mean:.2f}, centre {_hit(float(pointing_game(middle, region)))})"
    )


def _hit(value: float) -> str:
    return "inside" if value >= 0.5 else "outside" if value == value else "nowhere"
