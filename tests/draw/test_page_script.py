"""Joining the page's modules: one text that does what they do, and a clear refusal of what would do something else."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from isotherm.draw import page_script
from isotherm.draw.page_script import ScriptError, module_text, order_of, script_text

NODE = shutil.which("node")

BASE = '/** A note\n * @import {T} from "./types.js" */\n\nexport function one() {\n  return 1;\n}\n\nexport const TWO = 2;\n'
MIDDLE = 'import { one } from "./base.js";\n\nexport function next() {\n  return one() + 1;\n}\n'
TOP = 'import { next } from "./middle.js";\nexport { TWO } from "./base.js";\n\nexport const answer = next();\nconsole.log(answer);\n'


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Writes modules by name, in place of the page's."""
    monkeypatch.setattr(page_script, "FOLDER", tmp_path)
    kept = (page_script.page_text, script_text, module_text)
    for function in kept:
        function.cache_clear()

    def write(**texts: str) -> None:
        for name, text in texts.items():
            (tmp_path / f"{name}.js").write_text(text)

    yield write
    for function in kept:
        function.cache_clear()


def test_modules_come_after_what_they_import_and_each_once(modules):
    modules(base=BASE, middle=MIDDLE, top='import { TWO } from "./base.js";\n' + TOP.replace("export {", "import {"))
    assert order_of("top.js") == ["base.js", "middle.js", "top.js"]


def test_one_script_has_neither_imports_nor_exports_and_does_the_same(modules, tmp_path):
    modules(base=BASE, middle=MIDDLE, top=TOP)
    text = script_text("top.js")
    assert text.startswith('"use strict";')
    assert "import" not in text
    assert "note" not in text
    assert "export" not in text
    assert text.count("function one()") == 1
    if NODE:
        assert subprocess.run([NODE, "-e", text], capture_output=True, text=True, check=True).stdout == "2\n"


@pytest.mark.skipif(NODE is None, reason="no Node on this machine to run the page's script")
def test_one_module_exports_what_its_own_module_does(modules, tmp_path):
    modules(base=BASE, middle=MIDDLE, top=TOP)
    (tmp_path / "joined.mjs").write_text(module_text("top.js"))
    program = "import('./joined.mjs').then((m) => console.log(Object.keys(m).join(), m.TWO))"
    run = subprocess.run([NODE, "-e", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout == "2\nTWO,answer 2\n"


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"top": 'import { missing } from "./base.js";\n'}, "does not export"),
        ({"top": 'import { one as two } from "./base.js";\n'}, "without 'as'"),
        ({"top": 'import * as base from "./base.js";\n'}, "has 'import"),
        ({"top": 'import "./base.js";\n'}, "has 'import"),
        ({"top": "export default 1;\n"}, "has 'export"),
        ({"top": 'const late = import("./base.js");\n'}, "has 'import"),
        ({"top": 'import { one } from "./base.js";\nconst TWO = one();\n'}, "both declare 'TWO'"),
        ({"top": 'import { a } from "./b.js";\nexport const c = a;\n', "b": 'import { c } from "./top.js";\n'}, "each"),
    ],
)
def test_what_breaks_the_rule_is_refused(modules, texts, words):
    modules(base=BASE, **texts)
    with pytest.raises(ScriptError, match=words):
        script_text("top.js")


@pytest.mark.parametrize("name", sorted(f.name for f in page_script.FOLDER.glob("*.js")))
def test_every_module_of_the_page_keeps_the_rule(name):
    assert module_text(name).count("\nexport ") <= 1


@pytest.mark.skipif(NODE is None, reason="no Node on this machine to run the page's script")
def test_the_joined_scripts_are_javascript(tmp_path):
    for name in ("script.js", "module.mjs"):
        (tmp_path / name).write_text((script_text if name == "script.js" else module_text)("viewer.js"))
        subprocess.run([NODE, "--check", name], cwd=tmp_path, check=True)
