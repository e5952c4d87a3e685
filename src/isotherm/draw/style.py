"""Style: how a map is laid over its picture, said once for pictures, panels, clips, notebooks and the page.

The default style rests on one idea: **the picture speaks in light, the map in colour.** Where the map says something
the picture loses its own colours and keeps its light and shade, and the map's colours, which differ in hue far more
than in lightness, are laid over it. Lines of equal value stand at known shares of the scale; the one at half of it is
drawn strongly and on its outer side, so that nothing inside is hidden. docs/drawing.md has what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, get_args

from isotherm.draw.colour_maps import table_of
from isotherm.errors import OptionError
from isotherm.ops.names import known_word

Negative = Literal["lines", "fill", "none"]

OPACITY = 0.5
"""Of the strongest values: the map's hue is plain to see and half of the picture's light and shade comes through."""

STARTS_AT = 0.1
"""Share of the scale below which the picture is untouched: what is so weak is noise to most readers."""

FULL_AT = 0.45
"""Share of the scale at which opacity by value is full: just below one half, so that within the half-maximum only the
colour changes and light and shade are mixed in one proportion throughout."""

GREY_AT = 0.25
"""Share of the scale at which the picture below has lost its own colours."""

UNSEEN_OPACITY = 0.06
UNSEEN_GREY = 0.22
"""How faintly what the model never saw is marked: a little paler and greyer, two to three units of CIEDE2000."""

HALF = 0.5
"""The line that is drawn strongly: the half-maximum, by which the width of a peak is read everywhere."""

LINE = 0.0045
"""Width of the strong line as a share of the geometric mean of the picture's sides."""

CLEAR = 1.5
"""Pixels between the half-maximum and the line that stands for it, so that nothing of the line is inside."""


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a map is drawn over a picture.

    Args:
        colormap: any of matplotlib's names, or ``isotherm`` and ``isotherm_signed``; None: the one of these two that
            fits.
        opacity: of the strongest values, in [0, 1].
        by_value: opacity grows with the value: nothing below a tenth of the scale, full from 45 % on. Otherwise it is
            the same everywhere.
        threshold: values below this share of the scale (from 0, either way) are not coloured, in [0, 1].
        grey: the picture loses its own colours, not its light and shade, where the map speaks.
        lines: shares of the scale, in (0, 1), at which lines of equal value are drawn; that at 0.5 strongly.
        labels: write its share beside each line.
        peak: mark the centre of the largest cell, where one cell is the largest.
        negative: evidence against, of signed maps: dashed ``lines`` at half of the scale; ``fill`` colours it as well;
            ``none`` leaves it out.
        unseen: mark faintly what the frame does not cover, such as what a centre crop cut off, and where its edge runs.

    Raises:
        OptionError: a number out of its range, or an unknown colour map or word.
    """

    colormap: str | None = None
    opacity: float = OPACITY
    by_value: bool = True
    threshold: float = 0.0
    grey: bool = True
    lines: tuple[float, ...] = (0.25, HALF, 0.75)
    labels: bool = False
    peak: bool = True
    negative: Negative = "lines"
    unseen: bool = True

    def __post_init__(self) -> None:
        for name in ("opacity", "threshold"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise OptionError(f"{name} is {value}; expected a number from 0 to 1")
        if not all(0 < share < 1 for share in self.lines):
            raise OptionError(
                f"lines are at {self.lines}; expected shares of the scale between 0 and 1, such as (0.25, 0.5, 0.75)"
            )
        known_word(self.negative, get_args(Negative), "negative")
        if self.colormap is not None:
            table_of(self.colormap)


STYLES = MappingProxyType(
    {
        "isotherm": Style(),
        "tint": Style(grey=False, lines=(), peak=False, negative="fill"),
        "grey": Style(lines=(), peak=False, negative="fill"),
        "lines": Style(opacity=0.0, grey=False, lines=(0.1, 0.25, HALF, 0.75, 0.9), labels=True),
        "outline": Style(opacity=0.0, grey=False, lines=(HALF,), peak=False, negative="none"),
        "even": Style(by_value=False, grey=False, lines=(), peak=False, negative="fill", unseen=False),
    }
)
"""Styles by name. ``isotherm``: colour, lines and peak over a grey picture. ``tint``: colour alone, over the picture's
own. ``grey``: colour over the greyed picture. ``lines``: labelled lines of equal value alone. ``outline``: the
half-maximum alone. ``even``: one opacity everywhere, as most scripts draw."""


def as_style(style: Style | str | None) -> Style:
    """A style by name or as it is; None is the default one.

    Raises:
        OptionError: no style has that name; the message has the nearest one.
    """
    if style is None:
        return STYLES["isotherm"]
    if isinstance(style, Style):
        return style
    return STYLES[known_word(style, list(STYLES), "style")]


def on_paper(style: Style) -> Style:
    """The style of a map without its picture: nothing below has to shine through."""
    return replace(style, opacity=1.0, negative="fill" if style.negative != "none" else "none")
