"""Text on pictures: fonts that are always there, sizes that follow the picture, lines that fit."""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

INK = (17, 24, 39)
MUTED = (107, 114, 128)
LINE = (229, 231, 235)
PAPER = (255, 255, 255)

_WIDE_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSans-Regular.ttf",
    "wqy-microhei.ttc",
    "msyh.ttc",
    "PingFang.ttc",
    "Arial Unicode.ttf",
)
"""Fonts that systems bring for writing systems beyond Latin, Greek and Cyrillic; found by Pillow where installed."""


def text_size(height: int, width: int, share: float = 0.023, smallest: int = 11) -> int:
    """A font size in pixels that looks alike on pictures of all sizes: a share of the geometric mean of the sides."""
    return max(smallest, round(share * math.sqrt(height * width)))


@lru_cache(maxsize=64)
def _load(name: str, size: int) -> Font | None:
    if not name:
        return ImageFont.load_default(size)
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


def _dejavu() -> str:
    """DejaVu Sans from matplotlib's files; found without importing matplotlib, which takes half a second."""
    spec = find_spec("matplotlib")
    return (
        str(Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf") if spec and spec.origin else ""
    )


def font_for(text: str, size: int) -> Font:
    """The font Pillow ships, or, where it lacks a character of ``text``, the first one at hand that lacks the
    fewest.
    """
    if text.isascii():
        return ImageFont.load_default(size)
    return _load(_best_name("".join(sorted(set(text)))), size) or ImageFont.load_default(size)


@lru_cache(maxsize=256)
def _best_name(characters: str) -> str:
    best, fewest = "", len(characters) + 1
    for name in ("", _dejavu(), *_WIDE_FONTS):
        font = _load(name, 20)
        if font is None:
            continue
        blank = bytes(font.getmask("\U0010fffe"))  # no font has this one, so this is how it shows what it lacks
        missing = sum(not c.isspace() and bytes(font.getmask(c)) == blank for c in characters)
        if missing < fewest:
            best, fewest = name, missing
        if not missing:
            break
    return best


def clean(text: str, limit: int | None = None) -> str:
    """One line: control characters become spaces; longer than ``limit`` ends in an ellipsis."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if limit is None or len(line) <= limit else line[: limit - 3].rstrip() + "..."


def measure(text: str, font: Font) -> tuple[int, int]:
    """(width, height) in pixels; the height is that of a line, the same for every text."""
    top, bottom = font.getbbox("Ag|")[1], font.getbbox("Ag|")[3]
    return math.ceil(font.getlength(text)), math.ceil(bottom - top)


def wrap(text: str, font: Font, width: int) -> list[str]:
    """Lines no wider than ``width`` pixels, broken at spaces, or inside a word that is too long for a line."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        line = ""
        for word in clean(paragraph).split(" "):
            candidate = f"{line} {word}" if line else word
            if len(candidate) < 4 * width and font.getlength(candidate) <= width:
                line = candidate
                continue
            if line:
                lines.append(line)
            # no line has more letters; what is behind them need not be measured
            most = 2 + round(4 * width / max(1.0, font.getlength("i")))
            while len(word) > most or (font.getlength(word) > width and len(word) > 1):
                # the longest start that fits; by halving, since measuring all takes a minute for a long address
                starts = range(1, min(len(word), most))
                cut = max(1, bisect_right(starts, float(width), key=lambda i: float(font.getlength(word[:i]))))
                lines.append(word[:cut])
                word = word[cut:]
            line = word
        lines.append(line)
    return lines
