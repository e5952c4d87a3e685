"""``--like``: boxes that show what to look for, as text, or a picture to be like. No torch here, so that options are
checked at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from isotherm.data.names import near_names
from isotherm.errors import OptionError

Box = tuple[float, float, float, float]
ONE_KIND = "this"
"""What things are called that are shown without a name."""

EXPECTED = (
    "expected boxes x0,y0,x1,y1 in picture pixels separated by semicolons, each with a name before it if you like: "
    "--like 'bus=20,30,120,200; bus=150,40,220,210; wheel=40,170,60,190'"
)


def parse_like(text: str) -> dict[str, list[Box]]:
    """The boxes of each name, in the order in which the names come first.

    Raises:
        OptionError: no boxes, or one that is none.

    Example:
        >>> parse_like("20,30,120,200; wheel=40,170,60,190;150,40,220,210")
        {'this': [(20.0, 30.0, 120.0, 200.0), (150.0, 40.0, 220.0, 210.0)], 'wheel': [(40.0, 170.0, 60.0, 190.0)]}
    """
    shown: dict[str, list[Box]] = {}
    for part in text.strip().removesuffix(";").split(";"):
        name, equals, numbers = part.rpartition("=")
        if equals and not name.strip():
            raise OptionError(f"--like {part.strip()!r} has an empty name; {EXPECTED}")
        shown.setdefault(name.strip() or ONE_KIND, []).append(_box(numbers))
    return shown


def picture_of_like(text: str) -> Path | None:
    """The picture that the option names; None where it holds boxes.

    Raises:
        OptionError: neither boxes nor a file.
    """
    try:
        parse_like(text)
    except OptionError as error:
        path = Path(text)
        if path.is_file():
            return path
        if path.is_dir():
            raise OptionError(f"--like {text} is a folder; expected one picture's file, or boxes") from error
        if re.search(r"\.[A-Za-z]\w*$", text) or not re.search(r"[,;=]", text):  # the name of a file, not numbers
            raise OptionError(
                f"--like: there is no file {text!r}{near_names(path)}, or give boxes; {EXPECTED}"
            ) from error
        raise OptionError(f"{error}; or the file of a picture to be like, and there is no file {text!r}") from error
    return None


def format_like(shown: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """The text that :func:`parse_like` reads.

    Example:
        >>> format_like({"this": [(20, 30, 120, 200)], "wheel": [(40, 170, 60.5, 190)]})
        '20,30,120,200;wheel=40,170,60.5,190'
    """
    return ";".join(
        ("" if name == ONE_KIND else f"{name}=") + ",".join(f"{side:g}" for side in box)
        for name, boxes in shown.items()
        for box in boxes
    )


def check_within(shown: Mapping[str, Sequence[Box]], h: int, w: int, picture: str) -> None:
    """Raises OptionError for a box that shows nothing of a picture of h x w pixels."""
    for boxes in shown.values():
        for x0, y0, x1, y1 in boxes:
            if min(x1, w) - max(x0, 0) < 1 or min(y1, h) - max(y0, 0) < 1:
                raise OptionError(
                    f"--like: the box {x0:g},{y0:g},{x1:g},{y1:g} does not lie on {picture}, which is {w} pixels wide and {h} high"
                )


def _box(text: str) -> Box:
    try:
        x0, y0, x1, y1 = (float(number) for number in text.split(","))
    except ValueError as error:
        raise OptionError(f"--like {text.strip()!r} is no box; {EXPECTED}") from error
    if not all(map(math.isfinite, (x0, y0, x1, y1))) or not (x0 < x1 and y0 < y1):
        raise OptionError(f"--like {text.strip()}: x0 must be less than x1 and y0 less than y1")
    return x0, y0, x1, y1
