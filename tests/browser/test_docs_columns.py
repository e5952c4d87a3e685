"""The documentation as a site: code and tables stand in their column, without bars to scroll them by."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from rigs.programs import needs

pytestmark = needs("chromium")
DOCS = Path(__file__).parents[2] / "docs"
NAMES = sorted(fpath.stem for fpath in DOCS.glob("*.md") if fpath.stem not in ("index", "reference"))
WIDE = """[...document.querySelectorAll("pre, pre code, .wy-table-responsive")]
    .filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.textContent.slice(0, 80))"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages by the settings of the project, without those that are made of the code."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    (folder / "docs").mkdir()
    for fpath in [*DOCS.glob("*.md"), *DOCS.glob("*.css")]:
        if fpath.name != "reference.md":
            shutil.copy(fpath, folder / "docs")
    lines = [line for line in (DOCS.parent / "mkdocs.yml").read_text().splitlines() if "!!" not in line]
    settings = yaml.safe_load("\n".join(lines))
    kept = {key: settings[key] for key in ("theme", "extra_css")} | {"site_name": "docs", "plugins": []}
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(kept))
    build(load_config(str(folder / "mkdocs.yml")))
    return folder / "site"


@pytest.fixture(scope="module")
def page(browser):
    page = browser.new_page()
    yield page
    page.close()


def test_there_are_pages():
    assert len(NAMES) > 25


@pytest.mark.parametrize("name", NAMES)
def test_no_line_of_code_and_no_table_is_wider_than_its_column(site, page, name):
    page.goto((site / name / "index.html").as_uri())
    wide = {}
    for width in (1440, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        if lines := page.evaluate(WIDE):
            wide[width] = lines
    assert not wide
