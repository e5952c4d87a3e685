"""The page's scripts: hand-written ES modules, joined into one text where a page may not ask for several.

The rule is strict, so that joining needs no parser: a module begins each import and export at the first column; it
imports names as they are (``import { a, b } from "./x.js";``), from its own folder; it exports declarations, or hands
names on (``export { a } from "./x.js";``). No two modules declare the same name at their top. Notes on types
(``/** */`` blocks) are left out. What breaks the rule is refused when it is joined.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "page"

LINK = re.compile(r'^(import|export) \{([^}]*)\} from "\./([\w-]+\.js)";\n', re.MULTILINE)
"""An import, or names that are handed on: which, the names, and the module that has them."""

TOP = re.compile(r"^(export )?(?:async )?(?:function\*?|class|const|let) +([\w$]+)", re.MULTILINE)
"""What a module declares at its top."""

NOTE = re.compile(r"^ */\*\*(?:(?!\*/).)*\*/\n", re.MULTILINE | re.DOTALL)
"""A block that opens a line with two asterisks: types, which a browser does not read."""

STRAY = re.compile(r"^(?:import|export)\b.*|\bimport\s*\(|\bimport\.meta\b", re.MULTILINE)
"""What is left of imports and exports where a module breaks the rule."""


class ScriptError(Exception):
    """A module that cannot be joined, which is a mistake of ours."""


@cache
def page_text(name: str) -> str:
    """The text of a file of the page."""
    return (FOLDER / name).read_text(encoding="utf-8")


@cache
def script_text(name: str) -> str:
    """One classic script that does what the module does, with all that it imports."""
    return '"use strict";\n' + _joined(name)


@cache
def module_text(name: str) -> str:
    """One module that exports what the module exports, with all that it imports."""
    own, handed_on = exports_of(name)
    return _joined(name) + f"export {{ {', '.join(sorted({*own, *handed_on}))} }};\n"


def exports_of(name: str) -> tuple[list[str], list[str]]:
    """The names that a module exports: its own, and those that it hands on from others."""
    text = page_text(name)
    own = [declared for exported, declared in TOP.findall(text) if exported]
    handed_on = [n for kind, names, _ in LINK.findall(text) if kind == "export" for n in _names(names)]
    return own, handed_on


def order_of(name: str) -> list[str]:
    """The module and all that it needs, each after those that it imports.

    Raises:
        ScriptError: modules that import each other, or a name that its module does not export.
    """
    order: list[str] = []

    def visit(module: str, above: tuple[str, ...]) -> None:
        if module in above:
            raise ScriptError(f"modules import each other: {' -> '.join((*above, module))}")
        if module in order:
            return
        for _, names, other in LINK.findall(page_text(module)):
            visit(other, (*above, module))
            own, handed_on = exports_of(other)
            for missing in set(_names(names)) - {*own, *handed_on}:
                raise ScriptError(f"{module} imports {missing!r}, which {other} does not export")
        order.append(module)

    visit(name, ())
    return order


def _joined(name: str) -> str:
    declared: dict[str, str] = {}
    parts = []
    for module in order_of(name):
        text = NOTE.sub("", LINK.sub("", page_text(module)))
        for _, top in TOP.findall(text):
            if top in declared:
                raise ScriptError(f"{module} and {declared[top]} both declare {top!r}; joined, they share one scope")
            declared[top] = module
        text = TOP.sub(lambda match: match[0].removeprefix("export "), text)
        if stray := STRAY.search(text):
            raise ScriptError(f"{module} has {stray[0]!r}; write 'import {{ name }} from \"./module.js\";'")
        parts.append(f"// {module}\n{text}")
    return "".join(parts)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if not re.fullmatch(r"[\w$]+", name):
            raise ScriptError(f"{name!r} is imported; names keep their name, without 'as'")
    return names
