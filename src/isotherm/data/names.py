"""Names of files: their natural order, what a wrong one may have meant, and stems that do not collide."""

from __future__ import annotations

import difflib
import hashlib
import re
import unicodedata
from pathlib import Path, PurePath

_RESERVED = frozenset(
    ["run", "items", "index", "report", "con", "prn", "aux", "nul"]
    + [f"{d}{i}" for d in ("com", "lpt") for i in range(10)]
)
"""Stems that the run itself uses, and those that Windows keeps for devices."""
_MAX_BYTES = 120


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which numbers within names count as numbers, and upper and lower case are one.

    Example:
        >>> sorted(["p10.jpg", "P9.jpg", "p1.jpg"], key=natural_key)
        ['p1.jpg', 'P9.jpg', 'p10.jpg']
    """
    pieces = re.split(r"([0-9]+)", name.casefold())
    return (*((1, int(p), "") if i % 2 else (0, 0, p) for i, p in enumerate(pieces)), (2, 0, name))


def near_names(path: Path) -> str:
    """The end of an error about a missing path: what the user may have meant, from the names that do exist."""
    missing = path
    while not missing.parent.is_dir() and missing.parent != missing:
        missing = missing.parent
    try:
        names = sorted((entry.name for entry in missing.parent.iterdir()), key=natural_key)
    except (OSError, ValueError):
        return "; check the path"
    lowered = {name.casefold(): name for name in reversed(names)}
    close = difflib.get_close_matches(missing.name.casefold(), lowered, n=3, cutoff=0.6)
    close += [low for low in lowered if Path(low).stem == missing.stem.casefold() and low not in close]
    where = "" if missing == path else f": there is no {missing.name} in {missing.parent.resolve()}"
    meant = ", ".join(str(missing.parent / lowered[low]) for low in close[:3])
    return f"{where}; did you mean {meant}?" if meant else f"{where}; check the path"


class Stems:
    """File stems for outputs, one for each item, never the same twice.

    ``a/cat.jpg`` and then ``b/cat.png`` become ``cat`` and ``cat-2``: the first come keeps the plain stem, later
    ones are numbered in the order in which they come. Upper and lower case count as one, because some file
    systems think so. A stem holds no dot, so that ``stem.part.png`` says where it ends.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set(_RESERVED)

    def claim(self, name: str) -> str:
        """A stem for an item of this name that no other item has.

        Example:
            >>> stems = Stems()
            >>> [stems.claim(n) for n in ("a/cat.jpg", "b/Cat.png", "clip.mp4#000030", "https://x.org/a%20b.png?q=1")]
            ['cat', 'Cat-2', 'clip_mp4_000030', 'a_20b']
        """
        plain = _stem(name)
        stem, number = plain, 1
        while stem.casefold() in self._taken:
            number += 1
            stem = f"{plain}-{number}"
        self._taken.add(stem.casefold())
        return stem


def _stem(name: str) -> str:
    if "://" in name:
        name = name.partition("://")[2].partition("?")[0].partition("#")[0]
    last = PurePath(name.replace("\\", "/").rstrip("/")).name
    last = last if "#" in last else PurePath(last).stem  # a frame's name ends in its number, not in a suffix
    safe = re.sub(r"[^\w-]+", "_", unicodedata.normalize("NFC", last)).strip("_-") or "picture"
    return shortened(safe, _MAX_BYTES)


def shortened(text: str, most_bytes: int) -> str:
    """Text of at most so many bytes; what is longer ends in a few digits of its hash, so that two texts stay two.

    File systems stop at 255 bytes a name.

    Example:
        >>> shortened("cat", 20), shortened("3 " * 50, 20)
        ('cat', '3 3 3 3 3 3-bf454916')
    """
    if len(text.encode()) <= most_bytes:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{text.encode()[: most_bytes - 9].decode(errors='ignore')}-{digest}"
