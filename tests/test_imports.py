"""Imports run one way, heavy packages stay in the files that bear their names, and the face is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

SRC = Path(__file__).parents[1] / "src" / "isotherm"
PAGE = SRC.parents[1] / "docs" / "architecture.md"


def steps_of(page: str) -> list[set[str]]:
    """The steps of the page's diagram of imports, each with the parts of the package that stand on it."""
    diagram = page.split("<!-- imports: start -->")[1].split("<!-- imports: end -->")[0]
    return [set(line.removeprefix("→ ").split(", ")) for line in diagram.strip("`\n ").splitlines()]


STEPS = steps_of(PAGE.read_text())
STEP = {name: i for i, names in enumerate(STEPS) for name in names}
HEAVY = {
    "torchvision": ("torchvision",),
    "timm": ("timm",),
    "transformers": ("transformers", "tiny_vlm", "tiny_grounding"),
    "ultralytics": ("ultralytics",),
    "av": ("video", "animation"),
    "zarr": ("zarr",),
    "cv2": ("ultralytics",),
    "matplotlib": ("colour", "figures", "pdf"),
    "jax": ("jax",),
    "lightning": ("lightning",),
    "lightning_fabric": ("lightning",),
    "wandb": ("wandb",),
    "ray": ("ray",),
    "optuna": ("ray",),
    "peft": ("peft",),
    "sqlalchemy": ("store",),
    "alembic": ("store",),
    "fastapi": ("app", "api"),
    "starlette": ("app", "api"),
    "uvicorn": ("serve",),
}
ROOMS_OF_THEIR_OWN = {
    "sqlalchemy": {"store"},
    "alembic": {"store"},
    "fastapi": {"app", "api"},
    "starlette": {"app", "api"},
}
"""Packages without which nothing in a folder or file works: there they are imported at the top, and it where it is needed."""
FILES = sorted(SRC.rglob("*.py"))


def part(fpath: Path) -> str:
    return fpath.relative_to(SRC).parts[0].removesuffix(".py")


class Import(NamedTuple):
    line: int
    module: str
    names: tuple[str, ...]
    """What is taken out of the module; none where the module itself is imported."""
    is_top_level: bool
    level: int
    """The dots of a relative import."""


def statements(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Every statement, of whatever depth; expressions, which most of a tree is, hold no imports."""
    for node in body:
        yield node
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from statements(getattr(node, block, ()))


@cache
def imports(fpath: Path) -> list[Import]:
    """Every import of a file, at the top or later; the file is read once for all tests."""
    tree = ast.parse(fpath.read_text())
    top = {id(node) for node in tree.body}
    every = []
    for node in statements(tree.body):
        if isinstance(node, ast.Import):
            every += [Import(node.lineno, alias.name, (), id(node) in top, 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            every.append(Import(node.lineno, node.module or "", names, id(node) in top, node.level))
    return every


def wrong_ways(fpath: Path) -> list[str]:
    """The imports of a file that are relative, or that do not run from the left to the right of the diagram."""
    here = part(fpath)
    wrong = [f"{fpath}:{one.line}: relative import" for one in imports(fpath) if one.level]
    if here == "__init__":
        return wrong
    for one in imports(fpath):
        root, _, rest = one.module.partition(".")
        there = rest.partition(".")[0]
        if root != "isotherm" or not there:
            continue
        # the two exceptions: a heatmap shows itself in a notebook, and lies itself over its picture
        if here == "heatmap" and one.module in ("isotherm.draw.notebook", "isotherm.ops.resample"):
            if one.is_top_level:
                wrong.append(f"{fpath}:{one.line}: {one.module} is imported before it is needed")
        elif there not in STEP:
            wrong.append(f"{fpath}:{one.line}: {one.module} has no step in the order of imports")
        elif there != here and STEP[there] >= STEP[here]:
            wrong.append(f"{fpath}:{one.line}: {here} may not import {there}")
    return wrong


def misplaced(fpath: Path) -> list[str]:
    """The imports of heavy packages that a file has in the wrong place: it is not theirs, or they come before their time."""
    rooms, wrong = fpath.relative_to(SRC).with_suffix("").parts, []
    for one in imports(fpath):
        package = one.module.partition(".")[0]
        owners = HEAVY.get(package)
        if not owners:
            continue
        if not any(room.startswith(owners) for room in rooms):
            wrong.append(f"{fpath}:{one.line} imports {one.module}")
        if one.is_top_level and not ROOMS_OF_THEIR_OWN.get(package, set()) & set(rooms):
            wrong.append(f"{fpath}:{one.line} imports {one.module} before it is needed")
    return wrong


def test_imports_run_one_way():
    assert [fault for fpath in FILES for fault in wrong_ways(fpath)] == []


def test_heavy_packages_stay_where_they_belong():
    assert [fault for fpath in FILES for fault in misplaced(fpath)] == []


def test_each_wrong_import_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(sys.modules[__name__], "SRC", tmp_path)

    def faults(name: str, source: str) -> list[str]:
        fpath = tmp_path / name
        fpath.parent.mkdir(exist_ok=True)
        fpath.write_text(source)
        imports.cache_clear()
        return [fault.removeprefix(f"{fpath}:") for fault in wrong_ways(fpath) + misplaced(fpath)]

    assert faults("frame.py", "import math\nfrom isotherm.errors import InputError") == []
    assert faults("frame.py", "def work():\n    from isotherm.studio import app") == ["2: frame may not import studio"]
    assert faults("frame.py", "import isotherm.frames") == ["1: isotherm.frames has no step in the order of imports"]
    assert faults("frame.py", "from . import errors") == ["1: relative import"]
    notebook = "from isotherm.draw.notebook import show"
    assert faults("heatmap.py", f"def work():\n    {notebook}") == []
    assert faults("heatmap.py", notebook) == ["1: isotherm.draw.notebook is imported before it is needed"]
    assert faults("frame.py", "def work():\n    import ray.tune") == ["2 imports ray.tune"]
    assert faults("jobs/ray.py", "def work():\n    import ray.tune") == []
    assert faults("jobs/ray.py", "import ray.tune") == ["1 imports ray.tune before it is needed"]
    assert faults("studio/store.py", "from sqlalchemy.orm import Session") == []
    imports.cache_clear()


def test_the_diagram_has_every_part_once():
    parts = [part(f) for f in FILES if part(f) != "__init__"]
    shown = [name for names in STEPS for name in names]
    assert sorted(shown) == sorted(set(parts))


def test_no_star_imports_and_no_rooms_without_a_name():
    assert [f for f in FILES if f.stem in {"utils", "helpers", "common", "misc"}] == []
    assert [f for f in FILES if any("*" in one.names for one in imports(f))] == []


def loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys; print(' '.join(sys.modules))"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(out.stdout.split())


def test_the_face_is_light():
    heavy = {
        "torch",
        "torchvision",
        "timm",
        "transformers",
        "ultralytics",
        "lightning",
        "lightning_fabric",
        "ray",
        "fastapi",
        "wandb",
        "matplotlib",
        "cv2",
    }
    assert not heavy & loaded_by("import isotherm; isotherm.__version__; dir(isotherm)")
    assert not heavy - {"torch"} & loaded_by("import isotherm; isotherm.explain, isotherm.Frame")


def test_the_command_line_answers_without_torch():
    assert "torch" not in loaded_by("import isotherm.cli")


def reaches() -> dict[str, set[str]]:
    """Which modules of the package each one imports, at the top or later."""
    names = {}
    for fpath in FILES:
        words = fpath.relative_to(SRC.parent).with_suffix("").parts
        names[".".join(words[:-1] if words[-1] == "__init__" else words)] = fpath
    found: dict[str, set[str]] = {name: set() for name in names}
    for name, fpath in names.items():
        for one in imports(fpath):
            wanted = [f"{one.module}.{taken}" for taken in one.names] or [one.module]
            found[name] |= {full if full in names else one.module for full in wanted} & set(names)
    # the exceptions: a heatmap shows itself in a notebook, and says its values at picture resolution
    found["isotherm.heatmap"] -= {"isotherm.draw.notebook", "isotherm.ops.resample"}
    return found


def test_no_circle_of_imports_not_even_a_lazy_one():
    left = reaches()
    while free := {name for name, others in left.items() if not (others & set(left)) - {name}}:
        left = {name: others for name, others in left.items() if name not in free}
    assert not left, f"these import each other in a circle, or what does: {sorted(left)}"
