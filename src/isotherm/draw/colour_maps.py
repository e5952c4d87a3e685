"""Colour maps: isotherm's own, made to lie over pictures, and any of matplotlib's by name.

A map that lies over a picture is read by hue: lightness already belongs to the picture. So isotherm's own colours run
through the hues at even steps, from violet through pink and orange to yellow, while lightness rises only a little, in a
space where equal steps look equal (Ottosson, "A perceptual color space for image processing", 2020). A rainbow ("jet")
has bright bands at values that mean nothing, and its lightness goes up and down again (Borland & Taylor, "Rainbow Color
Map (Still) Considered Harmful", 2007); it is here on request only.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float

from isotherm.errors import OptionError

DEFAULT = "isotherm"
"""For maps that start at 0, and for the evidence that speaks for something: violet, pink, orange, yellow."""

DEFAULT_DIVERGING = "isotherm_signed"
"""For signed maps: green against, growing towards the low end; the colours of ``isotherm`` for. There is no grey
middle: near 0 nothing is drawn, so the two ends need no common colour."""

DIVERGING = frozenset(
    name + turned
    for name in (
        DEFAULT_DIVERGING,
        *[
            "BrBG",
            "PRGn",
            "PiYG",
            "PuOr",
            "RdBu",
            "RdGy",
            "RdYlBu",
            "RdYlGn",
            "Spectral",
            "berlin",
            "bwr",
            "coolwarm",
            "managua",
            "seismic",
            "vanimo",
        ],
    )
    for turned in ("", "_r")
)
"""Colour maps with two directions, whose middle always stands for 0 of a signed map."""

LEVELS = 1023
"""Colours that a map is drawn with. Odd, so that 0 of a diverging map has a level of its own, and so many
that the steps between them are below one in 255."""

FOR = ((0.58, 0.24, 288.0), (0.80, 0.19, 455.0))
AGAINST = ((0.50, 0.10, 215.0), (0.84, 0.16, 160.0))
"""Lightness, chroma and hue (degrees) of Oklch at 0 and at the end of the scale; in between they change evenly."""


@cache
def table_of(name: str = DEFAULT) -> Float[np.ndarray, "levels 3"]:
    """The colours of a colour map from low to high.

    Args:
        name: ``isotherm``, ``isotherm_signed``, or one of matplotlib's colour maps: ``inferno``, ``viridis``,
            ``coolwarm``, ``jet``, ...

    Returns:
        (1023, 3) float32, RGB in [0, 1]; of matplotlib's, interpolated between the colours that it stores.

    Raises:
        OptionError: there is no colour map of that name; the message lists the nearest ones.
    """
    if name == DEFAULT:
        return _between(*FOR, LEVELS)
    if name == DEFAULT_DIVERGING:
        half = LEVELS // 2 + 1
        return np.concatenate([_between(*AGAINST, half)[:0:-1], _between(*FOR, half)])
    import matplotlib  # slow to import, and only its tables are needed

    if name not in matplotlib.colormaps:
        from difflib import get_close_matches

        near = get_close_matches(name, [DEFAULT, DEFAULT_DIVERGING, *matplotlib.colormaps], n=3)
        raise OptionError(
            f"there is no colour map {name!r}; "
            + (f"did you mean {' or '.join(near)}?" if near else f"try {DEFAULT}, magma, viridis, coolwarm or jet")
        )
    colormap = matplotlib.colormaps[name]
    stored = colormap(np.arange(colormap.N))[:, :3]
    at = np.linspace(0, colormap.N - 1, LEVELS)
    table = np.stack([np.interp(at, np.arange(colormap.N), channel) for channel in stored.T], -1)
    return table.astype(np.float32)


def _between(
    start: tuple[float, float, float], end: tuple[float, float, float], count: int
) -> Float[np.ndarray, "n 3"]:
    """``count`` colours in sRGB from one colour of Oklch to another; what no screen shows is cut to what it does."""
    light, chroma, hue = np.linspace(start, end, count).T
    return _srgb(light, chroma * np.cos(np.deg2rad(hue)), chroma * np.sin(np.deg2rad(hue))).astype(np.float32)


def _srgb(light: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Oklab -> sRGB in [0, 1] (Ottosson 2020)."""
    cones = (
        np.stack(
            [
                light + 0.3963377774 * a + 0.2158037573 * b,
                light - 0.1055613458 * a - 0.0638541728 * b,
                light - 0.0894841775 * a - 1.2914855480 * b,
            ],
            -1,
        )
        ** 3
    )
    linear = cones @ np.array(
        [
            [4.0767416621, -1.2684380046, -0.0041960863],
            [-3.3077115913, 2.6097574011, -0.7034186147],
            [0.2309699292, -0.3413193965, 1.7076147010],
        ]
    )
    return np.clip(
        np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.clip(linear, 1e-9, None) ** (1 / 2.4) - 0.055), 0, 1
    )
