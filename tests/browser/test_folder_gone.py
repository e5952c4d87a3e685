"""The studio's folder is moved away while its page is open, and put back: the page says so, and goes on."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import expect

from isotherm.studio.unkept import LOST
from rigs.browser import Watched
from rigs.programs import needs
from rigs.studio_forks import know_facts
from rigs.studio_page import StudioPage, png
from rigs.studio_server import running

pytestmark = needs("chromium")


def test_the_page_says_that_nothing_is_kept_and_goes_on_when_the_folder_is_back(browser, tmp_path, forks):
    know_facts(tmp_path)
    with running(tmp_path, ["--no-example"], forks=forks) as studio:
        watched = Watched(browser)
        watched.expected.append("507")
        watched.open(studio.address())
        desk = StudioPage(watched)
        desk.sample("Scene 3")
        desk.choose("Model", "scenes")
        desk.more()
        desk.choose("Check", "off")
        run = desk.explain("scene-3")
        desk.page.locator("#work li").wait_for(state="detached")
        keep = desk.page.get_by_role("region", name="Keep")
        note = keep.get_by_role("textbox", name="Note")
        note.fill("Look at the corner.")
        note.blur()
        expect(keep.get_by_role("status").first).to_have_text("kept")

        (tmp_path / "studio").rename(tmp_path / "elsewhere")
        note.fill("Written while it was away.")
        note.blur()
        told = desk.page.locator("#failed")
        expect(told.get_by_text(LOST, exact=True)).to_be_visible()
        desk.watched.picture("folder-gone")
        desk.page.locator("input[type=file]").first.set_input_files(
            {"name": "noise.png", "mimeType": "image/png", "buffer": png(5)}
        )
        expect(told.get_by_text(f"noise.png: {LOST}", exact=True)).to_be_visible()
        told.get_by_role("button", name="Close this message").first.click()
        desk.page.get_by_label("Seed", exact=True).fill("2")
        desk.page.locator("#question button.go").click()
        expect(told.get_by_text(LOST, exact=True)).to_be_visible()

        (tmp_path / "elsewhere").rename(tmp_path / "studio")
        expect(note).to_have_value("Written while it was away.")  # it is not lost either
        note.fill("Written while it was away, kept now.")
        note.blur()
        desk.page.wait_for_load_state("networkidle")
        desk.explain("scene-3")
        watched.close()
        with studio.client() as client:
            assert client.get(f"/api/runs/{run}").json()["note"] == "Written while it was away, kept now."
