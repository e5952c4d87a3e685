"""The page as a whole: readable at both widths in both themes, usable by the keyboard alone, asking nobody else."""

from __future__ import annotations

import re

import pytest

from rigs.breadth import wide
from rigs.programs import needs
from rigs.studio_page import StudioPage, press_until

pytestmark = needs("chromium")

WIDE, NARROW = (1440, "light"), (375, "dark")
"""Both widths and both themes; a colour does not depend on the width, and no length on the theme. make test looks at the first
screen narrow, and unfolded at both, where there is more to be wrong."""


@pytest.fixture(scope="module")
def run(studio):
    """A detector's run, and the example."""
    studio.example()
    return studio.run_of("scene-1", model="detector")


@pytest.mark.parametrize(("width", "theme"), [NARROW, *wide([WIDE])])
def test_the_first_screen_has_no_violation_of_wcag(page_of, run, width, theme):
    desk = StudioPage(page_of(width, theme))
    desk.shown()
    assert desk.watched.faults() == []
    desk.watched.picture("first", full=True)
    wide = desk.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0  # nothing sticks out to the side


@pytest.mark.parametrize(("width", "theme"), [WIDE, *wide([NARROW])])
def test_no_violation_of_wcag_with_everything_unfolded(page_of, run, width, theme):
    desk = StudioPage(page_of(width, theme, path=f"/#run={run}"))
    desk.shown("scene-1")
    for title in ("Can this map be believed?", "Statistics", "What was chosen, and why", "Command and Python"):
        desk.unfold(title)
    desk.choose("Model", "detector")
    desk.more()
    desk.watched.rest()
    assert desk.watched.faults() == []
    desk.watched.picture("unfolded", full=True)
    wide = desk.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0  # nothing sticks out to the side
    wide = "() => [...document.querySelectorAll('.judged, .details-body')].filter((one) => one.scrollWidth > one.clientWidth).length"
    assert desk.page.evaluate(wide) == 0  # nor within
    desk.page.get_by_role("button", name=re.compile("^Compare all")).click()
    desk.page.get_by_role("dialog").get_by_role("group", name=re.compile("Picture with map")).first.wait_for()
    assert desk.watched.faults() == []
    desk.page.keyboard.press("Escape")


def test_light_and_dark_by_a_button_that_is_remembered(page_of):
    desk = StudioPage(page_of(theme="dark"))
    colour = "() => getComputedStyle(document.body).backgroundColor"
    dark = desk.page.evaluate(colour)
    desk.page.get_by_role("button", name="Use light colours").click()
    light = desk.page.evaluate(colour)
    assert light != dark
    desk.page.reload()
    desk.page.wait_for_selector("html.ready")
    assert desk.page.evaluate(colour) == light


def test_by_the_keyboard_alone(page_of, tmp_path):
    """From an empty tray to an exported file, without a mouse."""
    desk = StudioPage(page_of())
    page = desk.page
    press_until(page, "node.textContent === 'Samples'")
    page.keyboard.press("Enter")
    press_until(page, "node.textContent.trim() === 'Scene 1'")
    page.keyboard.press("Enter")
    page.get_by_text("scene-1.jpg is ready").wait_for()
    press_until(page, "node.id === 'ask-model'")
    page.keyboard.press("s")  # the list's own search: scenes
    page.keyboard.press("Tab")
    press_until(page, "node.classList.contains('go')")
    page.keyboard.press("Enter")
    page.locator("#shown h2", has_text="scene-1").wait_for(timeout=120_000)
    desk.shown("scene-1")
    press_until(
        page, "node.getAttribute('role') === 'group' && /Picture with map/.test(node.getAttribute('aria-label'))"
    )
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "+", "p", "0"):
        page.keyboard.press(key)
    press_until(page, "node.textContent.trim() === 'PNG'")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename.endswith(".png")


def test_the_focus_is_always_to_be_seen(page_of, run):
    desk = StudioPage(page_of(path=f"/#run={run}"))
    desk.shown("scene-1")
    hidden = []
    for _ in range(60):
        desk.page.keyboard.press("Tab")
        seen = desk.page.evaluate(
            """() => {
                const node = document.activeElement, style = getComputedStyle(node), box = node.getBoundingClientRect();
                const marked = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none";
                return node === document.body || (marked && box.width > 0 && box.bottom > 0 && box.top < innerHeight) ? "" : node.outerHTML.slice(0, 120);
            }"""
        )
        hidden += [seen] if seen else []
    assert hidden == []


def test_a_run_goes_on_while_the_page_is_reloaded(page_of):
    desk = StudioPage(page_of())
    desk.sample("Scene 5")
    desk.choose("Model", "detector")
    desk.more()
    desk.page.get_by_label("Seed", exact=True).fill("41")  # which nobody has asked for before
    desk.page.locator("#question button.go").click()
    desk.page.locator("#work li").first.wait_for()
    desk.page.reload()
    desk.page.wait_for_selector("html.ready")
    history = desk.page.get_by_role("region", name="History")
    history.get_by_role("listitem").filter(has_text="scene-5").filter(
        has_text=re.compile("believ|doubt|detector")
    ).first.wait_for()
    desk.page.locator("#work li").first.wait_for(state="detached", timeout=120_000)
    history.get_by_role("link", name=re.compile("scene-5")).first.click()
    desk.shown("scene-5")


def test_nothing_is_asked_of_anybody_else(page_of):
    """Each page of these tests fails where it asks elsewhere; here the browser has no network at all beside the studio."""
    watched = page_of(path=None)
    away: list[str] = []
    watched.context.route(
        re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: (away.append(route.request.url), route.abort())
    )
    watched.open("/")
    StudioPage(watched).shown()
    watched.page.evaluate("() => fetch('http://example.org/').catch(() => null)")
    watched.expected += ["example.org", "ERR_FAILED"]
    assert away in ([], ["http://example.org/"])  # the page's own policy stops it before the network is asked
