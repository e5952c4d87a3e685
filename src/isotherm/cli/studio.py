"""``isotherm studio``: the web page, until Ctrl+C."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from isotherm.cli.options import Studio
from isotherm.errors import MissingExtraError

NEEDED = ("fastapi", "uvicorn", "sqlalchemy", "alembic", "multipart")


def run(options: Studio, arguments: Sequence[str]) -> int:
    for package in NEEDED:
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "web", "the studio")
    from isotherm.studio.faults import debugging
    from isotherm.studio.serve import serve

    with debugging(options.debug):
        serve(options, lambda line: print(line, flush=True))
    return 0
