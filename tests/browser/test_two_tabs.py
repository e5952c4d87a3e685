"""The same run in two tabs, and what is cut off in the middle: nothing is undone or left half."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from rigs.programs import needs
from rigs.shared_page import shared_page
from rigs.studio_page import StudioPage, png

pytestmark = needs("chromium")


def run_in(studio) -> str:
    return studio.run_of("scene-4", model="scenes", trust="off", seed=404)


@pytest.fixture
def run(studio):
    return run_in(studio)


@pytest.fixture(scope="module")
def shared(browser, studio, cookies, described):
    """Two tabs that show the run, until a test deletes it."""
    run = run_in(studio)
    with shared_page(browser, studio, cookies, described, path=f"/#run={run}") as page:
        other = page.watched.context.new_page()
        other.set_default_timeout(30_000)
        other.goto(page.watched.page.url)
        yield page, other


@pytest.fixture
def tabs(shared):
    page, other = shared
    with page.lent() as first:
        second = StudioPage(page.watched)
        second.page = other
        for desk in (first, second):
            desk.shown("scene-4")
        yield first, second


def keep(desk: StudioPage):
    return desk.page.get_by_role("region", name="Keep")


def tag(desk: StudioPage, name: str) -> None:
    keep(desk).get_by_label("Add a tag").fill(name)
    keep(desk).get_by_role("button", name="Add", exact=True).click()
    keep(desk).get_by_role("button", name=f"Remove the tag {name}").wait_for()


def box(desk: StudioPage, at: int) -> None:
    desk.page.bring_to_front()
    keep(desk).get_by_role("button", name=re.compile("^(Draw on the picture|Drawn: )")).click()
    keep(desk).get_by_role("button", name="Box", exact=True).click()
    stage = desk.stage.bounding_box()
    desk.page.mouse.move(stage["x"] + at, stage["y"] + 60)
    desk.page.mouse.down()
    desk.page.mouse.move(stage["x"] + at + 40, stage["y"] + 120, steps=3)
    desk.page.mouse.up()
    desk.page.locator("#said").get_by_text("The mark is kept.").wait_for()


def test_what_is_said_in_two_tabs_is_all_kept(tabs, studio, run):
    first, second = tabs
    tag(first, "one")
    tag(second, "two")  # which has not heard of the first
    box(first, 60)
    box(second, 160)
    for desk, text in ((first, "Seen here."), (second, "Seen there.")):
        desk.page.bring_to_front()
        keep(desk).get_by_role("textbox", name="Note").fill(text)
        keep(desk).get_by_role("textbox", name="Note").blur()
        keep(desk).get_by_text("kept").first.wait_for()
    expect(keep(second).get_by_role("textbox", name="Note")).to_have_value("Seen here.\nSeen there.")
    with studio.client() as client:
        facts = client.get(f"/api/runs/{run}").json()
    assert (sorted(facts["tags"]), len(facts["marks"])) == (["one", "two"], 2)
    assert facts["note"] == "Seen here.\nSeen there."


@pytest.mark.parametrize("moment", ["while it is written", "while it is sent"])
def test_a_note_is_kept_where_the_page_goes_away_at_once(page_of, studio, run, moment):
    desk = StudioPage(page_of(path=f"/#run={run}"))
    desk.shown("scene-4")
    desk.page.route(f"**/api/runs/{run}", lambda route: route.continue_() if route.request.method == "PATCH" else None)
    keep(desk).get_by_role("textbox", name="Note").fill(moment)
    if moment == "while it is sent":
        with desk.page.expect_request(f"**/api/runs/{run}"):  # which is never answered
            keep(desk).get_by_role("textbox", name="Note").blur()
    desk.page.goto("about:blank")
    with studio.client() as client:
        for _ in range(50):
            if (note := client.get(f"/api/runs/{run}").json()["note"]) == moment:
                break
            desk.page.wait_for_timeout(100)
    assert note == moment


def test_a_run_that_was_deleted_in_another_tab_is_said_to_be_gone(tabs, run):
    first, second = tabs
    keep(second).get_by_role("button", name="Delete…").click()
    second.page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
    second.page.wait_for_function("(run) => !location.hash.includes(run)", arg=run)
    first.watched.expected += ["404"]
    first.page.bring_to_front()
    keep(first).get_by_role("button", name=re.compile("Star")).click()
    first.page.get_by_text(re.compile(f"there is no run {run}")).first.wait_for()
    first.page.reload()  # its address leads nowhere: that is said, and something else is shown
    first = StudioPage(first.watched)
    first.page.get_by_text(re.compile(f"there is no run {run}")).first.wait_for()
    first.stage.wait_for()


def test_a_reload_while_pictures_are_sent_leaves_nothing_half(page_of, studio):
    desk = StudioPage(page_of())
    held = []
    desk.page.route("**/api/pictures?*", lambda route: held.append(route))
    files = [{"name": f"{i}.png", "mimeType": "image/png", "buffer": png(9000 + i)} for i in range(3)]
    desk.page.locator("#pictures input[type=file]").first.set_input_files(files)
    desk.page.get_by_text("Sending").first.wait_for()
    desk.page.reload()
    desk = StudioPage(desk.watched)
    assert desk.tray() == []
    assert not [one.name for one in (studio.dpath / "studio" / "pictures").iterdir() if one.name.startswith(".new")]
    desk.page.unroute("**/api/pictures?*")
    desk.page.locator("#pictures input[type=file]").first.set_input_files(files)
    expect(desk.taken).to_have_count(3)


def test_names_in_every_script_are_shown_and_stay_in_their_place(page_of):
    desk = StudioPage(page_of())
    names = ["صورة من البحر.png", "写真" * 30 + ".png", "a\u202egnp.exe.png", "🦎" * 8 + ".png", "../../x.png"]
    files = [{"name": name, "mimeType": "image/png", "buffer": png(9100 + i)} for i, name in enumerate(names)]
    desk.page.locator("#pictures input[type=file]").first.set_input_files(files)
    expect(desk.taken).to_have_count(5)
    shown = set(desk.tray())
    assert {"صورة من البحر.png", "x.png"} <= shown
    assert not any("\u202e" in name or "/" in name for name in shown)
    for width, height in ((1440, 1000), (375, 812)):
        desk.page.set_viewport_size({"width": width, "height": height})
        assert desk.page.evaluate("innerWidth") == width
        assert desk.page.evaluate("document.documentElement.scrollWidth") <= width
    desk.watched.picture("names")
