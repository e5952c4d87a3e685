"""Names of files that there are not, refused before anything is loaded that could look at them."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path

from isotherm.data.names import near_names
from isotherm.errors import InputError

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
"""How an address begins."""


def no_file(name: str) -> InputError:
    """The error for a name that nothing has, with the nearest ones."""
    return InputError(f"there is no file or folder {name!r}{near_names(Path(name))}")


def refuse_missing(args: Sequence[str | os.PathLike[str]]) -> None:
    """Refuse the name of a file or folder that there is not.

    Args:
        args: as of :func:`isotherm.data.sources.expand`, which looks further: into patterns, lists and folders.

    Raises:
        InputError: as that does.
    """
    for source in (os.fspath(arg) for arg in args):
        plain = source.strip() and not (SCHEME.match(source) or source.isdigit() or glob.has_magic(source))
        if plain and not os.path.lexists(source):
            raise no_file(source)
