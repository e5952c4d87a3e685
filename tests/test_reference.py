"""No public name without a page, and no public function without a docstring."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
MODULES = re.findall(r"^::: (isotherm[\w.]*)$", (DOCS / "reference.md").read_text(), re.MULTILINE)
PACKAGES = (
    "isotherm",
    "isotherm.cam.methods",
    "isotherm.cam.scores",
    "isotherm.metrics",
    "isotherm.draw",
    "isotherm.arrays",
    "isotherm.heads",
    "isotherm.targets",
    "isotherm.losses",
    "isotherm.decode",
    "isotherm.vlm.methods",
    "isotherm.vlm.scores",
    "isotherm.coordinates",
    "isotherm.methods",
    "isotherm.scores",
)


def public(module):
    names = getattr(module, "__all__", None)
    if names is None:
        names = [
            n
            for n, v in vars(module).items()
            if not n.startswith("_") and getattr(v, "__module__", None) == module.__name__
        ]
    return {name: getattr(module, name) for name in names}


@pytest.fixture(scope="module")
def documented():
    """Everything that the modules of the reference define or hand on."""
    found = set()
    for name in MODULES:
        found |= {id(v) for v in public(importlib.import_module(name)).values()}
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_on_a_page(package, documented):
    pages = "\n".join(p.read_text() for p in [*DOCS.glob("*.md"), DOCS.parent / "README.md"])
    missing = [
        name
        for name, value in public(importlib.import_module(package)).items()
        if id(value) not in documented and not re.search(rf"\b{re.escape(name)}\b", pages)
    ]
    assert not missing


@pytest.mark.parametrize("module", MODULES)
def test_everything_in_the_reference_says_what_it_is(module):
    silent = [
        name
        for name, value in public(importlib.import_module(module)).items()
        if (inspect.isfunction(value) or inspect.isclass(value)) and not (inspect.getdoc(value) or "").strip()
    ]
    assert not silent


def test_every_page_is_in_the_menu():
    menu = (DOCS.parent / "mkdocs.yml").read_text()
    assert [p.name for p in DOCS.glob("*.md") if f": {p.name}" not in menu] == []
