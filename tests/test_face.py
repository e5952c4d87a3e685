"""What stands at the top: one import for everything that a user calls, with types, and a word for what was renamed."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import isotherm
from isotherm import errors, methods, scores

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "isotherm"


def test_every_error_is_at_the_top():
    tree = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    assert tree <= set(isotherm.__all__)
    assert all(getattr(isotherm, name) is getattr(errors, name) for name in tree)


def test_methods_and_scores_are_those_of_pictures_and_of_answers():
    import isotherm.cam.methods
    import isotherm.cam.scores
    import isotherm.vlm.methods
    import isotherm.vlm.scores

    assert set(methods.__all__) == {
        *isotherm.cam.methods.__all__,
        "LayerMethod",
        "Method",
        "NEEDS",
        "answers",
        "catalogue",
    }
    assert set(scores.__all__) == {*isotherm.cam.scores.__all__, "Target", "answers"}
    assert all(getattr(methods, n) is getattr(isotherm.cam.methods, n) for n in isotherm.cam.methods.__all__)
    assert all(getattr(scores, n) is getattr(isotherm.cam.scores, n) for n in isotherm.cam.scores.__all__)
    assert methods.answers is isotherm.vlm.methods
    assert scores.answers is isotherm.vlm.scores


def test_scores_of_answers_are_at_the_top_but_for_the_names_that_pictures_have():
    names = set(scores.answers.__all__) - {"Contrast", "Custom"}
    assert all(getattr(isotherm, name) is getattr(scores.answers, name) for name in names)


def test_every_name_at_the_top_is_there():
    assert all(getattr(isotherm, name) is not None for name in isotherm.__all__)
    assert isotherm.coordinates.index_to_edge is not None
    assert {"View", "LanguageView", "TrainingMap"} <= set(isotherm.__all__)


def test_the_old_name_names_the_new_one():
    with pytest.raises(AttributeError, match=r"isotherm\.Target is isotherm\.TrainingMap"):
        _ = isotherm.Target
    # in a process of its own, as users have it: the run-time checks of the tests stand between Python and the package
    out = subprocess.run([sys.executable, "-c", "from isotherm import Target"], capture_output=True, text=True)
    assert "ImportError: isotherm.Target is isotherm.TrainingMap; give the new name" in out.stderr
    assert not hasattr(isotherm, "Target")
    with pytest.raises(AttributeError, match="No isotherm attribute nothing"):
        _ = isotherm.nothing


def test_the_marker_of_types_is_in_the_folder_that_the_wheel_takes_whole():
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": ["src/isotherm"]}
    assert (PACKAGE / "py.typed").read_bytes() == b""


NOT_READ = (
    *("jax", "jaxlib", "onnx", "onnxscript", "onnxruntime", "scipy", "matplotlib", "rich", "pydantic", "markdown_it"),
    *("PIL", "filelock", "typeguard", "torch"),
)
"""Packages that a type checker need not read to know the types of ours: most of its time."""
READ = ("torch", "torch._C", "torch._C._VariableFunctions", "torch._tensor")
"""Modules of these that it has to read, as they say what a tensor is."""


def test_type_checkers_see_the_types_of_an_installed_package(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed")
    shutil.copytree(PACKAGE, tmp_path / "site" / "isotherm", ignore=shutil.ignore_patterns("__pycache__", "assets"))
    code = (
        "import numpy as np, torch\n"
        "from isotherm import Frame, decode\n"
        "reveal_type(Frame.identity((2, 3)))\n"
        "reveal_type(decode.argmax(torch.zeros(1, 2, 2)))\n"
        "reveal_type(decode.argmax(np.zeros((1, 2, 2))))\n"
    )
    (tmp_path / "user.py").write_text(code)
    (tmp_path / "mypy.ini").write_text(
        f"[mypy]\nignore_missing_imports = true\n[mypy-{','.join(f'{name}.*' for name in NOT_READ)}]\nfollow_imports = skip\n"
        f"[mypy-{','.join(READ)}]\nfollow_imports = normal\n"
    )
    out = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", os.devnull, "user.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
    ).stdout
    for line, name in ((3, "isotherm.frame.Frame"), (4, "isotherm.points.Points"), (5, "isotherm.ops.decoded.Decoded")):
        assert f'user.py:{line}: note: Revealed type is "' in out, out
        revealed = next(row for row in out.splitlines() if row.startswith(f"user.py:{line}:"))
        assert name in revealed or (line == 5 and "Decoded" in revealed), out
