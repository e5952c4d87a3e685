"""The tests lie where the code lies: every folder of tests is a folder of the package, but for what all of them share."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
SRC = TESTS.parent / "src" / "isotherm"
SHARED = {"golden", "oracles", "rigs"}
"""Folders without a counterpart: answers written down, slow references, and the models and data that tests are made of."""
WHOLE = {"browser"}
"""Folders of tests that go through all parts at once, as people do."""


def folders_of(root: Path) -> set[str]:
    """The folders below a root that hold Python files, themselves or deeper, as relative paths."""
    return {str(d) for f in root.rglob("*.py") for d in f.relative_to(root).parents if str(d) != "."}


def strays(tests: set[str], code: set[str]) -> list[str]:
    """Folders of tests that are neither folders of the package nor shared."""
    return sorted(name for name in tests - code if name.split("/")[0] not in SHARED | WHOLE)


def test_every_folder_of_tests_is_a_folder_of_the_package():
    assert strays(folders_of(TESTS), folders_of(SRC)) == []
    assert strays({"cam", "cam/old", "rigs/more"}, {"cam", "zoo"}) == ["cam/old"]


def test_shared_folders_hold_no_tests():
    """But for the answers that were written down."""
    assert [str(f) for name in SHARED - {"golden"} for f in (TESTS / name).rglob("test_*.py")] == []


def test_files_beside_the_folders_are_tests_or_set_them_up():
    others = {f.name for f in TESTS.glob("*.py") if not f.name.startswith("test_")}
    assert others == {"conftest.py", "checker.py"}
