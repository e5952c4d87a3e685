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


def test_what_the_studio_tells_of_models_and_devices_is_what_can_be_asked(page_of, studio):
    """A machine with two graphics cards, a model whose file is damaged, and one that gives maps; what the studio does
    with such a choice is tested beside its facts.
    """
    watched = page_of(path=None)
    with studio.client() as client:
        state = client.get("/api/state").json()
    devices = ["auto", "cpu", "cuda:0", "cuda:1"]
    changes = {"detector": {"error": "the file is damaged"}, "scenes": {"kind": "maps"}}
    models = [one | changes.get(one["name"], {}) for one in state["models"]]
    watched.page.route("**/api/state", lambda route: route.fulfill(json=state | {"models": models, "devices": devices}))
    watched.page.goto(studio.url)
    desk = StudioPage(watched)
    desk.sample("Scene 1")
    explain, problem = desk.page.locator("#question button.go"), desk.page.locator("#question .problem")

    assert explain.is_enabled()
    desk.choose("Model", "detector (cannot be opened)")
    assert explain.is_disabled()
    assert problem.inner_text().startswith("This model cannot be opened: the file is damaged.")
    desk.choose("Model", "scenes")
    assert explain.is_enabled()

    desk.more()
    assert desk.page.get_by_label("Device", exact=True).locator("option").all_inner_texts() == devices
    desk.choose("Device", "cuda:1")
    desk.choose("Explain", "point")
    place = desk.page.get_by_label("Place", exact=True)
    place.fill("here")
    explain.click()
    assert problem.inner_text().startswith("Write the place as x, y")
    place.fill("32, 20.5")
    watched.page.route("**/api/runs", lambda route: route.fulfill(status=422, json={"error": "not here"}))
    watched.expected.append("422")
    with watched.page.expect_request(lambda one: one.url.endswith("/api/runs") and one.method == "POST") as sent:
        explain.click()
    assert sent.value.post_data_json["options"] == {"model": "scenes", "point": "32,20.5", "device": "cuda:1"}
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


def test_a_side_of_a_box_and_layers_from_a_tree(desk, studio):
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
    parts = desk.page.locator("#question")
    parts.get_by_text("A side of its box, or a measure").click()
    parts.get_by_label("left", exact=True).check()
    parts.get_by_label("class", exact=True).uncheck()
    run = desk.explain()
    options = options_of(studio, run)
    assert (options["target"], options["layer"]) == ("left", "backbone.stages.0.3")
    with studio.client() as client:
        labels = [one["label"] for one in client.get(f"/api/runs/{run}/view/0").json()["maps"]]
    assert labels
    assert all("left" in label for label in labels)


def test_a_finding_by_clicking_it_in_the_picture_which_turns_a_form_for_another_model_and_says_so(desk, studio):
    desk.choose("Model", "detector")
    desk.more()
    desk.choose("Check", "off")
    run = desk.explain("scene-1")
    desk.page.locator("#said").get_by_text("Finished").wait_for()  # or it is told after what the click does
    with studio.client() as client:
        facts = client.get(f"/api/runs/{run}/view/0").json()

    def click(x0: float, y0: float, x1: float, y1: float) -> None:
        at = desk.stage.bounding_box()
        x, y = (x0 + x1) / 2 / facts["w"], (y0 + y1) / 2 / facts["h"]
        desk.page.mouse.click(at["x"] + x * at["width"], at["y"] + y * at["height"])

    model, name = desk.page.get_by_label("Model", exact=True), desk.page.get_by_label("Class", exact=True)
    desk.choose("Model", "scenes")
    desk.choose("Explain", "class")
    name.fill("gear")
    click(*facts["boxes"][0])
    words = "Changed from scenes to detector, which found it."
    desk.page.locator("#question .turned", has_text=words).wait_for()
    assert words in desk.page.locator("#said").inner_text()
    assert model.input_value() == "detector"
    desk.watched.picture("turned")
    desk.page.get_by_role("button", name="Back to scenes").click()
    assert (model.input_value(), name.input_value()) == ("scenes", "gear")
    assert desk.page.locator("#question .turned").count() == 0

    desk.choose("Model", "detector")
    click(*facts["boxes"][1])
    desk.page.locator("#question").get_by_text(re.compile(r"at \d+, \d+ px")).wait_for()
    asked = [float(number) for number in options_of(studio, desk.explain())["box"].split(",")]
    assert asked == pytest.approx(facts["boxes"][1], abs=1)


def test_a_class_by_pressing_what_was_seen_and_by_its_name(desk, studio):
    desk.choose("Model", "scenes")
    desk.more()
    desk.choose("Check", "off")
    desk.explain("scene-1")
    seen = desk.page.get_by_role("group", name="Seen in the picture shown").get_by_role("button").first
    name = seen.inner_text()
    seen.click()
    field = desk.page.get_by_label("Class", exact=True)
    assert name.startswith(field.input_value())
    assert name.startswith(options_of(studio, desk.explain("scene-1"))["cls"])
    assert desk.page.get_by_label("Explain", exact=True).input_value() == "class"
    other = "gear"
    assert not name.startswith(other)
    field.fill(other)
    assert options_of(studio, desk.explain())["cls"] == other


def test_a_model_of_words_needs_a_question_and_a_word_of_its_answer_is_explained_by_pressing_it(desk, studio):
    desk.choose("Model", "tiny-vlm")
    desk.page.locator("#question button.go").click()
    problem = desk.page.locator("#question .problem")
    problem.get_by_text(re.compile("question", re.IGNORECASE)).wait_for()
    desk.page.locator("#ask-prompt").fill("how many red ?")
    desk.more()
    desk.choose("Check", "off")
    run = desk.explain("scene-1")
    assert options_of(studio, run)["prompt"] == "how many red ?"
    with studio.client() as client:
        words = [one["text"] for one in client.get(f"/api/runs/{run}/view/0").json()["words"]]
    assert words
    assert desk.stage.locator(".stage-words").get_by_role("button").all_inner_texts() == words
    word = desk.page.get_by_role("group", name="Words of the answer").get_by_role("button").first
    text = word.inner_text()
    word.click()
    expect(desk.page.locator("#ask-answerPart")).to_have_value(f"word:{text}")
    run = desk.explain("scene-1")
    assert options_of(studio, run)["target"] == f"word:{text}"
    with studio.client() as client:
        maps = client.get(f"/api/runs/{run}/view/0").json()["maps"]
    assert [text in one["label"] for one in maps] == [True]


def test_progress_place_and_cancel(page_of, studio):
    """A long run is watched, two wait behind it and name their places, which follow what is cancelled; all survive a reload."""
    with studio.client() as client:
        pictures = [client.post(f"/api/samples/scene-{i}").json()["id"] for i in range(1, 6)]
        asked = [
            {"model": "detector", "trust": "full", "seed": 5},
            {"model": "scenes", "seed": 6},
            {"model": "scenes", "seed": 7},
        ]
        runs = [client.post("/api/runs", json={"pictures": pictures, "options": one}).json()["id"] for one in asked]
    watched = page_of(path=None)
    rows = watched.page.get_by_role("list", name="At work").get_by_role("listitem")
    for load in (lambda: watched.open("/"), watched.page.reload):  # after a reload they are at the same places
        load()
        StudioPage(watched)  # which waits until it is ready
        expect(rows.locator(".line")).to_have_text(
            [re.compile("^(Opening the model|Explaining|Checking)"), "Next in the queue", "Place 2 in the queue"]
        )
    watched.picture("queue")
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
