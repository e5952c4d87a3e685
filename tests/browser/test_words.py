"""Plain English: each technical word is explained once, where it first appears, for hand, keyboard and ear."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from rigs.explained_words import Words
from rigs.programs import needs
from rigs.shared_page import shared_page
from rigs.studio_page import StudioPage
from rigs.videos import scene_clip

pytestmark = needs("chromium")

PLAIN = set((Path(__file__).parents[1] / "js" / "plain-words.txt").read_text().split())
SETTLED_S = 5.0


@pytest.fixture(scope="module")
def run(studio):
    """A detector's, with two methods."""
    return studio.run_of("scene-1", model="detector", compare="hirescam,eigencam")


@pytest.fixture
def desk(page_of, run):
    desk = StudioPage(page_of(path=f"/#run={run}"))
    desk.shown("scene-1")
    return desk


@pytest.fixture(scope="module")
def shared(browser, studio, cookies, described, run):
    """A page for all tests that close again what they open."""
    with shared_page(browser, studio, cookies, described, path=f"/#run={run}") as page:
        StudioPage(page.watched).shown("scene-1")
        yield page


def settled(words: Words) -> list[str]:
    """What is wrong once the page has come to rest."""
    until = time.monotonic() + SETTLED_S
    while (faults := words.faults()) and time.monotonic() < until:
        words.page.wait_for_timeout(100)
    return faults


def not_plain(words: Words) -> dict[str, str]:
    """Words that are neither explained nor among the plain ones, each with a text that has it."""
    with_names = re.compile("^(scene|shapes|stage|conv|backbone)")
    return {word: text for word, text in words.plain.items() if word not in PLAIN and not with_names.search(word)}


def test_each_word_is_explained_once_where_it_first_appears(desk, tmp_path):
    """Through every view of the page."""
    page, words = desk.page, Words(desk.page)
    faults = {"first": settled(words)}
    assert len(words.shown) > 20

    def look(view: str) -> None:
        faults[view] = settled(words)

    for title in ("Can this map be believed?", "Statistics", "What was chosen, and why", "Command and Python"):
        desk.unfold(title)
    look("unfolded")
    for kind in ("detector", "scenes", "tiny-vlm", "auto", "yoloe-11s-seg.yaml"):
        desk.page.locator("#ask-model").select_option(kind)
        desk.more()
        page.locator("#ask-methods").click()
        look(f"asking {kind}")
    page.locator("#ask-model").select_option("detector")
    page.get_by_text("A side of its box, or a measure").click()
    look("sides")
    page.get_by_role("button", name="Layers", exact=True).click()
    page.get_by_role("dialog", name="Layers of detector").get_by_role("tree").wait_for()
    look("layers")
    assert "Conv2d" in words.shown  # a kind of layer, in the tree
    page.keyboard.press("Escape")
    page.get_by_role("button", name=re.compile("^Compare all")).click()
    compared = page.get_by_role("dialog", name=re.compile("^Compare"))
    compared.get_by_role("group", name=re.compile("Picture with map")).first.wait_for()
    look("grid")
    for kind in ("Side by side", "Slider", "Difference"):
        compared.get_by_role("button", name=kind, exact=True).click()
        look(kind)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Draw on the picture…").click()
    look("marks")
    page.get_by_role("button", name="Samples", exact=True).click()
    look("samples")
    page.get_by_role("button", name="Camera…").click()
    page.get_by_role("dialog").locator("select").first.wait_for()
    look("camera")
    page.locator("#camera-which").select_option(index=1)
    look("the studio's camera")
    page.keyboard.press("Escape")
    page.locator("input[type=file]").first.set_input_files(scene_clip(tmp_path / "clip.mp4"))
    page.get_by_role("dialog").get_by_role("button", name="Capture snapshot").wait_for()
    look("video")
    page.keyboard.press("Escape")
    page.locator("#history-verdict").focus()
    look("history")
    assert {view: wrong for view, wrong in faults.items() if wrong} == {}
    assert len(words.shown) >= 60
    assert not_plain(words) == {}


OTHERS = {
    "several pictures": (("scene-1", "scene-2", "scene-3"), {"model": "scenes"}),
    "a photograph": (("coffee",), {"model": "imagenet"}),
    "a question": (("shapes-1",), {"model": "tiny-vlm", "prompt": "how many red ?"}),
}


@pytest.mark.parametrize("kind", [*OTHERS, "the example"])
def test_each_word_of_another_run_is_explained_once(shared, studio, run, kind):
    """What was chosen for it, and why, has other words than those of a detector."""
    pictures, asks = OTHERS.get(kind, ((), {}))
    other = studio.run_of(*pictures, **asks, trust="off") if pictures else studio.example()
    with shared.lent(other) as desk:
        desk.unfold("What was chosen, and why")
        assert settled(words := Words(desk.page)) == []
        assert len(words.shown) > 20
        assert not_plain(words) == {}
    with shared.lent(run):  # which the tests below find
        pass


def test_every_method_and_every_verdict_has_an_explanation(lent, studio):
    with studio.client() as client:
        state = client.get("/api/state").json()
    words = Words(lent.page)
    titles = [one["title"] for one in state["methods"]]
    assert len(titles) >= 25
    assert [title for title in titles if len(words.words_in(title)) != 1] == []
    assert [name for name in state["devices"] if name != "auto" and not words.words_in(name)] == []


@pytest.mark.parametrize("kind", ["word in the text", "label"])
def test_an_explanation_is_opened_and_closed_by_the_keyboard(lent, kind):
    settled(words := Words(lent.page))
    button = lent.page.locator("button.term-word" if kind == "word in the text" else "#question button.what").first
    meaning = button.get_attribute("title").split("\n")[0]
    button.focus()
    lent.page.keyboard.press("Enter")
    note = lent.page.locator(".term:popover-open")
    assert meaning in note.inner_text()
    box, width = note.bounding_box(), lent.page.viewport_size["width"]
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert settled(words) == []  # what an explanation says is explained as well
    assert lent.watched.faults() == []
    lent.page.keyboard.press("Escape")
    note.wait_for(state="detached")
    assert button.evaluate("(node) => node === document.activeElement")


def test_escape_closes_the_explanation_in_a_dialog_and_not_the_dialog(lent):
    lent.choose("Model", "detector")
    lent.more()
    lent.page.get_by_role("button", name="Layers", exact=True).click()
    dialog = lent.page.get_by_role("dialog", name=re.compile("Layers of"))
    button = dialog.locator("button.term-word, button.what").first
    button.focus()
    lent.page.keyboard.press("Enter")
    lent.page.locator("dialog .term:popover-open").wait_for()
    lent.page.keyboard.press("Escape")
    lent.page.locator(".term:popover-open").wait_for(state="detached")
    assert dialog.is_visible()
    lent.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")


def test_an_explanation_is_opened_by_a_finger_on_a_phone(page_of, run):
    desk = StudioPage(page_of(375, "dark", path=f"/#run={run}", has_touch=True))
    desk.shown("scene-1")
    assert settled(Words(desk.page)) == []
    button = desk.page.locator("#question button.what").first
    button.tap()
    note = desk.page.locator(".term:popover-open")
    box = note.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 375
    desk.watched.picture("word-label")
    desk.page.locator("#question h2").tap()
    note.wait_for(state="detached")
