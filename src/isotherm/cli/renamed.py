"""Options that have another name now: the old spelling is refused with the new one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from isotherm.errors import OptionError


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
