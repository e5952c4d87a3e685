"""What drawing on a page and in Python must agree on: styles, numbers and tables of colours, from where Python has it.

No torch here: the studio's server sends this as it is.
"""

from __future__ import annotations

import base64
from dataclasses import asdict
from functools import cache
from typing import Any

from isotherm.draw.colour_maps import DEFAULT, DEFAULT_DIVERGING, table_of
from isotherm.draw.style import CLEAR, FULL_AT, GREY_AT, LINE, STARTS_AT, STYLES, UNSEEN_GREY, UNSEEN_OPACITY

UNSIGNED = (DEFAULT, "magma", "viridis", "cividis", "jet")
SIGNED = (DEFAULT_DIVERGING, "RdBu_r", "PuOr_r")

NUMBERS = {
    "starts_at": STARTS_AT,
    "full_at": FULL_AT,
    "grey_at": GREY_AT,
    "unseen_opacity": UNSEEN_OPACITY,
    "unseen_grey": UNSEEN_GREY,
    "clear": CLEAR,
    "line": LINE,
}
"""Shares, opacities and widths of :mod:`isotherm.draw.style`, by the names that the page's modules use."""


@cache
def page_settings() -> dict[str, Any]:
    """Everything that the viewer is set up with, as JSON can hold it.

    Returns:
        ``tables`` (three bytes a level, in base64, by name of the colour map), ``unsigned`` and ``signed`` (the names
        that are offered), ``style`` (the default one's name), ``styles`` and ``numbers``.
    """
    return {
        "tables": {name: table_text(name) for name in (*UNSIGNED, *SIGNED)},
        "unsigned": list(UNSIGNED),
        "signed": list(SIGNED),
        "style": "isotherm",
        "styles": {name: asdict(style) for name, style in STYLES.items()},
        "numbers": dict(NUMBERS),
    }


def table_text(name: str) -> str:
    """A colour map as text: red, green and blue of every level as bytes, in base64."""
    return base64.b64encode((table_of(name) * 255).round().astype("uint8").tobytes()).decode()
