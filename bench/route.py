"""The way of one photograph through ``isotherm explain``: files entered, functions called, and moves from file to file.

Counted with ``sys.setprofile`` in the thread of the command, once everything is imported: a *move* is a call from a function of
one file of the package into a function of another, and a kind of move counts once however often it is made. The command is run
twice, so that what is read and cached once (entry points, colour tables) is not on the way.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

from bench.measure import table, write


def route(arguments: list[str]) -> dict[str, Any]:
    """Run a command of isotherm twice and follow the second time.

    Returns:
        ``files``, ``functions``, ``moves`` (kinds) and ``by_folder``: files entered per folder of the package.
    """
    import isotherm
    from isotherm.cli import main

    root = str(Path(isotherm.__file__).parent)
    files: set[str] = set()
    functions: set[tuple[str, str, int]] = set()
    moves: set[tuple[str, str]] = set()

    def follow(frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        here = code.co_filename
        if not here.startswith(root) or code.co_name == "<module>":
            return
        files.add(here)
        functions.add((here, code.co_name, code.co_firstlineno))
        back = frame.f_back
        if back is not None and back.f_code.co_filename.startswith(root) and back.f_code.co_filename != here:
            moves.add((back.f_code.co_filename, here))

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for profile in (None, follow):
            sys.setprofile(profile)
            code = main(arguments)
            sys.setprofile(None)
            assert code == 0
    by_folder: dict[str, int] = {}
    for file in files:
        folder = str(Path(file).relative_to(root).parent)
        by_folder[folder] = by_folder.get(folder, 0) + 1
    return {
        "files": len(files),
        "functions": len(functions),
        "moves": len(moves),
        "by_folder": dict(sorted(by_folder.items())),
    }


def main(*, quick: bool = False) -> None:
    from isotherm.data.photographs import PHOTOGRAPHS

    with tempfile.TemporaryDirectory() as folder:
        photo = str(PHOTOGRAPHS[0].fpath)
        found = route(["explain", photo, "--trust", "off", "--out", f"{folder}/out", "--overwrite"])
    print(
        table(
            "a photograph through `isotherm explain`",
            ["files", "functions", "moves"],
            [[str(found[k]) for k in ("files", "functions", "moves")]],
        )
    )
    print(json.dumps(found["by_folder"]))
    write("route", found, quick=quick)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
