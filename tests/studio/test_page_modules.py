"""The page's modules as they are served: joined, they do what they did apart."""

from __future__ import annotations

import re
import subprocess
from importlib import resources

import pytest

from isotherm.draw.page_script import ScriptError
from isotherm.studio.page_modules import served_modules
from rigs.programs import NODE, needs

APART = {
    "main.js": 'import { add, names } from "./list.js";\nimport { shout } from "./words.js";\n'
    'add(shout("one"));\nconst late = await import("./late.js");\nlate.more();\nconsole.log(names.join(" "));\n',
    "list.js": 'import { shout } from "./words.js";\nexport const names = [];\nconst own = shout("");\n'
    "/** Adds.\n * @param {string} name */\nexport function add(name) {\n  names.push(name + own);\n}\n",
    "words.js": "const own = 1;\nexport function shout(word) {\n  return word.toUpperCase();\n}\n",
    "late.js": 'import { add } from "./list.js";\nexport function more() {\n  add("late");\n}\n',
}


def printed(folder, texts):
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "package.json").write_text('{"type": "module"}')
    return subprocess.run([NODE, "main.js"], cwd=folder, capture_output=True, text=True, timeout=30)


@needs("node")
def test_joined_modules_do_what_they_did_apart_and_late_ones_share_their_state(tmp_path):
    # a module that waits for one that imports it would wait for ever, so a page's entry begins without waiting
    started = APART | {
        "main.js": re.sub(r"const late.*", "void (async () => {\n\\g<0>", APART["main.js"], flags=re.DOTALL) + "})();\n"
    }
    for name, texts in {"apart": started, "joined": served_modules(started, "main.js")}.items():
        (tmp_path / name).mkdir()
        run = printed(tmp_path / name, texts)
        assert (run.stdout, run.stderr) == ("ONE late\n", ""), name


def test_joined_modules_stand_in_one_file_without_notes():
    texts = served_modules(APART, "main.js")
    assert '"./list.js"' not in texts["main.js"]
    assert "@param" not in texts["main.js"]
    assert (
        texts["list.js"] == 'import { modules } from "./main.js";\nexport const { names, add } = modules["list.js"];\n'
    )
    assert texts["late.js"] == APART["late.js"]


def test_imports_from_elsewhere_stay_imports():
    other = {
        "other.js": 'import { Field, Stage } from "/page/draw/stage.js";\nexport const field = new Field(Stage);\n'
    }
    main = 'import { Stage } from "/page/draw/stage.js";\nimport { field } from "./other.js";\nnew Stage(field);\n'
    joined = served_modules({"main.js": main} | other, "main.js")["main.js"]
    assert joined.startswith('import { Field, Stage } from "/page/draw/stage.js";\n')
    assert joined.count("import ") == 1


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"words.js": 'import { add } from "./list.js";\n'},
            "import each other: main.js -> list.js -> words.js -> list.js",
        ),
        ({"words.js": "export const other = 1;\n"}, "list.js imports shout, which words.js does not export"),
        ({"list.js": 'import { a } from "./nowhere.js";\n'}, "list.js imports nowhere.js, which is not there"),
        ({"words.js": 'import * as all from "./late.js";\nexport function shout() {}\n'}, "words.js has 'import "),
        ({"words.js": "export default 3;\nexport function shout() {}\n"}, "words.js has 'export default 3;'"),
    ],
)
def test_modules_of_another_form_are_refused(changes, problem):
    with pytest.raises(ScriptError, match=re.escape(problem)):
        served_modules(APART | changes, "main.js")


def test_the_page_itself_is_of_the_form():
    folder = resources.files("isotherm.studio") / "page"
    sources = {one.name: one.read_text() for one in folder.iterdir() if one.name.endswith(".js")}
    texts = served_modules(sources, "main.js")
    assert texts.keys() == sources.keys()
    assert len(texts["main.js"].encode()) < 100_000
