"""Keeping: notes, marks, tags and stars, a history that can be searched, and files of everything."""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from PIL import Image
from playwright.sync_api import expect

from rigs.programs import needs
from rigs.shared_page import shared_page
from rigs.studio_page import RUN_MS, StudioPage

pytestmark = needs("chromium")


@pytest.fixture(scope="module")
def run(studio):
    return studio.run_of("scene-3", model="scenes", trust="off")


@pytest.fixture
def desk(page_of, run):
    desk = StudioPage(page_of(path=f"/#run={run}"))
    desk.shown("scene-3")
    return desk


@pytest.fixture(scope="module")
def shared(browser, studio, cookies, described, run):
    """A page for all tests that leave it at this run."""
    with shared_page(browser, studio, cookies, described, path=f"/#run={run}") as page:
        StudioPage(page.watched).shown("scene-3")
        yield page


def test_remarks_are_there_after_a_reload(lent, studio, run):
    keep = lent.page.get_by_role("region", name="Keep")
    keep.get_by_role("button", name=re.compile("Star")).click()
    keep.get_by_label("Add a tag").fill("for the paper")
    keep.get_by_role("button", name="Add", exact=True).click()
    keep.get_by_role("textbox", name="Note").fill("Look at the corner.")
    keep.get_by_role("textbox", name="Note").blur()
    keep.get_by_text("for the paper").first.wait_for()
    lent.watched.rest()
    lent.page.reload()
    lent.shown("scene-3")
    assert keep.get_by_role("textbox", name="Note").input_value() == "Look at the corner."
    keep.get_by_text("for the paper").first.wait_for()
    with studio.client() as client:
        facts = client.get(f"/api/runs/{run}").json()
    assert (facts["star"], facts["tags"], facts["note"]) == (True, ["for the paper"], "Look at the corner.")


def test_what_is_on_its_way_while_the_run_ends_is_shown_as_kept(page_of, studio):
    before = studio.run_of("scene-2", model="scenes", trust="off")
    with studio.client() as client:
        client.patch(f"/api/runs/{before}", json={"tags": ["of the one before"]}).raise_for_status()
    desk = StudioPage(page_of(path=f"/#run={before}"))
    keep = desk.page.get_by_role("region", name="Keep")
    expect(keep.get_by_text("of the one before")).to_have_count(1)
    held = []

    def hold_the_first(route):
        if route.request.method == "PATCH" and not held:
            held.append(route)
        else:
            route.continue_()

    desk.page.route("**/api/runs/*", hold_the_first)
    desk.sample("Scene 5")
    desk.choose("Model", "scenes")
    desk.more()
    desk.choose("Check", "full")
    desk.page.locator("#question button.go").click()
    # what is written now is about the new run
    expect(keep.get_by_text("of the one before")).to_have_count(0, timeout=RUN_MS)
    with desk.page.expect_request(lambda request: request.method == "PATCH"):
        keep.get_by_role("textbox", name="Note").fill("Odd.")
        keep.get_by_role("textbox", name="Note").blur()
    desk.page.locator("#work li").first.wait_for(state="detached")
    desk.page.locator(".map-list li").first.wait_for(state="attached")
    keep.get_by_role("button", name=re.compile("Star")).click()  # waits for the note
    held[0].continue_()
    expect(keep.get_by_text("kept", exact=True)).to_be_visible()
    expect(keep.get_by_role("button", name=re.compile("Star"))).to_have_attribute("aria-pressed", "true")


def test_marks_of_every_kind(lent, studio, run):
    lent.page.get_by_role("button", name="Draw on the picture…").click()
    lent.page.get_by_role("button", name="Arrow", exact=True).wait_for()
    box = lent.stage.bounding_box()
    for i, kind in enumerate(("Arrow", "Box", "Free hand")):
        if i:  # the arrow is taken at first
            lent.page.get_by_role("button", name=kind, exact=True).click()
        x, y = box["x"] + 30 + 60 * i, box["y"] + 40
        lent.page.mouse.move(x, y)
        lent.page.mouse.down()
        lent.page.mouse.move(x + 20, y + 30, steps=3)
        lent.page.mouse.move(x + 40, y + 45, steps=3)
        lent.page.mouse.up()
    lent.page.get_by_role("button", name="Text", exact=True).click()
    lent.page.get_by_label("Text to place").fill("here")
    with lent.page.expect_response(lambda one: "here" in (one.request.post_data or "")):
        lent.page.mouse.click(box["x"] + 60, box["y"] + 140)
    expect(lent.page.locator(".pad text.words", has_text="here")).to_be_visible()
    lent.watched.rest()
    with studio.client() as client:
        marks = client.get(f"/api/runs/{run}").json()["marks"]
    assert len(marks) == 4
    assert "here" in str(marks)


def test_marks_on_a_phone_are_drawn_with_tools_and_picture_in_sight(page_of, run):
    desk = StudioPage(page_of(width=375, theme="dark", path=f"/#run={run}"))
    desk.shown("scene-3")
    desk.page.get_by_role("button", name=re.compile("^(Draw on the picture|Drawn: )")).click()
    box = desk.page.get_by_role("button", name="Box", exact=True)
    expect(box).to_be_in_viewport()
    expect(desk.stage).to_be_in_viewport(ratio=0.9)
    assert box.bounding_box()["y"] > desk.stage.bounding_box()["y"] + desk.stage.bounding_box()["height"]
    assert desk.watched.faults() == []
    desk.watched.picture("marks")
    desk.page.get_by_role("button", name="Done", exact=True).click()
    expect(box).not_to_be_in_viewport()


@pytest.fixture(scope="module")
def cancelled(studio):
    """A run that was cancelled when it had some of its maps."""
    with studio.client() as client:
        pictures = [client.post(f"/api/samples/scene-{i}").json()["id"] for i in range(1, 6)]
        options = {"model": "scenes", "cls": "gear", "trust": "full", "seed": 7}
        run = client.post("/api/runs", json={"pictures": pictures, "options": options}).json()["id"]
        with client.stream("GET", f"/api/runs/{run}/events") as events:
            for line in events.iter_lines():
                if line == "event: item":
                    client.post(f"/api/runs/{run}/cancel")
        facts = client.get(f"/api/runs/{run}").json()
    assert facts["status"] == "cancelled"
    assert facts["maps"]
    return run


def test_the_history_is_searched(lent, run, cancelled):
    history = lent.page.get_by_role("region", name="History")
    items = history.get_by_role("listitem")
    history.get_by_role("searchbox").fill("corner")
    expect(items).to_have_count(1)
    expect(items).to_contain_text("scene-3")
    history.get_by_role("searchbox").fill("nothing has this word")
    history.get_by_role("searchbox").press("Enter")
    expect(items).to_have_count(0)
    history.get_by_role("searchbox").fill("")
    history.get_by_label("Any tag").select_option("for the paper")
    expect(items).to_have_count(1)
    expect(items).to_contain_text("scene-3")
    history.get_by_label("Any tag").select_option("")
    for label, value, place in (
        ("Any model", "scenes", "small"),
        ("Any class", "gear", ".labels"),
        ("Any verdict", "believable", ".verdict"),
    ):
        history.get_by_label(label).select_option(value)
        fitting = lent.page.locator(place, has_text=re.compile(rf"\b{value}\b"))
        expect(items.filter(has_not=fitting)).to_have_count(0)
        expect(items.filter(has=fitting)).not_to_have_count(0)
        if place == ".labels":
            # the next picture may have had its map by then, whose check was cancelled
            ended = re.compile(r"^gear · (cancelled|scene-\d\.jpg: not checked \(cancelled\))\s*$")
            expect(history.locator(f"[data-run='{cancelled}'] .labels")).to_have_text(ended)
        history.get_by_label(label).select_option("")
    history.get_by_label("Any time").select_option("range")
    history.get_by_label("until", exact=True).fill("2001-01-01")
    expect(items).to_have_count(0)
    history.get_by_label("Any time").select_option("1")
    expect(items).not_to_have_count(0)
    history.get_by_label("Any time").select_option("")
    history.get_by_label("★ only").check()
    expect(items.filter(has_not=lent.page.get_by_text("★"))).to_have_count(0)
    expect(history.locator(f"[data-run='{run}']")).to_be_visible()
    expect(history.locator(f"[data-run='{cancelled}']")).to_have_count(0)
    lent.watched.picture("history")
    history.get_by_label("★ only").uncheck()


def test_what_follows_a_search_is_not_taken_into_the_next_one(desk, cancelled):
    held = []

    def answer(route):
        if "after=" in route.request.url or "label=" in route.request.url:
            held.append(route)
        else:
            route.fulfill(json={**route.fetch().json(), "next": f"9:{'0' * 32}"})

    history = desk.page.get_by_role("region", name="History")
    more = history.get_by_role("button", name="Show more")
    desk.page.route("**/api/runs?*", answer)
    history.get_by_role("searchbox").focus()
    history.get_by_label("Any model").select_option("scenes")
    expect(more).to_be_visible()
    with desk.page.expect_request("**/api/runs?*label=gear*"):
        history.get_by_label("Any class").select_option("gear")
    expect(more).to_be_hidden()  # while the new search is not answered
    held.pop().continue_()
    expect(history.get_by_role("listitem").filter(has_not=desk.page.locator(".labels", has_text="gear"))).to_have_count(
        0
    )


FILES = {
    "PNG": "png",
    "PNG, map alone": "png",
    "PNG, 16 bit": "png",
    "NPY": "npy",
    "NPZ": "npz",
    "PDF report": "pdf",
    "CSV": "csv",
    "Everything": "zip",
}


def test_a_link_says_that_its_file_is_being_made(lent):
    held = []
    lent.page.route("**/export?form=csv*", lambda route: held.append(route))
    link = lent.page.get_by_role("region", name="Keep").locator("a[href*='form=csv']")
    link.click()
    lent.page.wait_for_selector("a[aria-busy='true']:text-is('Making the file…')")
    link.click()  # as impatient people do
    with lent.page.expect_download() as download:
        held[0].continue_()
    assert download.value.suggested_filename.endswith(".csv")
    lent.page.wait_for_selector("a:not([aria-busy]):text-is('CSV')")
    assert len(held) == 1
    lent.page.unroute("**/export?form=csv*")


@pytest.mark.parametrize("name", FILES)
def test_files(lent, name):
    with lent.page.expect_download(timeout=RUN_MS) as download:
        lent.page.get_by_role("region", name="Keep").get_by_role("link", name=name, exact=True).click()
    fpath = download.value.path()
    data, suffix = fpath.read_bytes(), download.value.suggested_filename.rpartition(".")[2]
    assert suffix == FILES[name]
    if suffix == "png":
        assert Image.open(io.BytesIO(data)).mode == ("I;16" if "16" in name else "RGB")
    elif suffix == "npy":
        assert np.isfinite(np.load(fpath, allow_pickle=False)).all()
    elif suffix == "npz":
        assert len(np.load(fpath, allow_pickle=False).files) >= 1
    elif suffix == "pdf":
        assert data.startswith(b"%PDF")
    elif suffix == "csv":
        assert len(data.decode("utf-8-sig").strip().splitlines()) >= 2
    else:
        assert any(one.endswith("run.json") for one in zipfile.ZipFile(io.BytesIO(data)).namelist())


def test_the_command_and_the_python_that_make_it_again(lent):
    part = lent.unfold("Command and Python")
    part.get_by_text("isotherm explain scene-3.jpg --model scenes --trust off", exact=True).wait_for()
    program = part.locator("code", has_text="ExplainJob(")
    program.wait_for()
    text = program.evaluate("node => node.textContent")
    height = program.evaluate("node => node.clientHeight / parseFloat(getComputedStyle(node).lineHeight)")
    assert height < text.count("\n") + 2.5, "its lines are broken"
