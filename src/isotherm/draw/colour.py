"""Colour maps: perceptual by default, diverging around 0 for signed maps, any of matplotlib's by name.

A rainbow ("jet") has bright bands at values that mean nothing and its lightness goes up and down again
(Borland & Taylor, "Rainbow Color Map (Still) Considered Harmful", 2007); it is here on request only.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import OptionError

DEFAULT = "inferno"
"""For maps that start at 0: lightness rises evenly from black through red to pale yellow."""

DEFAULT_DIVERGING = "coolwarm"
"""For signed maps: blue against, grey at 0, red for (Moreland, "Diverging Color Maps for Scientific Visualization", 2009)."""

OPACITY = 0.7
"""Of the strongest values, unless asked otherwise: the map is plain to see and so is the picture below."""

FULL_AT = 0.5
"""Share of the scale at which opacity by value is full. Up to there it grows in proportion. If it grew to the very
end, the upper half, where a map says most, would look washed out on bright pictures."""

LEVELS = 1023
"""Colours that a map is drawn with. Odd, so that 0 of a diverging map has a level of its own, and so many
that the steps between them are below one in 255."""


@cache
def colour_table(name: str = DEFAULT) -> Float[Tensor, "levels 3"]:
    """The colours of a colour map from low to high.

    Args:
        name: one of matplotlib's colour maps: ``inferno``, ``magma``, ``viridis``, ``coolwarm``, ``jet``, ...

    Returns:
        (1023, 3) float32, RGB in [0, 1], interpolated between the colours that matplotlib stores.

    Raises:
        OptionError: matplotlib has no colour map of that name; the message lists the nearest ones.
    """
    import matplotlib  # slow to import, and only its tables are needed

    if name not in matplotlib.colormaps:
        from difflib import get_close_matches

        near = get_close_matches(name, list(matplotlib.colormaps), n=3)
        raise OptionError(
            f"there is no colour map {name!r}; "
            + (f"did you mean {' or '.join(near)}?" if near else f"try {DEFAULT}, magma, viridis, {DEFAULT_DIVERGING} or jet")
        )
    colormap = matplotlib.colormaps[name]
    stored = colormap(np.arange(colormap.N))[:, :3]
    at = np.linspace(0, colormap.N - 1, LEVELS)
    table = np.stack([np.interp(at, np.arange(colormap.N), channel) for channel in stored.T], -1)
    return torch.from_numpy(table.astype(np.float32))


def default_colormap(*, signed: bool) -> str:
    """The name of the colour map that a map gets when none is asked for."""
    return DEFAULT_DIVERGING if signed else DEFAULT


def alpha_table(opacity: float, *, by_value: bool, signed: bool, threshold: float = 0.0) -> Float[Tensor, " levels"]:
    """How opaque each level is, in [0, 1].

    Args:
        opacity: of the strongest values, in [0, 1].
        by_value: True for opacity that grows with the distance from 0 (up to half of the scale), so that where a
            map says nothing the picture stays as it is; False for one opacity everywhere.
        signed: True where the middle level is 0.
        threshold: levels below this share of the scale (from 0, either way) are not drawn, in [0, 1].

    Raises:
        OptionError: opacity or threshold outside of [0, 1].
    """
    for name, value in (("opacity", opacity), ("threshold", threshold)):
        if not 0 <= value <= 1:
            raise OptionError(f"{name} is {value}; expected a number from 0 to 1")
    level = torch.arange(LEVELS, dtype=torch.float32)
    middle = (LEVELS - 1) // 2
    strength = (level - middle).abs() / middle if signed else level / (LEVELS - 1)
    alpha = opacity * (strength / FULL_AT).clamp(max=1) if by_value else torch.full((LEVELS,), float(opacity))
    return torch.where(strength >= threshold, alpha, torch.zeros(()))
