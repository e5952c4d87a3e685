"""A command line's words, before they are options: given twice, of which only the last would count, or in an old spelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, get_type_hints

from isotherm.errors import OptionError

LISTS = ("class", "classes", "layer", "compare", "target")
"""Options that take several entries at once."""


def refuse_repeated(arguments: Sequence[str], command: type) -> None:
    """Refuse a command line that gives an option with one value more than once.

    Args:
        arguments: of the command line. command: the dataclass of its options; those that may be repeated are tuples.

    Raises:
        OptionError: with the values that were given, and how to give several where the option takes several.
    """
    values: dict[str, list[str]] = {}
    words = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    for i, word in enumerate(words):
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            values.setdefault(name.replace("_", "-"), []).append(
                value if equals else words[i + 1] if i + 1 < len(words) else ""
            )
    single = _single(command)
    for name, given in values.items():
        if len(given) > 1 and name in single:
            advice = f"separate several by commas: --{name} {','.join(given)}" if name in LISTS else "give it once"
            raise OptionError(
                f"--{name} is given {len(given)} times ({', '.join(given)}), and only the last would count; {advice}"
            )


def _single(command: type) -> set[str]:
    """The options of a command that take one value; switches, and what may be repeated, are left out."""
    hints = get_type_hints(command)
    assert is_dataclass(command)
    names = {"cls": "class"}
    found: dict[str, Any] = {names.get(f.name, f.name): hints[f.name] for f in fields(command)}
    return {name.replace("_", "-") for name, hint in found.items() if hint is not bool and "tuple" not in str(hint)}


def refuse_renamed(arguments: Sequence[str]) -> None:
    """Refuse a command line in an old spelling.

    Raises:
        OptionError: ``--trust FILE``, which is how a file was once allowed to run code.
    """
    words = [part for word in arguments for part in (word.split("=", 1) if word.startswith("--trust=") else [word])]
    for option, value in pairwise(words):
        if option == "--trust" and (Path(value).suffix or Path(value).is_file()):
            raise OptionError(
                f"--trust {value}: --trust is only how thoroughly maps are judged; "
                f"a file that may run code while it is opened is named with --allow-code {value}"
            )
