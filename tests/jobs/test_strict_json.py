"""What commands write as JSON is read by every program: a bare NaN is none, and a writer that would write one fails."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "isotherm"
FOLDERS = ("jobs", "systems", "cli", "zoo", "runs", "data/gaze", "train/anticipation", "train/grounding")
FILES = sorted(f for folder in FOLDERS for f in (SRC / folder).rglob("*.py"))


def loose(source: str) -> list[int]:
    """The lines on which JSON is written that may hold NaN."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("dump", "dumps")
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "json"
        and not any(
            k.arg == "allow_nan" and isinstance(k.value, ast.Constant) and not k.value.value for k in node.keywords
        )
    ]


def test_no_writer_of_a_command_lets_nan_through():
    assert [(str(f.relative_to(SRC)), lines) for f in FILES if (lines := loose(f.read_text()))] == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("json.dumps(a)", [1]),
        ("\njson.dump(a, f, indent=1)", [2]),
        ("json.dumps(a, allow_nan=True)", [1]),
        ("json.dumps(a, allow_nan=False)", []),
        ("yaml.dump(a)", []),
    ],
)
def test_a_loose_writer_is_seen(source, lines):
    assert loose(source) == lines
