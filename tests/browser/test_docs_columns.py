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
WIDE = """() => {
    const wide = {};
    let page;
    for (const one of document.querySelectorAll("[data-page], pre, pre code, .wy-table-responsive")) {
        if (one.dataset.page) wide[page = one.dataset.page] = [];
        else if (one.scrollWidth > one.clientWidth + 1) wide[page].push(one.textContent.slice(0, 80));
    }
    return wide;
}"""
"""What is wider than its column, by the page that it is of."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """All pages below each other on one, by the settings of the project, without those that are made of the code."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    (folder / "docs").mkdir()
    for fpath in DOCS.glob("*.css"):
        shutil.copy(fpath, folder / "docs")
    texts = [f'<div data-page="{name}"></div>\n\n{(DOCS / f"{name}.md").read_text()}' for name in NAMES]
    (folder / "docs" / "index.md").write_text("\n\n".join(texts))
    lines = [line for line in (DOCS.parent / "mkdocs.yml").read_text().splitlines() if "!!" not in line]
    settings = yaml.safe_load("\n".join(lines))
    kept = {key: settings[key] for key in ("theme", "extra_css")} | {"site_name": "docs", "plugins": []}
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(kept))
    build(load_config(str(folder / "mkdocs.yml")))
    return folder / "site"


@pytest.fixture(scope="module")
def wide(site, browser):
    """What is wider than its column, by the window's width and the page."""
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    lines = {}
    for width in (1440, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        lines[width] = page.evaluate(WIDE)
    page.close()
    return lines


def test_there_are_pages(wide):
    assert len(NAMES) > 25
    assert [list(pages) for pages in wide.values()] == [NAMES, NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_no_line_of_code_and_no_table_is_wider_than_its_column(wide, name):
    assert {width: pages[name] for width, pages in wide.items() if pages[name]} == {}
