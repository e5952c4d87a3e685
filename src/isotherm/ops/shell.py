"""Commands as a shell reads them, and a person too."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from isotherm.ops.visible import HIDDEN


def shell_line(words: Iterable[str]) -> str:
    r"""The words of a command as one line that a shell takes apart into the same words.

    What is hidden in a word, such as bytes of a file's name that are not UTF-8, is spelt in the quotes that bash and
    zsh know for that ($'...'), so that the line can be printed, kept and copied.

    Example:
        >>> print(shell_line(["isotherm", "explain", "my photo.jpg", "b\udcff.png", "it's\n"]))
        isotherm explain 'my photo.jpg' $'b\xff.png' $'it\'s\n'
    """
    return " ".join(_spelt(word) if HIDDEN.search(word) else shlex.quote(word) for word in words)


def _spelt(word: str) -> str:
    return "$'" + "".join(_escape(c) if HIDDEN.match(c) or c in "\\'" else c for c in word) + "'"


def _escape(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character in "\n\t\r":
        return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}[character]
    # as bytes, which shells of every age spell alike; half of a character that is no byte has none of its own
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", _handler(character)))


def _handler(character: str) -> str:
    return "surrogateescape" if 0xDC80 <= ord(character) <= 0xDCFF else "surrogatepass"
