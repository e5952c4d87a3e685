"""Asking: every choice that the form has reaches the run, progress is seen, and what waits can be cancelled."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from rigs.programs import needs
from rigs.studio_page import StudioPage

pytestmark = needs("chromium")


@pytest.fixture
def desk(page_of):
    desk = StudioPage(page_of())
    desk.sample("Scene 1")
    return desk


def options_of(studio, run: str) -> dict:
    with studio.client() as client:
        return client.get(f"/api/runs/{run}").json()["options"]


def test_a_model_that_cannot_be_opened_is_not_asked(page_of, studio):
    watched = page_of(path=None)
    with studio.client() as client:
        state = client.get("/api/state").json()
    for one in state["models"]:
        if one["name"] == "detector":
            one["error"] = "the file is damaged"
    watched.page.route("**/api/state", lambda route: route.fulfill(json=state))
    watched.page.goto(studio.url)
    desk = StudioPage(watched)
    desk.sample("Scene 1")
    explain = desk.page.locator("#question button.go")
    assert explain.is_enabled()
    desk.choose("Model", "detector (cannot be opened)")
    assert explain.is_disabled()
    assert (
        desk.page.locator("#question .problem")
        .inner_text()
        .startswith("This model cannot be opened: the file is damaged.")
    )
    desk.choose("Model", "scenes")
    assert explain.is_enabled()


def test_the_devices_of_the_machine_are_offered_and_the_chosen_one_is_sent(page_of, studio):
    """As on a machine with two graphics cards; what the studio does with it is tested beside its facts."""
    watched = page_of(path=None)
    with studio.client() as client:
        state = client.get("/api/state").json()
    devices = ["auto", "cpu", "cuda:0", "cuda:1"]
    watched.page.route("**/api/state", lambda route: route.fulfill(json={**state, "devices": devices}))
    watched.page.goto(studio.url)
    desk = StudioPage(watched)
    desk.sample("Scene 1")
    desk.choose("Model", "detector")
    desk.more()
    assert desk.page.get_by_label("Device", exact=True).locator("option").all_inner_texts() == devices
    desk.choose("Device", "cuda:1")
    watched.page.route("**/api/runs", lambda route: route.fulfill(status=422, json={"error": "not here"}))
    watched.expected.append("422")
    with watched.page.expect_request(lambda one: one.url.endswith("/api/runs") and one.method == "POST") as sent:
        desk.page.locator("#question button.go").click()
    assert sent.value.post_data_json["options"] == {"model": "detector", "device": "cuda:1"}
    desk.page.locator("#failed").get_by_text("not here").wait_for()


def test_a_place_is_asked_of_a_model_that_gives_maps(page_of, studio):
    watched = page_of(path=None)
    with studio.client() as client:
        state = client.get("/api/state").json()
    models = [one | ({"kind": "maps"} if one["name"] == "scenes" else {}) for one in state["models"]]
    watched.page.route("**/api/state", lambda route: route.fulfill(json=state | {"models": models}))
    watched.page.goto(studio.url)
    desk = StudioPage(watched)
    desk.sample("Scene 1")
    desk.choose("Model", "scenes")
    desk.choose("Explain", "point")
    place = desk.page.get_by_label("Place", exact=True)
    place.fill("here")
    desk.page.locator("#question button.go").click()
    assert desk.page.locator("#question .problem").inner_text().startswith("Write the place as x, y")
    place.fill("32, 20.5")
    watched.page.route("**/api/runs", lambda route: route.fulfill(status=422, json={"error": "not here"}))
    watched.expected.append("422")
    with watched.page.expect_request(lambda one: one.url.endswith("/api/runs") and one.method == "POST") as sent:
        desk.page.locator("#question button.go").click()
    assert sent.value.post_data_json["options"] == {"model": "scenes", "point": "32,20.5"}
    desk.page.locator("#failed").get_by_text("not here").wait_for()


def test_the_choices_of_a_detector(desk, studio):
    desk.choose("Model", "detector")
    desk.page.locator("#question").get_by_label("box", exact=True).check()
    desk.page.locator("#ask-methods").click()
    methods = desk.page.locator("#question details", has=desk.page.locator("#ask-methods"))
    methods.get_by_role("checkbox", name="hirescam").check()
    desk.more()
    desk.page.get_by_label("Confidence", exact=True).fill("0.4")
    desk.choose("Device", "cpu")
    desk.choose("Check", "off")
    desk.page.get_by_role("checkbox", name="Show boxes in saved pictures").uncheck()
    desk.page.get_by_role("checkbox", name="Each box by its own strongest value").check()
    run = desk.explain("scene-1")
    options = options_of(studio, run)
    expected = {
        "model": "detector",
        "target": "class,box",
        "method": "hirescam",
        "confidence": 0.4,
        "device": "cpu",
        "trust": "off",
        "show_boxes": False,
        "renormalise": True,
    }
    assert {name: options.get(name) for name in expected} == expected
    desk.watched.picture("asked", full=True)


def test_layers_from_a_tree(desk, studio):
    desk.choose("Model", "detector")
    desk.more()
    desk.choose("Check", "off")
    desk.page.get_by_role("button", name="Layers", exact=True).click()
    dialog = desk.page.get_by_role("dialog", name="Layers of detector")
    automatic = dialog.get_by_role("treeitem", name=re.compile("automatic"))
    automatic.wait_for()
    assert re.search(r"\d+ × \d+ × \d+", automatic.inner_text())
    dialog.get_by_text("Without a choice: backbone.stages.0.2").wait_for()
    desk.watched.picture("layers")
    automatic.focus()
    for key in ("ArrowDown", "Enter"):
        desk.page.keyboard.press(key)
    dialog.get_by_role("button", name="Take these").click()
    assert options_of(studio, desk.explain())["layer"] == "backbone.stages.0.3"


def test_a_finding_by_clicking_it_in_the_picture(desk, studio):
    desk.choose("Model", "detector")
    run = desk.explain("scene-1")
    with studio.client() as client:
        facts = client.get(f"/api/runs/{run}/view/0").json()
    x0, y0, x1, y1 = facts["boxes"][1]
    box = desk.stage.bounding_box()
    desk.page.mouse.click(
        box["x"] + (x0 + x1) / 2 / facts["w"] * box["width"], box["y"] + (y0 + y1) / 2 / facts["h"] * box["height"]
    )
    desk.page.locator("#question").get_by_text(re.compile(r"at \d+, \d+ px")).wait_for()
    desk.more()
    desk.choose("Check", "off")
    asked = [float(number) for number in options_of(studio, desk.explain())["box"].split(",")]
    assert asked == pytest.approx([x0, y0, x1, y1], abs=1)


def test_a_finding_of_another_model_turns_the_form_and_says_so(desk, studio):
    desk.choose("Model", "detector")
    desk.more()
    desk.choose("Check", "off")
    run = desk.explain("scene-1")
    with studio.client() as client:
        facts = client.get(f"/api/runs/{run}/view/0").json()
    x0, y0, x1, y1 = facts["boxes"][0]
    desk.choose("Model", "scenes")
    desk.choose("Explain", "class")
    desk.page.get_by_label("Class", exact=True).fill("gear")
    box = desk.stage.bounding_box()
    desk.page.mouse.click(
        box["x"] + (x0 + x1) / 2 / facts["w"] * box["width"], box["y"] + (y0 + y1) / 2 / facts["h"] * box["height"]
    )
    words = "Changed from scenes to detector, which found it."
    desk.page.locator("#question .turned", has_text=words).wait_for()
    assert words in desk.page.locator("#said").inner_text()
    assert desk.page.get_by_label("Model", exact=True).input_value() == "detector"
    desk.watched.picture("turned")
    desk.page.get_by_role("button", name="Back to scenes").click()
    assert desk.page.get_by_label("Model", exact=True).input_value() == "scenes"
    assert desk.page.get_by_label("Class", exact=True).input_value() == "gear"
    assert desk.page.locator("#question .turned").count() == 0


def test_a_side_of_a_box(desk, studio):
    desk.choose("Model", "detector")
    parts = desk.page.locator("#question")
    parts.get_by_text("A side of its box, or a measure").click()
    parts.get_by_label("left", exact=True).check()
    parts.get_by_label("class", exact=True).uncheck()
    desk.more()
    desk.choose("Check", "off")
    run = desk.explain("scene-1")
    assert options_of(studio, run)["target"] == "left"
    with studio.client() as client:
        labels = [one["label"] for one in client.get(f"/api/runs/{run}/view/0").json()["maps"]]
    assert labels
    assert all("left" in label for label in labels)


def test_a_class_by_pressing_what_was_seen(desk, studio):
    desk.choose("Model", "scenes")
    desk.more()
    desk.choose("Check", "off")
    desk.explain("scene-1")
    seen = desk.page.get_by_role("group", name="Seen in the picture shown").get_by_role("button").first
    name = seen.inner_text()
    seen.click()
    assert name.startswith(desk.page.get_by_label("Class", exact=True).input_value())
    assert name.startswith(options_of(studio, desk.explain("scene-1"))["cls"])


def test_a_class(desk, studio):
    desk.choose("Model", "scenes")
    desk.choose("Explain", "class")
    desk.page.get_by_label("Class", exact=True).fill("gear")
    desk.more()
    desk.choose("Check", "off")
    assert options_of(studio, desk.explain())["cls"] == "gear"


def test_a_question_reaches_the_model_and_its_answer_is_in_the_picture(desk, studio):
    desk.choose("Model", "tiny-vlm")
    desk.page.locator("#ask-prompt").fill("how many red ?")
    desk.more()
    desk.choose("Check", "off")
    run = desk.explain("scene-1")
    assert options_of(studio, run)["prompt"] == "how many red ?"
    with studio.client() as client:
        words = [one["text"] for one in client.get(f"/api/runs/{run}/view/0").json()["words"]]
    assert words
    assert desk.stage.locator(".stage-words").get_by_role("button").all_inner_texts() == words


def test_what_cannot_be_asked_is_said_in_the_pages_words(desk):
    desk.choose("Model", "tiny-vlm")
    desk.page.locator("#question button.go").click()
    problem = desk.page.locator("#question .problem")
    problem.get_by_text(re.compile("question", re.IGNORECASE)).wait_for()


def test_progress_place_and_cancel(desk, studio):
    """A long run is watched, two wait behind it and name their places, which follow what is cancelled; all survive a reload."""
    with studio.client() as client:
        pictures = [client.post(f"/api/samples/scene-{i}").json()["id"] for i in range(1, 6)]
        asked = [
            {"model": "detector", "trust": "full", "seed": 5},
            {"model": "scenes", "seed": 6},
            {"model": "scenes", "seed": 7},
        ]
        runs = [client.post("/api/runs", json={"pictures": pictures, "options": one}).json()["id"] for one in asked]
    work = desk.page.get_by_role("list", name="At work")
    rows = work.get_by_role("listitem")
    for _ in range(2):  # the second time they are found again, at the same places
        desk.page.reload()
        expect(rows.locator(".line")).to_have_text(
            [re.compile("^(Opening the model|Explaining|Checking)"), "Next in the queue", "Place 2 in the queue"]
        )
    desk.watched.picture("queue")
    rows.nth(1).get_by_role("button", name=re.compile("^Cancel")).click()
    expect(rows).to_have_count(2)
    expect(rows.locator(".line").last).to_have_text("Next in the queue")
    rows.nth(1).get_by_role("button", name=re.compile("^Cancel")).click()
    expect(rows).to_have_count(1)
    rows.get_by_role("button", name=re.compile("^Cancel")).click()
    rows.first.wait_for(state="hidden")
    with studio.client() as client:
        states = [client.get(f"/api/runs/{run}").json()["status"] for run in runs]
    assert states == ["cancelled"] * 3
