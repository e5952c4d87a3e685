"""Names that a person writes in their own way."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import is_dataclass, replace
from typing import Any

from isotherm.errors import MethodError, OptionError


def plain(name: str) -> str:
    """Without what people write differently: GradCAM++, grad-cam++ and gradcampp are one."""
    return name.lower().replace("-", "").replace("+", "p").replace("_", "")


def known_method(name: str, names: Sequence[str], *, of: str = "") -> str:
    """The method that is meant.

    Raises:
        MethodError: no such method, with the nearest names in the message; or several in one text, with where those go.
    """
    known = {plain(n): n for n in names}
    if plain(name) in known:
        return known[plain(name)]
    if "," in name:
        raise MethodError(
            f"{name!r} are several methods; give them as a list: method=[...]",
            command_line=f"--method {name}: these are several methods; --compare takes them",
        )
    near = difflib.get_close_matches(plain(name), known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(known[n] for n in near)}? " if near else ""
    words = f"there is no method {name!r}{of}; {hint}There are {', '.join(names)}"
    raise MethodError(words, command_line=f"--method or --compare: {words}")


def known_word(value: Any, words: Sequence[str], option: str, *, of: str = "", also: str = "") -> str:
    """The value itself, if it is one of an option's words: a misspelt word must not pass for the default.

    Args:
        value: what was given.
        words: what there is.
        option: its name, as the user writes it.
        of: whose option, if that needs saying, with a space in front.
        also: what else the option takes, in words.

    Raises:
        OptionError: another value, with the nearest words in the message.

    Example:
        >>> known_word("eigen", ("none", "eigen"), "smooth")
        'eigen'
    """
    if isinstance(value, str) and value in words:
        return value
    near = difflib.get_close_matches(value.lower(), words, n=2, cutoff=0.5) if isinstance(value, str) else []
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    takes = ", ".join(words) + (f", or {also}" if also else "")
    raise OptionError(f"{option}{of} is {value!r}{hint}{' It takes' if hint else '; it takes'} {takes}")


def near_names(names: Sequence[str], known: Sequence[str]) -> str:
    """``; did you mean size?`` for options that there are not, or nothing where none is like them."""
    others = [k for k in dict.fromkeys(known) if k not in names]
    near = [n for name in names for n in difflib.get_close_matches(name, others, n=2, cutoff=0.6)]
    return f"; did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""


def check_seed(seed: Any) -> None:
    """Raises OptionError for what is no seed: None or a whole number from 0 to 2^63 - 1."""
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63):
        raise OptionError(f"seed is {seed!r}; it takes a whole number from 0 to 2^63 - 1")


def check_most(most: Any, option: str) -> None:
    """Raises OptionError for what is no limit: None for all, or a whole number of at least 1."""
    if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
        raise OptionError(f"{option} is {most!r}; it takes a whole number of at least 1, or None for all")


def seeded(method: Any, seed: int) -> Any:
    """The same method with another seed, where it draws random numbers; else the method itself."""
    return (
        replace(method, seed=seed)
        if is_dataclass(method) and not isinstance(method, type) and hasattr(method, "seed")
        else method
    )
