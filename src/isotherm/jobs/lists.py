"""Lists as one word: entries separated by commas."""

from __future__ import annotations

from isotherm.errors import OptionError


def split(text: str, option: str) -> tuple[str, ...]:
    """A comma-separated list; brackets and empty entries are looked at."""
    parts = tuple(part.strip() for part in text.split(","))
    if not all(parts):
        raise OptionError(f"{option} {text!r}: there is an empty entry; separate entries by single commas")
    return parts
