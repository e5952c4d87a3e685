"""Words that a changed picture would make untrue: a mirror those that name a side, another hue those that name a
colour.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

SIDE_WORDS = (
    "left",
    "right",
    "top",
    "bottom",
    "upper",
    "lower",
    "above",
    "below",
    "under",
    "underneath",
    "beneath",
    "over",
    "behind",
    "front",
    "back",
    "rear",
    "near",
    "nearest",
    "far",
    "farthest",
    "furthest",
    "north",
    "south",
    "east",
    "west",
    "clockwise",
    "counterclockwise",
    "anticlockwise",
    "o'clock",
    "oclock",
    "horizontal",
    "horizontally",
    "vertical",
    "vertically",
    "sideways",
    "upright",
    "leaning",
    "corner",
)
"""English words that say where something lies in a picture or which way it is turned."""
COLOUR_WORDS = (
    "red",
    "green",
    "blue",
    "yellow",
    "purple",
    "violet",
    "orange",
    "pink",
    "brown",
    "black",
    "white",
    "grey",
    "gray",
    "cyan",
    "magenta",
    "beige",
    "gold",
    "golden",
    "silver",
    "turquoise",
    "colour",
    "color",
    "coloured",
    "colored",
)
"""English words that a change of hue, or its loss, may make untrue."""
_ENDINGS = r"(?:[- ]?(?:most|hand|handed|side|wards?|ish|er|est))?s?"


def names_a_side(text: str, words: Sequence[str] = SIDE_WORDS) -> bool:
    """Whether a text names a side, so that its picture must be neither mirrored nor turned.

    Whole words count, with the endings that sides take: "left-most", "leftmost", "lefthand", "leftwards"; "bright" and
    "leftovers" are no sides.

    Args:
        text: in any case.
        words: that count, in small letters; by default English ones.

    Example:
        >>> [names_a_side(t) for t in ("the left-most cup", "the bright cup", "Put it behind the box")]
        [True, False, True]
    """
    return bool(words) and _pattern(tuple(words)).search(text.replace("\u2019", "'")) is not None


def names_a_colour(text: str, words: Sequence[str] = COLOUR_WORDS) -> bool:
    """Whether a text names a colour, so that its picture must keep its hues; as of :func:`names_a_side`.

    Args:
        text: in any case.
        words: that count.

    Example:
        >>> [names_a_colour(t) for t in ("the reddish cup", "the bored cat")]
        [True, False]
    """
    return bool(words) and _pattern(tuple(words), r"(?:d?ish)?s?").search(text) is not None


@lru_cache(maxsize=16)
def _pattern(words: tuple[str, ...], endings: str = _ENDINGS) -> re.Pattern[str]:
    either = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{either}){endings}(?!\w)", re.IGNORECASE)
