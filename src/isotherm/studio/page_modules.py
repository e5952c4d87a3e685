"""The page's ES modules as they are served: what the first screen needs in one file, so that it is one request.

The sources stay modules of their own, one subject each, for people, type checks and tests. What the entry imports
statically is joined with it, each module in a function of its own, so that names cannot clash. The joined modules' own
addresses hand on what is in the entry, so that a module that is loaded later shares their state and is small.

The form that this needs: imports and exports begin a line, imports are named (``import { a } from "./x.js";``), what is
exported is declared there (``export function a``), and no module imports another one in a circle. What is imported from
elsewhere (``from "/page/draw/x.js"``) stays an import.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from isotherm.draw.page_script import NOTE, ScriptError

IMPORT = re.compile(r'^import \{([^}]*)\} from "([^"]+)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async function|function|class|const) ([\w$]+))", re.MULTILINE)
STRAY = re.compile(r"^(?:import\b(?!\()|export\b).*", re.MULTILINE)


def served_modules(sources: Mapping[str, str], entry: str) -> dict[str, str]:
    """The texts to serve for modules, by name.

    Args:
        sources: of all modules of the folder, by file name.
        entry: the module that the page loads.

    Raises:
        ScriptError: a module of another form, an import of what is not there, or a circle.

    Example:
        >>> texts = served_modules({"a.js": 'import { b } from "./b.js";\\nb();\\n', "b.js": "export const b = () => 1;\\n"}, "a.js")
        >>> print(texts["b.js"])
        import { modules } from "./a.js";
        export const { b } = modules["b.js"];
        <BLANKLINE>
    """
    order = _order(sources, entry)
    outside: dict[str, set[str]] = {}
    for names, place in (one for name in order for one in _imports(sources[name])):
        if not place.startswith("./"):
            outside.setdefault(place, set()).update(names)
    parts = [f'import {{ {", ".join(sorted(names))} }} from "{place}";\n' for place, names in outside.items()]
    parts += ["export const modules = Object.create(null);\n"]
    for name in order:
        text = _body(name, sources[name])
        own = name == entry
        handed = ", ".join(EXPORT.findall(sources[name]))
        parts.append(
            f"// {name}\n{text}"
            if own
            else f'// {name}\nmodules["{name}"] = (() => {{\n{text}return {{ {handed} }};\n}})();\n'
        )
    stubs = {name: _stub(name, sources[name], entry) for name in order if name != entry}
    return {**sources, **stubs, entry: "".join(parts)}


def _order(sources: Mapping[str, str], entry: str) -> list[str]:
    """The entry and what it needs, each module behind those that it imports."""
    order: list[str] = []

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ScriptError(f"modules import each other: {' -> '.join((*above, name))}")
        if name in order:
            return
        if name not in sources:
            raise ScriptError(f"{above[-1]} imports {name}, which is not there")
        for names, place in _imports(sources[name]):
            if place.startswith("./"):
                visit(place[2:], (*above, name))
                if lost := set(names) - set(EXPORT.findall(sources[place[2:]])):
                    raise ScriptError(f"{name} imports {', '.join(sorted(lost))}, which {place[2:]} does not export")
        order.append(name)

    visit(entry, ())
    return order


def _imports(text: str) -> list[tuple[list[str], str]]:
    return [([one.strip() for one in names.split(",") if one.strip()], place) for names, place in IMPORT.findall(text)]


def _body(name: str, text: str) -> str:
    """A module's text with its imports taken from what was joined before, and without notes on types."""

    def taken(match: re.Match[str]) -> str:
        place = match[2]
        # what comes from elsewhere is imported at the top of the file
        return f'const {{{match[1]}}} = modules["{place[2:]}"];\n' if place.startswith("./") else ""

    plain = EXPORT.sub("", IMPORT.sub(taken, NOTE.sub("", text)))
    if stray := STRAY.search(plain):
        raise ScriptError(f"{name} has {stray[0]!r}; write imports and exports in the one form that is joined")
    return plain if plain.endswith("\n") else plain + "\n"


def _stub(name: str, text: str, entry: str) -> str:
    names = ", ".join(EXPORT.findall(text))
    return f'import {{ modules }} from "./{entry}";\nexport const {{ {names} }} = modules["{name}"];\n'
