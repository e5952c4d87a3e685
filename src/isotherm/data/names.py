"""Names of files: their natural order, and what a wrong one may have meant."""

from __future__ import annotations

import difflib
import re
from pathlib import Path


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which numbers within names count as numbers, and upper and lower case are one.

    Example:
        >>> sorted(["p10.jpg", "P9.jpg", "p1.jpg"], key=natural_key)
        ['p1.jpg', 'P9.jpg', 'p10.jpg']
    """
    pieces = re.split(r"([0-9]+)", name.casefold())
    return (*((1, int(p), "") if i % 2 else (0, 0, p) for i, p in enumerate(pieces)), (2, 0, name))


def moment_words(name: str) -> str:
    """An item's name for a person to read: a frame's number as words, other names as they are.

    Example:
        >>> moment_words("clip.mp4#000030"), moment_words("cat#1.jpg")
        ('clip.mp4, frame 30', 'cat#1.jpg')
    """
    return re.sub(r"#([0-9]{6,})$", lambda number: f", frame {int(number[1])}", name)


def near_names(path: Path) -> str:
    """The end of an error about a missing path: what the user may have meant, from the names that do exist."""
    missing = path
    try:
        while not missing.parent.is_dir() and missing.parent != missing:
            missing = missing.parent
        names = sorted((entry.name for entry in missing.parent.iterdir()), key=natural_key)
    except (OSError, ValueError):
        return "; check the path"
    lowered = {name.casefold(): name for name in reversed(names)}
    close = difflib.get_close_matches(missing.name.casefold(), lowered, n=3, cutoff=0.6)
    close += [low for low in lowered if Path(low).stem == missing.stem.casefold() and low not in close]
    where = "" if missing == path else f": there is no {missing.name} in {missing.parent.resolve()}"
    meant = ", ".join(str(missing.parent / lowered[low]) for low in close[:3])
    return f"{where}; did you mean {meant}?" if meant else f"{where}; check the path"
