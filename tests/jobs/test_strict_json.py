"""What is written or answered as JSON is read by every program: a bare NaN is none, and a writer that would write one
fails.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "isotherm"
ELSEWHERE = ("models/transformers/load.py", "data/")
"""A configuration as it came, for transformers alone; and data sets that are copied, but for those of gaze."""
NAMES = sorted(str(f.relative_to(SRC)) for f in SRC.rglob("*.py"))
FILES = [SRC / name for name in NAMES if not name.startswith(ELSEWHERE) or name.startswith("data/gaze/")]


def loose(source: str) -> list[int]:
    """The lines on which JSON is written that may hold NaN; a copy that is read again at once is not written."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    copied = {id(argument) for call in calls if is_of_json(call, "loads") for argument in call.args}
    return [
        call.lineno
        for call in calls
        if is_of_json(call, "dump", "dumps")
        and id(call) not in copied
        and not any(
            k.arg == "allow_nan" and isinstance(k.value, ast.Constant) and not k.value.value for k in call.keywords
        )
    ]


def is_of_json(call: ast.Call, *names: str) -> bool:
    """Whether a call is of one of these functions of the module json."""
    function = call.func
    of_module = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
    return of_module and function.value.id == "json" and function.attr in names


def test_no_writer_lets_nan_through():
    assert [(str(f.relative_to(SRC)), lines) for f in FILES if (lines := loose(f.read_text()))] == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("json.dumps(a)", [1]),
        ("\njson.dump(a, f, indent=1)", [2]),
        ("json.dumps(a, allow_nan=True)", [1]),
        ("json.dumps(a, allow_nan=False)", []),
        ("yaml.dump(a)", []),
        ("json.loads(json.dumps(a))", []),
        ("json.loads(text); json.dumps(a)", [1]),
    ],
)
def test_a_loose_writer_is_seen(source, lines):
    assert loose(source) == lines
