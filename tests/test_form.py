"""How the code looks, where no formatter decides it.

Docstrings have one form: a sentence; arguments, each on a line of its own, by their names; what comes back; what is
raised; an example. Files are short. Names are those of things, not of what was done to them.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "isotherm"
SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "Example")
ENTRY = re.compile(r"(\*{0,2}[A-Za-z_]\w*(?:, \*{0,2}[A-Za-z_]\w*)*): ")

Documented = ast.FunctionDef | ast.ClassDef


FILES = sorted(SRC.rglob("*.py"))
MOST_LINES = 400
WIDTH = 120
PARTICIPLES = {"said", "told", "asked", "asking", "found", "given", "heard"}
"""As names they say what happened, and leave out to what: an answer, a prompt, a question, a match, options."""
WORD = re.compile(
    r"""\"{3}(?:\\.|.)*?\"{3}|'{3}(?:\\.|.)*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\#[^\n]*|(\w+)""", re.DOTALL
)
"""A string or a comment, which say nothing here, or a word; Python's own module does the same, eight times as slowly."""


@cache
def places_of_classes() -> dict[str, Path]:
    """The file of each class of the package."""
    return {name: f for f in FILES for name in re.findall(r"^class (\w+)", f.read_text(), re.MULTILINE)}


@cache
def class_of_the_package(name: str) -> ast.ClassDef | None:
    """A class by its name; only files of classes that others are made from are read twice."""
    if name not in places_of_classes():
        return None
    nodes = ast.parse(places_of_classes()[name].read_text()).body
    return next(node for node in nodes if isinstance(node, ast.ClassDef) and node.name == name)


def public(tree: ast.AST) -> list[Documented]:
    """Functions, classes and methods whose names, and those of the classes that they are in, begin without an underscore."""
    found: list[Documented] = []
    for node in getattr(tree, "body", []):
        if isinstance(node, Documented) and not node.name.startswith("_"):
            found.append(node)
            if isinstance(node, ast.ClassDef):
                found += public(node)
    return found


def parameters(function: ast.FunctionDef) -> set[str]:
    args = function.args
    more = [arg for arg in (args.vararg, args.kwarg) if arg]
    return {arg.arg for arg in [*args.posonlyargs, *args.args, *args.kwonlyargs, *more]}


def names_of(node: Documented, beside: dict[str, ast.ClassDef]) -> set[str]:
    """What an entry below Args may be called: parameters; of a class its fields, methods and those of its bases."""
    if isinstance(node, ast.FunctionDef):
        return parameters(node)
    names = {n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    for method in node.body:
        if isinstance(method, ast.FunctionDef):
            names |= {method.name} | (parameters(method) if method.name in ("__init__", "__call__") else set())
    for base in node.bases:
        name = base.id if isinstance(base, ast.Name) else base.value.id if isinstance(base, ast.Subscript) else ""  # type: ignore[attr-defined]
        other = beside.get(name) or class_of_the_package(name)
        if other is not None and other is not node:
            names |= names_of(other, beside)
    return names


def problems(source: str) -> list[str]:
    """What is not of the form, a sentence each."""
    tree = ast.parse(source)
    classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
    wrong = []
    for node in public(tree):
        text = ast.get_docstring(node)
        if text is None:
            continue
        first = text.split("\n\n")[0]
        if not first.rstrip().endswith((".", ":", "?", "``")):
            wrong.append(f"{node.lineno} {node.name}: the first paragraph ends without a stop")
        heads = [line[:-1] for line in text.splitlines() if re.fullmatch(r"[A-Z]\w+:", line)]
        order = [SECTIONS.index(head) for head in heads if head in SECTIONS]
        if order != sorted(set(order)):
            wrong.append(f"{node.lineno} {node.name}: sections are {heads}; expected the order {SECTIONS}")
        allowed = names_of(node, classes)
        for line in section(text, "Args"):
            wrong += [f"{node.lineno} {node.name}: {problem}" for problem in entry_problems(line, allowed)]
    return wrong


def section(text: str, head: str) -> list[str]:
    """The lines of a section at its own indentation, without what continues them."""
    after = re.split(rf"^{head}:\n", text, maxsplit=1, flags=re.MULTILINE)
    if len(after) == 1:
        return []
    lines = after[1].split("\n\n")[0].splitlines()
    return [line.strip() for line in lines if re.match(r" {4}\S", line)]


def entry_problems(line: str, allowed: set[str]) -> list[str]:
    start = ENTRY.match(line)
    if start is None:
        return []
    names = [name.lstrip("*") for name in start[1].split(", ")]
    wrong = [f"there is no argument {name!r}" for name in names if name not in allowed]
    for more in ENTRY.finditer(line, start.end()):
        others = [name.lstrip("*") for name in more[1].split(", ")]
        if re.search(r"[.!?]\)? $", line[: more.start()]) and set(others) <= allowed:
            wrong.append(f"{more[1]!r} shares the line of {start[1]!r}")
    return wrong


def too_wide(source: str) -> list[int]:
    """Lines of docstrings beyond the width, but for examples and tables, which cannot be broken, and what quotes them."""
    wrong: list[int] = []
    if all(len(line) <= WIDTH for line in source.splitlines()):
        return wrong
    for node in ast.walk(ast.parse(source)):
        value = node.value if isinstance(node, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
            numbered = enumerate(lines, node.lineno)
            wrong += [i for i, line in numbered if len(line) > WIDTH and not re.match(r" *(>>>|\.\.\.|\|)", line)]
    return wrong


def participles(source: str) -> list[str]:
    """Names made of nothing but what was done."""
    return sorted({word for word in WORD.findall(source) if word.strip("_") in PARTICIPLES})


def test_files_have_one_form():
    faults: dict[str, list[str]] = {}
    for fpath in FILES:
        source = fpath.read_text()
        wrong = [*problems(source), *(f"line {i} is too wide" for i in too_wide(source)), *participles(source)]
        if (lines := len(source.splitlines())) > MOST_LINES:
            wrong.append(f"{lines} lines")
        if wrong:
            faults[str(fpath.relative_to(SRC))] = wrong
    assert faults == {}
    assert len(FILES) > 500


@pytest.mark.parametrize("part", ["tests", "bench", "docs"])
def test_files_beside_the_package_are_short_too(part):
    lengths = {str(f.relative_to(ROOT)): len(f.read_text().splitlines()) for f in (ROOT / part).rglob("*.py")}
    assert {name: n for name, n in lengths.items() if n > MOST_LINES} == {}
    assert lengths


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('"""Does it."""', ""),
        (
            '"""Does it.\n\n    Args:\n        a: one.\n        b: two, note: three.\n\n    Returns:\n        It.\n    """',
            "",
        ),
        ('"""Does it"""', "without a stop"),
        ('"""Does it.\n\n    Args:\n        a: one. b: two.\n    """', "'b' shares the line of 'a'"),
        ('"""Does it.\n\n    Args:\n        c: one.\n    """', "no argument 'c'"),
        ('"""Does it.\n\n    Returns:\n        It.\n\n    Args:\n        a: one.\n    """', "expected the order"),
    ],
)
def test_what_is_no_such_docstring_is_named(body, problem):
    found = problems(f"def work(a, b):\n    {body}\n")
    assert problem in " ".join(found) if problem else not found


def test_what_else_is_not_of_the_form_is_named():
    long = "x" * 130
    assert too_wide(f'def work():\n    """Does {long}."""\n') == [2]
    assert too_wide(f'def work():\n    """Does it.\n\n    >>> {long}\n    """\n    return "{long}"\n') == []
    assert participles("found = given[0]  # told\nx = 'said'\nboxes_found = unasked") == ["found", "given"]
