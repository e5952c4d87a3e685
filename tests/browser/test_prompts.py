"""What a model is told to look for, by words and by boxes: pressed to the end."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from rigs.programs import needs
from rigs.studio_page import StudioPage

pytestmark = needs("chromium")

YOLOE = "yoloe-11s-seg.yaml"
"""Untrained: what it finds is chance, but every step from the press to the map is that of a trained one."""


@pytest.fixture
def desk(page_of):
    desk = StudioPage(page_of())
    desk.sample("Scene 1")
    return desk


def run_of(studio, run: str) -> tuple[dict, list[dict]]:
    """The options of a run, and the maps of its picture."""
    with studio.client() as client:
        view = client.get(f"/api/runs/{run}/view/0").json()
        return client.get(f"/api/runs/{run}").json()["options"], view.get("maps", [])


def unchecked(desk) -> None:
    """A run without its check, of small pictures, whose findings need not be sure."""
    desk.more()
    desk.choose("Check", "off")
    desk.page.get_by_label("Input size", exact=True).fill("64")
    desk.page.get_by_label("Confidence", exact=True).fill("0.0001")


def test_the_outline_of_what_is_like_a_drawn_box(desk, studio):
    desk.choose("Model", YOLOE)
    desk.page.locator("#ask-like").click()
    dialog = desk.page.get_by_role("dialog", name="Find things like this")
    dialog.get_by_role("button", name="Add a box").click()
    dialog.get_by_label("Name of what box 1 shows").fill("gear")
    desk.page.keyboard.press("Escape")
    desk.page.locator("#ask-part-mask").check()
    desk.page.locator("#ask-part-class").uncheck()
    unchecked(desk)
    options, maps = run_of(studio, desk.explain("scene-1"))
    assert options["like"].startswith("gear=")
    assert options["target"] == "mask"
    assert maps
    assert all(one["label"].startswith("gear ") and one["label"].endswith(" mask") for one in maps)


def test_words_to_look_for_reach_the_model_and_the_page_says_what_they_need(desk, studio):
    """Words become numbers by a network of their own, which is not installed here and never fetched."""
    desk.choose("Model", YOLOE)
    desk.page.get_by_label("Look for", exact=True).fill("gear, red cup ")
    desk.page.locator("#ask-part-all").check()
    unchecked(desk)
    with desk.page.expect_response(lambda one: one.url.endswith("/api/runs") and one.request.method == "POST") as sent:
        desk.page.locator("#question button.go").click()
    desk.page.get_by_text("needs CLIP's tokenizer").first.wait_for()
    options, _ = run_of(studio, sent.value.json()["id"])
    assert (options["classes"], options["target"]) == ("gear,red cup", "all")


def test_everything_about_each_finding(desk, studio):
    desk.choose("Model", "detector")
    desk.page.locator("#ask-part-all").check()
    assert not desk.page.locator("#ask-part-class").is_checked()
    desk.more()
    desk.choose("Check", "off")
    options, maps = run_of(studio, desk.explain("scene-1"))
    assert options["target"] == "all"
    labels = {one["label"] for one in maps}
    findings = {label for label in labels if not label.endswith(" box")}
    assert labels == findings | {f"{label} box" for label in findings}
    assert len(findings) == 3
