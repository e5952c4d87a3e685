"""Names that a person writes in their own way."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from isotherm.errors import MethodError


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
        raise MethodError(f"{name!r} are several methods; --compare takes them, and method=[...] in Python")
    near = difflib.get_close_matches(plain(name), known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(known[n] for n in near)}? " if near else ""
    raise MethodError(f"there is no method {name!r}{of}; {hint}There are {', '.join(names)}")
