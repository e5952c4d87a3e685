"""Texts of others, such as names of files, with what nobody would see or what a terminal would obey spelt out."""

from __future__ import annotations

import html
import json
import re
from typing import Any

HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Control characters, turns of the direction of writing, spaces without a width, and halves of characters: bytes of a
file's name that are not UTF-8 stand as those in Python.
"""


def visible(text: str, *, lines: bool = False) -> str:
    r"""Text of others with what is hidden in it spelt out.

    Args:
        lines: line breaks and tabs stay, where they do no harm.

    Example:
        >>> print(visible("a\x1b[31mb\udcff.png"))
        a\x1b[31mb\xff.png
    """
    return HIDDEN.sub(lambda match: match[0] if lines and match[0] in "\n\t" else _spelt(match[0]), text)


def markup(text: object) -> str:
    """Text of others as text of a page or the value of one of its attributes."""
    return html.escape(visible(str(text), lines=True), quote=True)


def readable_json(value: Any, *, indent: int | None = None) -> bytes:
    r"""JSON for records that people read, too: letters of all scripts as they are, what is hidden as JSON spells it.

    Args:
        value: what JSON can hold; NaN and infinity are none of it.

    Example:
        >>> print(readable_json({"name": "\u00e9\u202e\udcff"}).decode())
        {"name": "é\u202e\udcff"}
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    return HIDDEN.sub(lambda match: match[0] if match[0] == "\n" else f"\\u{ord(match[0]):04x}", text).encode()


def _spelt(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte, as os.fsdecode keeps it
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
