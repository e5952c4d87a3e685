"""Sizes as the command line has them."""

from __future__ import annotations

import re

from isotherm.errors import OptionError
from isotherm.size import Size


def size_of(text: str, option: str) -> Size:
    """(h, w) of ``480x640``, height x width.

    Args:
        text: from the command line.
        option: its name, for messages.

    Raises:
        OptionError: no such form.

    Example:
        >>> size_of("480x640", "--size")
        (480, 640)
    """
    match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", text)
    if match is None:
        raise OptionError(f"{option} {text}: expected height x width in pixels, such as 480x640")
    return int(match[1]), int(match[2])
