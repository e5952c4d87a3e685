"""The page's files as they are sent: few requests at first, whole modules afterwards.

What the first screen needs is one request: ``main.js`` is sent together with everything that it imports at once, each
module in a function of its own. Asked for by its own name, such a module is a few lines that hand on what runs already,
so that modules which are imported later share it. The files on disk are plain modules, which run as they are.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

from isotherm.draw.page_script import NOTE, TOP, ScriptError, module_text, page_text

KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
}
"""Media types by suffix; files of other suffixes are not served."""
ENTRY, STYLE, VIEWER_STYLE = "main.js", "studio.css", "page.css"

IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w-]+\.js)";\n', re.MULTILINE)
OUTSIDE = re.compile(r'^import \{([^}]*)\} from "(\.\./[\w./-]+\.js)";\n', re.MULTILINE)
"""An import from another folder, which stays one."""
LATER = re.compile(r"^import .*|^export (?!(?:async )?(?:function|class|const|let)\b).*", re.MULTILINE)
"""What is left of imports and exports where a module cannot be joined."""


@dataclass(frozen=True)
class PageFile:
    """A file of the page, ready to be sent."""

    content: bytes
    kind: str

    @cached_property
    def tag(self) -> str:
        """A hash of what is in it, by which a browser asks whether it has changed."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:20]}"'

    @cached_property
    def packed(self) -> bytes:
        """What is in it, as gzip."""
        return gzip.compress(self.content, mtime=0)


def page_files() -> dict[str, PageFile]:
    """The files of the studio's page by name, joined where that saves requests."""
    texts = _texts("studio")
    if ENTRY in texts:
        texts |= joined({name: text for name, text in texts.items() if name.endswith(".js")})
    if STYLE in texts:
        texts[STYLE] = page_text(VIEWER_STYLE) + texts[STYLE]
    return {name: _file(name, text) for name, text in texts.items()}


def viewer_files() -> dict[str, PageFile]:
    """The files of the viewer by name, which reports use as well; each module with all that it imports."""
    return {
        name: _file(name, module_text(name) if name.endswith(".js") else text) for name, text in _texts("draw").items()
    }


def joined(modules: Mapping[str, str], entry: str = ENTRY) -> dict[str, str]:
    """The entry with all modules that it imports at once, and in place of each of these what hands it on.

    Args:
        modules: texts by name. They import names as they are, from modules beside them; imports from another folder
            and ``import()`` stay as they are.
        entry: the module that the page begins with.

    Returns:
        The texts that differ.

    Raises:
        ScriptError: modules that import each other, that there are not, or that import or export otherwise.

    Example:
        >>> texts = joined({"main.js": 'import { a } from "./a.js";\\n', "a.js": "export const a = 1;\\n"})
        >>> print(texts["a.js"])
        import { modules } from "./main.js";
        export const { a } = modules["a.js"];
        <BLANKLINE>
    """
    order: list[str] = []

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ScriptError(f"modules import each other: {' -> '.join((*above, name))}")
        if name not in modules:
            raise ScriptError(f"{above[-1]} imports {name}, which is not there")
        if name not in order:
            for _, other in IMPORT.findall(modules[name]):
                visit(other, (*above, name))
            order.append(name)

    visit(entry, ())
    parts = "".join(_closure(name, modules[name]) for name in order)
    made = {entry: f"{_outside(modules[name] for name in order)}const modules = {{}};\n{parts}export {{ modules }};\n"}
    for name in order[:-1]:
        names = ", ".join(_exports(modules[name]))
        made[name] = f'import {{ modules }} from "./{entry}";\nexport const {{ {names} }} = modules["{name}"];\n'
    return made


def _closure(name: str, text: str) -> str:
    """A module as a function that gives what it exports."""
    text = OUTSIDE.sub("", text)
    body = IMPORT.sub(lambda match: f'const {{{match[1]}}} = modules["{match[2]}"];\n', NOTE.sub("", text))
    if stray := LATER.search(IMPORT.sub("", text)):
        raise ScriptError(f"{name} has {stray[0]!r}; write 'import {{ name }} from \"./module.js\";' on one line")
    body = TOP.sub(lambda match: match[0].removeprefix("export "), body)
    return f'modules["{name}"] = (() => {{\n{body}return {{ {", ".join(_exports(text))} }};\n}})();\n'


def _outside(texts: Iterable[str]) -> str:
    """The imports from other folders, each folder's file once."""
    names: dict[str, set[str]] = {}
    for text in texts:
        for listed, place in OUTSIDE.findall(text):
            names.setdefault(place, set()).update(name.strip() for name in listed.split(",") if name.strip())
    return "".join(f'import {{ {", ".join(sorted(some))} }} from "{place}";\n' for place, some in names.items())


def _exports(text: str) -> list[str]:
    return [declared for exported, declared in TOP.findall(text) if exported]


def _texts(part: str) -> dict[str, str]:
    """The files of the folder ``page`` in a part of the package, which is not imported."""
    folder = resources.files("isotherm") / part / "page"
    if not folder.is_dir():
        return {}
    return {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.rpartition(".")[2] in KINDS and not entry.name.endswith(".d.ts")
    }


def _file(name: str, text: str) -> PageFile:
    return PageFile(text.encode(), KINDS[name.rpartition(".")[2]])
