"""The page's files, by bare names and nothing else, and sent again only where they have changed."""

from __future__ import annotations

import subprocess

import pytest

from isotherm.draw.page_script import ScriptError, module_text
from isotherm.studio.api.packed import SMALL
from isotherm.studio.api.page import _answer
from isotherm.studio.page_files import PageFile, joined, page_files
from rigs.programs import NODE, needs


def test_the_page_can_be_looked_for_without_its_content(studio):
    answer = studio.head("/")
    assert (answer.status_code, answer.content) == (200, b"")


def test_the_viewer_is_served_from_where_reports_have_it(studio):
    answer = studio.get("/draw/page/field.js")
    assert (answer.status_code, answer.text) == (200, module_text("field.js"))
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    again = studio.get("/draw/page/field.js", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["nowhere.js", "..%2Fapp.py", "%2Fetc%2Fpasswd", "__init__.py", "types.d.ts"])
def test_what_is_no_file_of_the_page_is_not_there(studio, name):
    for folder in ("/page", "/draw/page"):
        answer = studio.get(f"{folder}/{name}")
        assert answer.status_code == 404
        assert b"root:" not in answer.content
        assert b"import" not in answer.content


def test_files_are_packed_for_browsers_that_can_unpack_them():
    files = {"a.css": PageFile(b"a" * (SMALL + 1), "text/css")}
    assert "content-encoding" not in _answer(files, "a.css", None, "br").headers
    packed = _answer(files, "a.css", None, "gzip, br")
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < SMALL
    assert files["a.css"].tag != PageFile(b"b", "text/css").tag


MODULES = {
    "main.js": 'import { one } from "./b.js";\nimport { two } from "./a.js";\nexport const sum = one() + two;\n',
    "b.js": 'import { two } from "./a.js";\n/** @returns {number} */\nexport function one() { return two - 1; }\n',
    "a.js": "export const two = 2;\nconst own = 1;\n",
    "later.js": 'import { two } from "./a.js";\n',
}


def test_modules_of_the_first_screen_are_one_file_and_later_ones_share_them():
    made = joined(MODULES)
    assert set(made) == {"main.js", "a.js", "b.js"}
    at = [made["main.js"].index(f'modules["{name}"] = (') for name in ("a.js", "b.js", "main.js")]
    assert at == sorted(at)
    assert "@returns" not in made["main.js"]
    assert made["b.js"] == 'import { modules } from "./main.js";\nexport const { one } = modules["b.js"];\n'


def test_notes_on_types_are_left_out_and_casts_are_not_taken_for_them():
    cast = "/** @type {any} */ (own).x = 1;\nconst kept = 2;\n/** Gone. */\n"
    text = joined(MODULES | {"a.js": MODULES["a.js"] + cast})["main.js"]
    assert "(own).x = 1;\nconst kept = 2;\n" in text
    assert "Gone" not in text


def test_imports_from_another_folder_stay_and_stand_at_the_top_once():
    stage = 'import { Bar, Stage } from "../../draw/page/stage.js";\n'
    text = joined(MODULES | {"a.js": stage + MODULES["a.js"], "b.js": stage.replace("Bar, ", "") + MODULES["b.js"]})[
        "main.js"
    ]
    assert text.startswith(stage)
    assert text.count("draw/page/stage.js") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a.js": 'import { one } from "./b.js";\n'}, "import each other: main.js -> b.js -> a.js -> b.js"),
        ({"a.js": 'import x from "./b.js";\n'}, "a.js has 'import x"),
        ({"a.js": "export default 1;\n"}, "a.js has 'export default"),
        ({"a.js": 'import { x } from "./c.js";\n'}, "a.js imports c.js, which is not there"),
    ],
)
def test_modules_that_cannot_be_joined_are_named(change, message):
    with pytest.raises(ScriptError, match=message):
        joined(MODULES | change)


@needs("node")
def test_the_page_joined_is_a_script_that_can_be_read(tmp_path):
    (tmp_path / "main.mjs").write_bytes(page_files()["main.js"].content)
    run = subprocess.run([NODE, "--check", tmp_path / "main.mjs"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
