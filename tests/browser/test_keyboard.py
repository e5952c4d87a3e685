"""By the keyboard alone: every path of a person who has no mouse, with the focus where it is looked for."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import expect

from rigs.breadth import wide
from rigs.programs import needs
from rigs.shared_page import shared_page
from rigs.studio_page import StudioPage, press_until

pytestmark = needs("chromium")

STAGE = "node.getAttribute('role') === 'group' && /Picture with map/.test(node.getAttribute('aria-label'))"


@pytest.fixture(scope="module")
def run(studio):
    return studio.run_of("scene-1", model="detector", compare="hirescam,eigencam", trust="off")


@pytest.fixture(scope="module")
def shared(browser, studio, cookies, described, run):
    with shared_page(browser, studio, cookies, described, path=f"/#run={run}") as page:
        yield page


@pytest.fixture
def desk(shared, run):
    """The page with the run, and the focus where it begins."""
    with shared.lent(run) as desk:
        desk.page.locator("a:visible, button:visible").first.focus()
        yield desk


def named(text: str) -> str:
    """The condition that an element says a text, or is called by it."""
    return f"[node.textContent.trim(), node.getAttribute('aria-label')].includes({text!r})"


def text_of_focus(page) -> str:
    return page.evaluate("() => document.activeElement.textContent.trim()")


def test_a_finding_its_class_and_a_side_are_chosen(desk):
    page = desk.page
    press_until(page, STAGE)
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    expect(page.locator("#ask-what")).to_have_value("box")
    press_until(page, "node.id === 'ask-what'", "Shift+Tab")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")  # what the model finds, then a class
    expect(page.locator("#ask-what")).to_have_value("class")
    press_until(page, "node.id === 'ask-cls'")
    page.keyboard.type("gear")
    press_until(page, named("A side of its box, or a measure"))
    page.keyboard.press("Enter")
    press_until(page, "node.id === 'ask-part-left'")
    page.keyboard.press("Space")
    expect(page.locator("#ask-part-left")).to_be_checked()
    expect(page.locator("#ask-cls")).to_have_value("gear")


def test_a_reading_is_pinned_and_let_go(desk):
    page = desk.page
    press_until(page, STAGE)
    for key in ("ArrowRight", "Shift+ArrowDown", "p", "ArrowRight", "p"):
        page.keyboard.press(key)
    expect(page.locator(".readings tbody tr")).to_have_count(2)
    press_until(page, named("Remove reading 1"))
    page.keyboard.press("Enter")
    expect(page.locator(".readings tbody tr")).to_have_count(1)
    assert page.evaluate("() => document.activeElement.getAttribute('aria-label')") == "Remove reading 1"
    page.keyboard.press("Enter")
    expect(page.locator(".readings")).to_be_hidden()
    assert page.evaluate(f"() => {{ const node = document.activeElement; return {STAGE}; }}")


def test_two_maps_are_gathered_and_compared(page_of, run):
    """The first and the second map by + Compare, then by the slider; Escape leads back."""
    desk = StudioPage(page_of(path=f"/#run={run}"))
    desk.shown("scene-1")
    page = desk.page
    press_until(page, named("+ Compare"))
    page.keyboard.press("Enter")
    press_until(page, "Boolean(node.closest('.map-list'))")
    page.keyboard.press("ArrowRight")
    press_until(page, named("+ Compare"), "Shift+Tab")
    page.keyboard.press("Enter")
    press_until(page, named("Compare 2"))
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Compare 2 maps")
    dialog.get_by_role("button", name="Slider", exact=True).wait_for()
    press_until(page, named("Slider"))
    page.keyboard.press("Enter")
    press_until(page, "node.type === 'range' && /begins$/.test(node.getAttribute('aria-label') ?? '')")
    page.keyboard.press("End")
    expect(dialog.get_by_role("slider", name="begins")).to_have_value("1000")
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert text_of_focus(page) == "Compare 2"


def test_the_history_is_searched_and_a_run_opened(desk, studio):
    other = studio.run_of("scene-3", model="scenes", trust="off")
    page = desk.page
    press_until(page, "node.id === 'history-words'", most=200)
    page.keyboard.type("scene-3")
    rows = page.get_by_role("region", name="History").locator(".runs li")
    expect(rows.filter(has_not_text="scene-3")).to_have_count(0)
    press_until(page, f"node.tagName === 'A' && node.getAttribute('href').includes('{other}')")
    page.keyboard.press("Enter")
    desk.shown("scene-3")
    assert desk.run() == other


def test_a_note_a_tag_a_star_and_a_mark_are_kept(desk, studio, run):
    page = desk.page
    press_until(page, "/Star$/.test(node.textContent)")
    page.keyboard.press("Enter")
    press_until(page, "node.id === 'keep-tag'")
    page.keyboard.type("by keys")
    page.keyboard.press("Enter")
    press_until(page, "node.id === 'keep-note'")
    page.keyboard.type("seen without a mouse")
    page.keyboard.press("Tab")
    press_until(page, named("Draw on the picture…"))
    page.keyboard.press("Enter")
    press_until(page, "node.getAttribute('role') === 'application'", "Shift+Tab")
    for key in ("Enter", *["ArrowRight"] * 9, *["ArrowDown"] * 5, "Enter"):
        page.keyboard.press(key)
    page.get_by_text("The mark is kept.").wait_for()
    page.keyboard.press("Escape")
    with studio.client() as client:
        kept = client.get(f"/api/runs/{run}").json()
    assert (kept["star"], kept["tags"], kept["note"]) == (True, ["by keys"], "seen without a mouse")
    (mark,) = kept["marks"]
    (x0, y0), (x1, y1) = mark["points"]
    assert mark["kind"] == "arrow"
    assert x1 > x0
    assert y1 > y0


def test_a_run_is_cancelled(desk, studio):
    with studio.client() as client:
        pictures = [client.post(f"/api/samples/scene-{i}").json()["id"] for i in range(1, 6)]
        asks = {"pictures": pictures, "options": {"model": "detector", "trust": "full", "seed": 77}}
        slow = client.post("/api/runs", json=asks).json()["id"]
    desk.page.reload()
    desk.page.locator("#work li").first.wait_for()
    press_until(desk.page, "/^Cancel /.test(node.getAttribute('aria-label') ?? '')")
    desk.page.keyboard.press("Enter")
    desk.page.locator("#work li").first.wait_for(state="detached")
    assert desk.page.evaluate("() => document.activeElement.id") == "look"
    with studio.client() as client:
        assert client.get(f"/api/runs/{slow}").json()["status"] == "cancelled"


@pytest.mark.parametrize("opener", ["Camera…", "Layers", *wide(["Compare all 6", "Delete…"])])
def test_a_dialog_is_closed_by_escape_and_the_focus_is_where_it_was(desk, opener):
    page = desk.page
    if opener == "Layers":
        desk.choose("Model", "detector")
        desk.more()
    press_until(page, "node.id === 'ask-layers'" if opener == "Layers" else named(opener))
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    assert page.evaluate("() => Boolean(document.activeElement.closest('dialog'))")
    for _ in range(30):  # the focus stays in the dialog, or goes to the browser's own controls
        page.keyboard.press("Tab")
        assert page.evaluate(
            "() => document.activeElement === document.body || Boolean(document.activeElement.closest('dialog'))"
        )
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    condition = "node.id === 'ask-layers'" if opener == "Layers" else named(opener)
    assert page.evaluate(f"() => {{ const node = document.activeElement; return {condition}; }}")
