"""The colours of maps as tensors; :mod:`isotherm.draw.colour_maps` says what they are and makes them."""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.draw.colour_maps import DEFAULT, DEFAULT_DIVERGING, DIVERGING, LEVELS, table_of

__all__ = ["DEFAULT", "DEFAULT_DIVERGING", "DIVERGING", "LEVELS", "colour_table"]


@cache
def colour_table(name: str = DEFAULT) -> Float[Tensor, "levels 3"]:
    """The colours of a colour map from low to high.

    Args:
        name: ``isotherm``, ``isotherm_signed``, or one of matplotlib's colour maps: ``inferno``, ``viridis``,
            ``coolwarm``, ``jet``, ...

    Returns:
        (1023, 3) float32, RGB in [0, 1]; of matplotlib's, interpolated between the colours that it stores.

    Raises:
        OptionError: there is no colour map of that name; the message lists the nearest ones.
    """
    return torch.from_numpy(table_of(name))
