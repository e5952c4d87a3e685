"""The benchmarks and the scripts of the documentation still fit the package: every name that they take from it is there."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted([*(ROOT / "bench").glob("*.py"), *(ROOT / "docs").glob("*.py")])


def imported_names(text: str) -> list[tuple[str, str]]:
    """(module, name) of every ``from isotherm… import …`` in a script, wherever it stands, also in a quoted script."""
    tree = ast.parse(text)
    quoted = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    found = [
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ("isotherm", "bench")
        for alias in node.names
    ]
    for part in quoted:
        lines = [line for line in part.splitlines() if line.startswith(("from isotherm", "from bench"))]
        found += [pair for line in lines for pair in imported_names(line)]
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_names_that_a_script_imports_exist(script, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    missing = [
        f"{module}.{name}"
        for module, name in imported_names(script.read_text())
        if not (hasattr(importlib.import_module(module), name) or _is_module(f"{module}.{name}"))
    ]
    assert not missing


def test_a_name_that_is_gone_is_seen():
    assert imported_names('X = """\nfrom isotherm.cam import gone\n"""\ndef f():\n    from isotherm import there') == [
        ("isotherm", "there"),
        ("isotherm.cam", "gone"),
    ]


def _is_module(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return False
    return True
