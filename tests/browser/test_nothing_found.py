"""A picture in which nothing is found is shown bare, with words for it; and what is offered is of the chosen model."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import expect

from rigs.programs import needs
from rigs.shared_page import shared_page
from rigs.studio_page import StudioPage

pytestmark = needs("chromium")

NOTHING = "The detector found nothing here. It knows generated scenes: try the sample Scene 1."


@pytest.fixture(scope="module")
def runs(studio):
    """A run with maps, and one over the same picture that has none."""
    full, empty = (studio.run_of("scene-1", model="detector", confidence=confidence) for confidence in (0.3, 0.9999))
    with studio.client() as client:
        counts = [len(client.get(f"/api/runs/{run}/view/0").json()["maps"]) for run in (full, empty)]
    assert counts[0] >= 2
    assert counts[1] == 0
    return full, empty


@pytest.fixture(scope="module")
def shared(browser, studio, cookies, described, runs):
    with shared_page(browser, studio, cookies, described, path=f"/#run={runs[0]}") as page:
        yield page


@pytest.fixture
def desk(shared, runs):
    with shared.lent(runs[0]) as desk:
        yield desk


def opened(desk, run: str) -> None:
    """Go to the run in which nothing was found."""
    desk.page.evaluate("(run) => { location.hash = `run=${run}`; }", run)
    desk.page.get_by_text(NOTHING, exact=True).wait_for()
    desk.watched.rest()


def test_the_picture_is_bare_after_one_with_a_map(desk, runs):
    desk.stage.focus()
    desk.page.keyboard.press("p")
    desk.page.get_by_role("button", name=re.compile("Remove|Forget|Unpin")).first.wait_for()
    ink = "node => [...node.getContext('2d').getImageData(0, 0, node.width, node.height).data].some((value) => value)"
    lines = desk.page.locator("#shown canvas.over")
    assert lines.evaluate(ink)
    opened(desk, runs[1])
    assert not lines.evaluate(ink)
    for gone in ("Pin a reading", "Picture only", "Take the range back"):
        expect(desk.page.get_by_role("button", name=gone, exact=True)).to_be_hidden()
    for gone in (".map-list", ".readout", ".readings", ".bar", ".range", ".look-controls"):
        expect(desk.page.locator(f"#shown {gone}").first).to_be_hidden()
    expect(desk.page.locator("#shown .boxes .box, #shown .pins .pin")).to_have_count(0)
    desk.watched.picture("nothing")


def test_files_of_a_map_are_offered_where_there_is_one(desk, runs):
    keep = desk.page.get_by_role("region", name="Keep")
    keep.get_by_role("link", name="NPY", exact=True).wait_for()
    opened(desk, runs[1])
    keep.get_by_role("link", name="Everything", exact=True).wait_for()
    expect(keep.get_by_role("link", name="NPY", exact=True)).to_have_count(0)
    part = desk.unfold("Command and Python")
    part.get_by_text("isotherm explain scene-1.jpg --model detector --confidence 0.9999", exact=True).wait_for()


def test_findings_are_offered_to_the_model_that_made_them(desk):
    seen = desk.page.get_by_role("group", name="Seen in the picture shown")
    desk.choose("Model", "detector")
    expect(seen.get_by_role("button").first).to_be_visible()
    desk.choose("Model", "scenes")
    expect(seen).to_have_count(0)
    desk.choose("Model", "detector")
    seen.get_by_role("button").first.click()
    assert desk.page.locator("#ask-model").input_value() == "detector"


def test_a_map_that_was_not_judged_says_so(desk):
    """The fast check looks at the two surest findings; all others have a badge with the reason."""
    items = desk.page.get_by_role("list", name="Maps of this picture").get_by_role("listitem")
    expect(items.nth(2).locator(".verdict")).to_have_text("not judged")
    assert "two surest findings" in items.nth(2).locator(".verdict").get_attribute("title")


def test_a_word_of_an_answer_brings_its_question(page_of, studio):
    run = studio.run_of("scene-1", model="tiny-vlm", prompt="how many red ?", trust="off")
    desk = StudioPage(page_of(path=f"/#run={run}"))
    desk.shown("scene-1")
    desk.choose("Model", "detector")
    words = desk.page.get_by_role("group", name="Words of the answer")
    expect(words).to_have_count(0)
    desk.choose("Model", "tiny-vlm")
    words.get_by_role("button").first.click()
    assert desk.page.locator("#ask-prompt").input_value() == "how many red ?"
