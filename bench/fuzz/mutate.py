"""Changes of bytes, texts and trees, drawn from a random generator: the ones at which readers of files usually break."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Sequence
from random import Random
from typing import Any

DEEP, MANY, DIGITS, HUGE = "@deep@", "@many@", "@digits@", "@huge@"
"""Marks in a tree for what a writer of JSON cannot write; :func:`dumped` puts it there."""
RAW = {
    f'"{DEEP}"': "[" * 100_000 + "]" * 100_000,
    f'"{MANY}"': "[" + ",".join("0" * 20_000) + "]",
    f'"{DIGITS}"': "9" * 5000,
    f'"{HUGE}"': "1e999",
}
NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, 2, 3, 7, 255, 65536, 2**31, 2**32, 2**53 + 1, 2**63, 2**64, -(2**63), 10**30, 10**400, 0.5, -0.0),
    *(1e-320, 1e30, 1e308, -1e308, math.nan, math.inf, -math.inf, DIGITS, HUGE),
)
WORDS = (
    *("", " ", "a", "A" * 300, "9" * 400, "nan", "inf", "-1", "0", "1e999", "1_0", "\u0663", "\x00", "\x1e", "\x85"),
    *("\ud800", "\u2028", "\ufeff", "../../etc/passwd", "/dev/zero", "%s%n{}", "__import__('os')", "true", "null"),
)
VALUES: tuple[Any, ...] = (None, True, False, *NUMBERS, *WORDS, [], {}, [[]], [None], {"": None}, [0] * 50)
TOKENS = (
    *("9" * 5000, "-1", "0", "1e999", "nan", "1e-400", "25.\x1e", "\u0663", "0x10", "1_000", "+", "", "  "),
    *("(" * 200, "[" * 9000, "{" * 3000, "]", "}", ",", ",,", '"', "'", "\n", "\r", "\t", "\x00", "\ufeff", "\\"),
    *(
        "true",
        "null",
        "None",
        "<loc9999>",
        "```json",
        "<points ",
        "&a [*a]",
        "*a",
        "!!int x",
        "!!python/none",
        "2020-99-99",
    ),
    *("<<: 1", "? [a]", "- ", ": ", "#", "%", "=", ";", "..", "//", "@", "[::1", "xn--", "\u200b", "\U0001f600"),
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


def changed_bytes(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Bytes with one to eight changes: flipped, replaced, left out, repeated, cut short, or mixed with another input."""
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4, 8))):
        at = random.randrange(len(out) + 1) if random.random() < 0.6 else random.randrange(min(len(out), 128) + 1)
        length = random.choice((1, 1, 2, 4, 8, 32, 256))
        kind = random.randrange(8)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            out[at : at + 1] = bytes([random.choice((0, 1, 127, 128, 255, random.randrange(256)))])
        elif kind == 2:
            value = random.choice((0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1))
            width = random.choice((2, 4, 8))
            out[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, random.choice(("little", "big")))
        elif kind == 3:
            del out[at : at + length]
        elif kind == 4:
            out[at:at] = out[at : at + length] * random.choice((1, 2, 64))
        elif kind == 5:
            out[at:at] = random.randbytes(length)
        elif kind == 6:
            del out[at:]
        else:
            other = random.choice(others)
            out[at:] = other[random.randrange(len(other) + 1) :]
    return bytes(out)


def changed_text(random: Random, text: str, others: Sequence[str]) -> str:
    """A text with one to four changes: numbers replaced, tokens put in, parts left out, repeated, exchanged, or mixed."""
    for _ in range(random.choice((1, 1, 2, 4))):
        kind, at = random.randrange(7), random.randrange(len(text) + 1)
        length = random.choice((1, 1, 2, 8, 40))
        numbers = list(_NUMBER.finditer(text[:20_000]))
        if kind in (0, 1) and numbers:
            match = random.choice(numbers)
            text = text[: match.start()] + random.choice(TOKENS[:12]) + text[match.end() :]
        elif kind == 2:
            text = text[:at] + random.choice(TOKENS) + text[at:]
        elif kind == 3:
            text = text[:at] + text[at + length :]
        elif kind == 4:
            text = text[:at] + text[at : at + length] * random.choice((1, 2, 50)) + text[at:]
        elif kind == 5:
            other = random.choice(others)
            text = text[:at] + other[random.randrange(len(other) + 1) :]
        else:
            text = (
                text[:at]
                + chr(random.choice((0, 10, 34, 44, 91, 0x660, 0xD800, 0x1F600, random.randrange(128))))
                + text[at + 1 :]
            )
    return text[:1_000_000]


def changed_tree(random: Random, tree: Any) -> Any:
    """Plain data with one to three changes; the data themselves stay as they are."""
    root = [copy.deepcopy(tree)]
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        places = _places(root)
        owner, key = random.choice(places)
        value, kind = owner[key], random.randrange(10)
        if kind in (0, 1):
            owner[key] = _value(random)
        elif kind == 2 and isinstance(value, int | float):
            owner[key] = random.choice(
                (-value, value + 1, value * 1000, str(value), [value], value / 3, random.choice(NUMBERS))
            )
        elif kind == 3 and owner is not root:
            del owner[key]
        elif kind == 4 and isinstance(owner, dict):
            owner[random.choice((*WORDS, str(key).upper(), f"{key}s"))] = owner.pop(key)
        elif kind == 5 and isinstance(value, list):
            owner[key] = value * random.choice((0, 2, 100)) if len(value) < 1000 else value[:1]
        elif kind == 6 and isinstance(value, dict):
            value[random.choice(WORDS)] = _value(random)
        elif kind == 7 and isinstance(value, list):
            value.insert(random.randrange(len(value) + 1), copy.deepcopy(random.choice((_value(random), *value[:4]))))
        elif kind == 8:
            other, name = random.choice(places)
            owner[key] = copy.deepcopy(other[name]) if other is not root else [value]
        else:
            owner[key] = random.choice(NUMBERS)
    return root[0]


def dumped(tree: Any, *, indent: int | None = None) -> str:
    """A tree as JSON, with what Python's writer does not write."""
    text = json.dumps(tree, indent=indent)
    for mark, raw in RAW.items():
        text = text.replace(mark, raw) if mark in text else text
    return text[:4_000_000]


def _value(random: Random) -> Any:
    """Any value; seldom a long one, since those take their time."""
    return copy.deepcopy(random.choice(VALUES)) if random.random() < 0.98 else random.choice((DEEP, MANY))


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """(owner, key) of every value in a tree; of long lists the first ones."""
    places, open_ = [], [tree]
    while open_ and len(places) < 5000:
        owner = open_.pop()
        keys = list(owner) if isinstance(owner, dict) else range(min(len(owner), 64))
        for key in keys:
            places.append((owner, key))
            if isinstance(owner[key], dict | list) and owner[key]:
                open_.append(owner[key])
    return places
