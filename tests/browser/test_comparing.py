"""Maps beside each other: a grid of methods, layers, models and pictures; a slider; the difference; views that are linked."""

from __future__ import annotations

import io
import itertools
import re
from importlib.resources import files

import numpy as np
import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from PIL import Image
from playwright.sync_api import expect

from rigs.programs import needs
from rigs.shared_page import shared_page
from rigs.studio_page import LOOK_MS, RUN_MS, StudioPage

pytestmark = needs("chromium")

METHODS = ["EigenCAM", "ScoreCAM", "Occlusion"]
"""From the quickest to the slowest, which leaves the page time to show the one before it."""
GROW_MS = int(re.search(r"GROW_MS = (\d+)", (files("isotherm.studio") / "page" / "main.js").read_text())[1])
GROWS_AT_ONCE = """(grow_ms) => {
    const later = window.setTimeout;
    window.setTimeout = (work, wait, ...more) => later(work, wait === grow_ms ? 0 : wait, ...more);
}"""
"""Shows each map as soon as the page hears of it: with its pause between two looks, only slow methods come one by one."""


@pytest.fixture(scope="module")
def methods_run(studio):
    """A run of one picture by two methods."""
    return studio.run_of("scene-2", model="detector", compare="hirescam,layercam", trust="off")


@pytest.fixture(scope="module")
def page(browser, studio, cookies, described, methods_run):
    with shared_page(browser, studio, cookies, described, path=f"/#run={methods_run}") as page:
        yield page


@pytest.fixture
def desk(page):
    with page.lent() as desk:
        yield desk


@pytest.fixture
def dialog(desk):
    """The comparison of all maps, which the tests before may have left open."""
    dialog = desk.page.get_by_role("dialog", name=re.compile("^Compare"))
    if not dialog.count():
        desk.page.get_by_role("button", name=re.compile("^Compare all")).click()
    return dialog


def compare(dialog, kind: str) -> None:
    """Choose how the maps are compared."""
    button = dialog.get_by_role("button", name=kind, exact=True)
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    dialog.get_by_role("group", name=re.compile("Picture with map")).first.wait_for()


def test_a_grid_of_methods(desk, dialog):
    compare(dialog, "Grid")
    dialog.get_by_label("Columns by").select_option("method")
    dialog.get_by_label("Rows by").select_option("map")
    names = dialog.get_by_role("columnheader").all_inner_texts()
    assert {"hirescam", "layercam"} <= {name.strip().lower() for name in names}
    desk.watched.picture("grid")


def test_several_layers_are_one_question_and_one_grid(page_of, studio):
    desk = StudioPage(page_of())
    desk.sample("Scene 3")
    desk.choose("Model", "scenes")
    desk.page.locator("#ask-methods").click()
    for name in ("HiResCAM", "GradCAM++"):
        desk.page.locator("#question").get_by_role("checkbox", name=name, exact=True).check()
    desk.more()
    desk.choose("Check", "off")
    desk.choose("Several layers", "none")
    desk.page.get_by_role("button", name="Layers", exact=True).click()
    layers = desk.page.get_by_role("dialog", name="Layers of scenes")
    for name in ("stage2", "stage3"):
        layers.locator(f'[data-name="{name}"]').first.click()
    layers.get_by_role("button", name="Take these").click()
    run = desk.explain("scene-3")
    with studio.client() as client:
        view = client.get(f"/api/runs/{run}/view/0").json()
    assert {(one["method"], one["layer"]) for one in view["maps"]} == {
        (method, layer) for method in ("HiResCAM", "GradCAM++") for layer in ("stage2", "stage3")
    }
    desk.page.get_by_role("button", name="Compare all 4").click()
    dialog = desk.page.get_by_role("dialog", name="Compare 4 maps")
    dialog.get_by_label("Columns by").select_option("layer")
    dialog.get_by_label("Rows by").select_option("method")
    assert dialog.get_by_role("columnheader").all_inner_texts() == ["stage2", "stage3"]
    assert dialog.get_by_role("rowheader").all_inner_texts() == ["HiResCAM", "GradCAM++"]


def test_the_maps_of_several_methods_appear_one_by_one(page_of):
    """Each as it is done: the quick ones while a slow one is still at work; who looks at one goes on with it."""
    desk = StudioPage(page_of())
    desk.sample("Scene 4")
    desk.choose("Model", "scenes")
    desk.page.locator("#ask-methods").click()
    for name in METHODS:
        desk.page.locator("#question").get_by_role("checkbox", name=name, exact=True).check()
    desk.more()
    desk.choose("Check", "off")
    desk.page.evaluate(GROWS_AT_ONCE, GROW_MS)
    desk.page.evaluate(
        """() => {
            window.counts = [];
            new MutationObserver(() => {
                const method = (one) => one?.querySelector("small span").textContent;
                const names = [...document.querySelectorAll(".map-list li")].map(method);
                const shown = method(document.querySelector(".map-list [aria-pressed=true]"));
                const working = document.querySelectorAll("#work li").length, last = window.counts.at(-1);
                if (names.length && last?.names.join() !== names.join()) window.counts.push({names, shown, working});
            }).observe(document.querySelector("#shown"), {childList: true, subtree: true});
        }"""
    )
    desk.page.locator("#question button.go").click()
    desk.page.wait_for_function(
        "(names) => window.counts.at(-1)?.names.join() === names.join()", arg=METHODS, timeout=RUN_MS, polling=LOOK_MS
    )
    counts = [one for one in desk.page.evaluate("() => window.counts") if one["names"][0] == "EigenCAM"]
    assert [len(one["names"]) for one in counts] == [1, 2, 3]
    assert all(one["working"] for one in counts[:-1])  # the run goes on
    for before, after in itertools.pairwise(counts):
        assert before["names"] == after["names"][: len(before["names"])]
    assert {one["shown"] for one in counts} == {"EigenCAM"}
    desk.page.locator("#work li").first.wait_for(state="detached", timeout=RUN_MS)
    assert desk.page.locator(".map-list li small span:first-child").all_inner_texts() == METHODS


def test_two_maps_side_by_side(desk, dialog):
    compare(dialog, "Side by side")
    assert dialog.get_by_role("group", name=re.compile("Picture with map")).count() == 2
    desk.watched.picture("side-by-side")


def test_the_slider_uncovers_one_map_and_a_difference_is_another_picture(desk, dialog):
    """At the left end all is the second map, at the right end the first."""

    def drawn(place) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(place.screenshot())).convert("RGB")).astype(int)

    compare(dialog, "Slider")
    both, slider = dialog.locator(".over-each-other"), dialog.get_by_role("slider", name=re.compile("begins$"))
    expect(slider).to_be_in_viewport()
    desk.watched.picture("slider")
    expect(both).to_be_in_viewport(ratio=0.99)
    ends = []
    for key in ("Home", "End"):
        slider.press(key)
        ends.append(drawn(both))
    slider.fill("500")
    middle = drawn(both)
    w = middle.shape[1] // 2
    assert np.abs(ends[0] - ends[1])[:, 16:-16].max() > 30  # within the ends, where the line between the two stood
    assert (middle[:, : w - 8] == ends[1][:, : w - 8]).mean() > 0.99
    assert (middle[:, w + 8 :] == ends[0][:, w + 8 :]).mean() > 0.99
    compare(dialog, "Difference")
    difference = drawn(dialog.get_by_role("group", name=re.compile("Picture with map")))
    dialog.get_by_text(re.compile("the second is stronger.*the first is stronger")).wait_for()
    desk.watched.picture("difference")
    assert np.abs(difference[: middle.shape[0], :w] - ends[1][: difference.shape[0], :w]).max() > 30


def test_views_are_linked(desk, dialog):
    compare(dialog, "Side by side")
    stages = dialog.get_by_role("group", name=re.compile("Picture with map"))
    before = stages.nth(1).screenshot()
    stages.first.focus()
    for _ in range(3):
        desk.page.keyboard.press("+")
    desk.page.wait_for_function("() => true")
    assert stages.nth(1).screenshot() != before


def test_it_closes_by_the_keyboard_and_the_page_is_as_it_was(desk, dialog):
    desk.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert np.ptp(desk.look()) > 50
