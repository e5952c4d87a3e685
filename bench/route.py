"""The way of one photograph through ``isotherm explain``: files entered, functions called, and moves from file to file.

Counted with ``sys.setprofile`` in the thread of the command, once everything is imported: a *move* is a call from a function of
one file of the package into a function of another, and a kind of move counts once however often it is made; *calls* are all of them. A *function* is
a code object, so that in Python 3.11 every comprehension is one. The command is run twice, so that what is read and cached once (entry points,
colour tables) is not on the way.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from bench.earlier import BEFORE, ROOT, earlier, environment_of
from bench.measure import insert, table, write

PAGE = ROOT / "docs" / "architecture.md"


def route(arguments: list[str]) -> dict[str, Any]:
    """Run a command of isotherm twice and follow the second time.

    Returns:
        ``files``, ``functions``, ``moves`` (kinds), ``calls`` from file to file, and ``by_folder``: files entered per folder of the package.
    """
    import isotherm
    from isotherm.cli import main

    root = str(Path(isotherm.__file__).parent)
    files: set[str] = set()
    functions: set[tuple[str, str, int]] = set()
    moves: Counter[tuple[str, str]] = Counter()

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
            moves[back.f_code.co_filename, here] += 1

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
        "calls": sum(moves.values()),
        "by_folder": dict(sorted(by_folder.items())),
    }


def here() -> dict[str, Any]:
    """The route of the first photograph through the code of this process."""
    from isotherm.data.photographs import PHOTOGRAPHS

    with tempfile.TemporaryDirectory() as folder:
        photo = str(PHOTOGRAPHS[0].fpath)
        return route(["explain", photo, "--trust", "off", "--out", f"{folder}/out", "--overwrite"])


def of(source: Path) -> dict[str, Any]:
    """The route through the code in a folder, in a process of its own."""
    code = "import json; from bench.route import here; print(json.dumps(here()))"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env=environment_of(source, ROOT),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def main(*, quick: bool = False) -> None:
    with earlier() as source:
        found = {f"before ({BEFORE[:7]})": of(source), "now": of(ROOT / "src")}
    columns = ["", "files", "functions", "moves", "calls"]
    rows = [[name, *(str(one[key]) for key in columns[1:])] for name, one in found.items()]
    text = table("A photograph through `isotherm explain`", columns, rows)
    print(text)
    write("route", found, quick=quick)
    if not quick:
        insert(PAGE, "route", text.partition("\n\n")[2].rstrip())


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
