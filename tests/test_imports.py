"""Imports run one way, heavy packages stay in the files that bear their names, and the face is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

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


def imports(fpath: Path, *, top_level: bool = False):
    tree = ast.parse(fpath.read_text())
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{fpath}:{node.lineno}: relative import"
            yield node.lineno, node.module


@pytest.mark.parametrize("fpath", FILES, ids=lambda f: str(f.relative_to(SRC)))
def test_imports_run_one_way(fpath):
    here = part(fpath)
    if here == "__init__":
        return
    for line, module in imports(fpath):
        root, _, rest = module.partition(".")
        if root != "isotherm":
            continue
        there = rest.partition(".")[0]
        if not there:
            continue
        # the two exceptions: a heatmap shows itself in a notebook, and lies itself over its picture
        if here == "heatmap" and module in ("isotherm.draw.notebook", "isotherm.ops.resample"):
            assert (line, module) not in imports(fpath, top_level=True)
            continue
        assert there in STEP, f"{fpath.name}:{line}: {module} has no step in the order of imports"
        assert there == here or STEP[there] < STEP[here], f"{fpath.name}:{line}: {here} may not import {there}"


@pytest.mark.parametrize("fpath", FILES, ids=lambda f: str(f.relative_to(SRC)))
def test_heavy_packages_stay_where_they_belong(fpath):
    for line, module in imports(fpath):
        owners = HEAVY.get(module.partition(".")[0])
        if owners:
            rooms = fpath.relative_to(SRC).with_suffix("").parts
            assert any(room.startswith(owners) for room in rooms), f"{fpath.name}:{line} imports {module}"
    for line, module in imports(fpath, top_level=True):
        package = module.partition(".")[0]
        if ROOMS_OF_THEIR_OWN.get(package, set()) & set(fpath.relative_to(SRC).with_suffix("").parts):
            continue
        assert package not in HEAVY, f"{fpath.name}:{line} imports {module} before it is needed"


def test_the_diagram_has_every_part_once():
    parts = [part(f) for f in FILES if part(f) != "__init__"]
    shown = [name for names in STEPS for name in names]
    assert sorted(shown) == sorted(set(parts))


def test_no_star_imports_and_no_rooms_without_a_name():
    for fpath in FILES:
        assert fpath.stem not in {"utils", "helpers", "common", "misc"}
        assert "import *" not in fpath.read_text()


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
        for node in ast.walk(ast.parse(fpath.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                wanted = [f"{node.module}.{alias.name}" for alias in node.names]
                found[name] |= {full if full in names else node.module for full in wanted} & set(names)
            elif isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names} & set(names)
    # the exceptions: a heatmap shows itself in a notebook, and says its values at picture resolution
    found["isotherm.heatmap"] -= {"isotherm.draw.notebook", "isotherm.ops.resample"}
    return found


def test_no_circle_of_imports_not_even_a_lazy_one():
    left = reaches()
    while free := {name for name, others in left.items() if not (others & set(left)) - {name}}:
        left = {name: others for name, others in left.items() if name not in free}
    assert not left, f"these import each other in a circle, or what does: {sorted(left)}"
