"""Links between pages lead somewhere, and every page is in the menu and on the first page."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]


def menu() -> list[str]:
    # mkdocs' own tags, such as !!python/name, are none of ours
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    return [page for entry in nav for page in entry.values()]


def headings(fpath: Path) -> set[str]:
    """The anchors of a page: headings in lower case, words joined by dashes."""
    titles = re.findall(r"^#+ (.+)$", fpath.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def broken(page: Path, text: str) -> list[str]:
    """Links of a page to files of this repository that are not there, or to headings that a page has not."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    wrong = []
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = unquote(link).partition("#")
        there = page if not name else page.parent / name
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in headings(there)):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    assert not broken(page, page.read_text())


def test_a_link_to_nowhere_is_seen():
    page = DOCS / "index.md"
    text = "[a](nowhere.md) [b](explain.md) [c](explain.md#no-such-heading) [d](https://example.org/x)"
    assert broken(page, text) == ["nowhere.md", "explain.md#no-such-heading"]


def test_every_page_is_in_the_menu_and_the_menu_has_no_other():
    assert sorted(menu()) == sorted(p.name for p in DOCS.glob("*.md"))


def test_every_page_can_be_reached_from_the_first_one_and_from_the_readme():
    for start, folder in ((DOCS / "index.md", ""), (ROOT / "README.md", "docs/")):
        linked = set(re.findall(r"\]\(([^)#\s]+\.md)", start.read_text()))
        missing = [p.name for p in DOCS.glob("*.md") if p.name != "index.md" and folder + p.name not in linked]
        assert not missing, start
