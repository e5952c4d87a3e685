"""Many pictures at once: a batch with a gallery, and two models over the same pictures."""

from __future__ import annotations

import re

import av
import pytest

from rigs.programs import needs
from rigs.shared_page import shared_page
from rigs.studio_page import RUN_MS, StudioPage

pytestmark = needs("chromium")


@pytest.fixture(scope="module")
def shared(browser, studio, cookies, described):
    """A page with three pictures that are all asked about."""
    with shared_page(browser, studio, cookies, described) as page:
        desk = StudioPage(page.watched)
        for i in (1, 2, 4):
            desk.sample(f"Scene {i}")
        desk.page.get_by_role("button", name="Choose all").click()
        yield page


@pytest.fixture
def desk(shared):
    with shared.lent() as desk:
        yield desk


def test_a_batch_with_a_gallery(desk):
    desk.choose("Model", "scenes")
    desk.explain()
    gallery = desk.page.get_by_role("region", name="Gallery")
    tiles = gallery.get_by_role("list", name="Pictures").get_by_role("button")
    tiles.nth(2).wait_for()
    names = tiles.locator(".name").all_text_contents()
    assert sorted(names) == ["scene-1.jpg", "scene-2.jpg", "scene-4.jpg"]
    orders = gallery.get_by_label("Order")
    shown = {value: "" for value in orders.locator("option").evaluate_all("(all) => all.map((one) => one.value)")}
    for value in shown:
        orders.select_option(value)
        shown[value] = " ".join(tiles.locator(".name").all_text_contents())
    assert len(shown) >= 3
    assert len(set(shown.values())) >= 2
    gallery.scroll_into_view_if_needed()
    tiles.nth(2).scroll_into_view_if_needed()
    desk.watched.picture("gallery")
    tiles.nth(1).click()
    desk.page.wait_for_function("() => /picture=[12]/.test(location.hash)")
    label = gallery.get_by_label("Class").locator("option").nth(1).get_attribute("value")
    gallery.get_by_label("Class").select_option(label)
    fitting = tiles.filter(has=desk.page.locator(".what-it-is", has_text=label))
    assert 1 <= fitting.count() == tiles.count() < 3
    gallery.get_by_text(f"{fitting.count()} of 3 pictures", exact=True).wait_for()
    gallery.get_by_label("Class").select_option("")


def test_two_models_over_the_same_pictures(desk):
    desk.choose("Model", "scenes")
    desk.more()
    desk.choose("Check", "off")
    desk.choose("Compare with", "detector")
    desk.page.locator("#question button.go").click()
    desk.page.wait_for_function("() => location.hash.includes('versus=')", timeout=RUN_MS)
    gallery = desk.page.get_by_role("region", name="Gallery")
    gallery.get_by_text(re.compile("scenes beside detector")).wait_for()
    desk.watched.picture("two-models", full=True)
    desk.page.get_by_role("button", name="Compare pictures").click()
    dialog = desk.page.get_by_role("dialog", name=re.compile("^Compare"))
    dialog.get_by_label("Columns by").select_option("model")
    dialog.get_by_label("Rows by").select_option("picture")
    assert len(dialog.get_by_role("columnheader").all_inner_texts()) == 2
    assert sorted(dialog.get_by_role("rowheader").all_inner_texts()) == ["scene-1.jpg", "scene-2.jpg", "scene-4.jpg"]


def test_a_batch_is_taken_along_as_a_video(page_of, studio):
    run = studio.run_of("scene-1", "scene-2", model="detector", trust="off")
    desk = StudioPage(page_of(path=f"/#run={run}"))
    desk.shown("scene-1.jpg and 1 more")
    with desk.page.expect_download() as download:
        desk.page.get_by_role("region", name="Keep").get_by_role("link", name="MP4", exact=True).click()
    assert download.value.suggested_filename.endswith(".mp4")
    with av.open(str(download.value.path())) as film:
        assert len(list(film.decode(video=0))) >= 2


def test_a_batch_fits_a_phone(page_of, studio):
    run = studio.run_of("scene-1", "scene-2", model="detector", trust="off")
    desk = StudioPage(page_of(width=375, theme="dark", path=f"/#run={run}"))
    desk.shown("scene-1.jpg and 1 more")
    desk.page.get_by_role("button", name="Compare pictures").wait_for()
    assert desk.page.evaluate("document.documentElement.scrollWidth") == 375
    thumbs = "[...document.querySelectorAll('#gallery img')].map((one) => one.src.split('/').at(-1))"
    assert desk.page.evaluate(thumbs) == ["thumb", "thumb"]
    desk.watched.picture("batch", full=True)
