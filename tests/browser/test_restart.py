"""A studio that is ended and started again in its folder, as somebody sees it who opens it the next day."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from playwright.sync_api import expect

from rigs.browser import Watched
from rigs.programs import needs
from rigs.studio_forks import know_facts
from rigs.studio_page import RUN_MS, StudioPage
from rigs.studio_server import StudioProcess, running

pytestmark = needs("chromium")


@contextmanager
def opened(browser: Any, studio: StudioProcess) -> Iterator[StudioPage]:
    """A page by the address that the studio printed, in a browser that knows nothing yet."""
    watched = Watched(browser)
    try:
        watched.open(studio.address())
        yield StudioPage(watched)
    finally:
        watched.close()


def draw(desk: StudioPage) -> None:
    """A box and a word over the picture."""
    page = desk.page
    page.get_by_role("button", name="Draw on the picture…").click()
    page.get_by_role("button", name="Box", exact=True).click()
    at = desk.stage.bounding_box()
    page.mouse.move(at["x"] + 60, at["y"] + 60)
    page.mouse.down()
    page.mouse.move(at["x"] + 160, at["y"] + 140, steps=3)
    page.mouse.up()
    page.get_by_role("button", name="Text", exact=True).click()
    page.get_by_label("Text to place").fill("odd")
    page.mouse.click(at["x"] + 60, at["y"] + 200)
    expect(page.locator(".pad text.words", has_text="odd")).to_be_visible()
    page.get_by_role("button", name="Done", exact=True).click()


def drawn(desk: StudioPage) -> list[str]:
    """The marks that lie over the picture, as they are drawn."""
    marks = desk.page.locator(".pad > *")
    marks.first.wait_for(state="attached")
    return sorted(mark.evaluate("(mark) => mark.outerHTML") for mark in marks.all())


def test_a_run_and_everything_kept_of_it_are_there_after_a_restart(browser, tmp_path, forks):
    know_facts(tmp_path)
    with running(tmp_path, ["--no-example"], forks=forks) as studio, opened(browser, studio) as desk:
        desk.sample("Scene 3")
        desk.choose("Model", "scenes")
        run = desk.explain("scene-3")
        keep = desk.page.get_by_role("region", name="Keep")
        keep.get_by_role("button", name=re.compile("Star")).click()
        keep.get_by_label("Add a tag").fill("for the paper")
        keep.get_by_role("button", name="Add", exact=True).click()
        keep.get_by_role("textbox", name="Note").fill("Look at the corner.")
        keep.get_by_role("textbox", name="Note").blur()
        keep.get_by_text("for the paper").first.wait_for()
        draw(desk)  # also where the verdict comes meanwhile
        desk.watched.rest()
        desk.page.locator("#work li").wait_for(state="detached", timeout=RUN_MS)
        verdict = desk.page.locator(".judged summary").inner_text()
        assert "being checked" not in verdict
        before, marks = desk.look(), drawn(desk)
    with running(tmp_path, ["--no-example"], forks=forks) as studio, opened(browser, studio) as desk:
        history = desk.page.get_by_role("region", name="History")
        entry = history.get_by_role("listitem").filter(has_text="scene-3")
        expect(entry).to_have_count(1)
        entry.get_by_role("link").first.click()
        desk.shown("scene-3")
        assert desk.run() == run
        keep = desk.page.get_by_role("region", name="Keep")
        expect(keep.get_by_role("textbox", name="Note")).to_have_value("Look at the corner.")
        expect(keep.get_by_role("button", name=re.compile("Star"))).to_have_attribute("aria-pressed", "true")
        keep.get_by_text("for the paper").first.wait_for()
        assert desk.page.locator(".judged summary").inner_text() == verdict
        assert drawn(desk) == marks
        assert np.abs(desk.look() - before).max() <= 2
        # and it is found by what was kept
        history.get_by_role("searchbox").fill("corner")
        expect(entry).to_have_count(1)
