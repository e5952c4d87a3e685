"""What is to be explained is pressed in the picture itself: a finding, its class, a side of its box, a word of an answer."""

from __future__ import annotations

import re

import pytest

from rigs.breadth import wide
from rigs.programs import needs
from rigs.shared_page import shared_page
from rigs.studio_page import StudioPage

pytestmark = needs("chromium")

SIDES = [("left", -3), ("bottom", 3)]
"""An upright and a level side, from within and from beyond: they differ by a sign and by which coordinate counts."""
OTHER_SIDES = [(side, by) for side in ("left", "top", "right", "bottom") for by in (-3, 3) if (side, by) not in SIDES]


@pytest.fixture(scope="module")
def run(studio):
    return studio.run_of("scene-1", model="detector", trust="off")


@pytest.fixture(scope="module")
def shared(browser, studio, cookies, described, run):
    """A page for all tests, the last of which press in other runs."""
    with shared_page(browser, studio, cookies, described, path=f"/#run={run}") as page:
        StudioPage(page.watched).shown("scene-1")
        yield page


@pytest.fixture
def lent(shared, run):
    """The page with the detector's run."""
    with shared.lent(run) as desk:
        yield desk


@pytest.fixture(scope="module")
def facts(studio, run):
    with studio.client() as client:
        return client.get(f"/api/runs/{run}/view/0").json()


def asked(desk, studio) -> dict:
    """The options of the run that is asked for next."""
    desk.more()
    desk.choose("Check", "off")
    run = desk.explain()
    desk.page.locator("#work li").first.wait_for(state="detached")  # what comes at its end belongs to this test
    with studio.client() as client:
        return client.get(f"/api/runs/{run}").json()["options"]


def press(desk, facts, x: float, y: float, by: tuple[float, float] = (0, 0)) -> None:
    """Click at a place of the picture, in its pixels, and some pixels of the page beside it."""
    box = desk.stage.bounding_box()
    left, top = box["x"] + x / facts["w"] * box["width"], box["y"] + y / facts["h"] * box["height"]
    desk.page.mouse.click(left + by[0], top + by[1])


def side_of(facts, index: int, side: str) -> tuple[float, float]:
    """The middle of a side of a box, in pixels of the picture."""
    x0, y0, x1, y1 = facts["boxes"][index]
    return {
        "left": (x0, (y0 + y1) / 2),
        "right": (x1, (y0 + y1) / 2),
        "top": ((x0 + x1) / 2, y0),
        "bottom": ((x0 + x1) / 2, y1),
    }[side]


def middle_of(facts, index: int) -> tuple[float, float]:
    """The middle of a box, in pixels of the picture."""
    x0, y0, x1, y1 = facts["boxes"][index]
    return (x0 + x1) / 2, (y0 + y1) / 2


def ticked(desk) -> list[str]:
    """Which parts of a finding the form asks about."""
    boxes = desk.page.locator("#question [data-field=parts] input:checked")
    return [one.get_attribute("id") for one in boxes.all()]


@pytest.mark.parametrize(("side", "beside"), [*SIDES, *wide(OTHER_SIDES)])
def test_a_side_of_a_box_is_pressed_in_the_picture(lent, facts, side, beside):
    """Three pixels within it and three beyond it."""
    press(lent, facts, *middle_of(facts, 2))
    by = (beside, 0) if side in ("left", "right") else (0, beside)
    index = 2  # which no other box touches with a side
    press(lent, facts, *side_of(facts, index, side), by)
    assert ticked(lent) == [f"ask-part-{side}"]
    said = lent.page.locator("#said").inner_text()
    assert said.startswith(f"The {side} side of {facts['labels'][index]} is explained next.")


def test_a_side_that_was_pressed_is_explained(lent, studio, facts):
    press(lent, facts, *middle_of(facts, 2))
    press(lent, facts, *side_of(facts, 2, "top"))
    options = asked(lent, studio)
    assert options["target"] == "top"
    assert [float(one) for one in options["box"].split(",")] == pytest.approx(facts["boxes"][2], abs=0.06)


def test_the_middle_of_a_finding_is_all_of_it_again(lent, facts):
    lent.page.locator("#ask-what").select_option("auto")
    press(lent, facts, *side_of(facts, 2, "left"))
    press(lent, facts, *middle_of(facts, 2))
    assert ticked(lent) == ["ask-part-class"]
    assert lent.page.locator("#ask-what").input_value() == "box"


def test_the_class_of_a_finding_is_pressed_at_its_name_in_the_picture(lent, studio, facts):
    name = lent.stage.locator(".boxes .box span").nth(1)
    place, box = name.bounding_box(), lent.stage.bounding_box()
    assert place["y"] >= box["y"]
    lent.page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    plain = re.sub(r"\s[\d.]+$", "", facts["labels"][1])
    assert lent.page.get_by_label("Class", exact=True).input_value() == plain
    assert asked(lent, studio)["cls"] == plain


def test_with_boxes_hidden_no_side_is_there_to_press(lent, facts):
    press(lent, facts, *middle_of(facts, 1))
    lent.page.locator("#ask-what").select_option("auto")
    boxes = lent.page.get_by_role("checkbox", name="Boxes", exact=True)
    boxes.uncheck()
    press(lent, facts, *side_of(facts, 2, "left"), (3, 0))
    label = facts["labels"][2]
    said = lent.page.locator("#said").inner_text()
    assert said.startswith(f"{label[0].upper()}{label[1:]} is explained next.")
    assert lent.page.locator("#ask-what").input_value() == "box"
    boxes.check()


def pressed_in_the_picture(desk) -> str:
    """Click the first thing that is said in the picture, at its place; what it says."""
    said = desk.stage.locator(".stage-words button").first
    place, box = said.bounding_box(), desk.stage.bounding_box()
    assert box["x"] <= place["x"]
    assert place["x"] + place["width"] <= box["x"] + box["width"]
    assert box["y"] <= place["y"]
    assert place["y"] + place["height"] <= box["y"] + box["height"]
    text = said.inner_text()
    desk.page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    return text


def test_sides_are_reached_by_keys(lent, facts):
    """B goes to the first finding; from there the cursor is moved to a side, and Enter picks it."""
    x0, y0, x1, y1 = facts["boxes"][0]
    lent.stage.focus()
    for key, side, steps in (("ArrowLeft", "left", (x1 - x0) / 2), ("ArrowDown", "bottom", (y1 - y0) / 2)):
        lent.page.keyboard.press("b")
        for _ in range(round(steps) // 10):
            lent.page.keyboard.press(f"Shift+{key}")
        for _ in range(round(steps) % 10):
            lent.page.keyboard.press(key)
        lent.page.keyboard.press("Enter")
        assert lent.page.locator("#said").inner_text().startswith(f"The {side} side of {facts['labels'][0]}")


def test_a_class_of_a_picture_without_boxes_is_pressed_in_the_picture(shared, studio):
    with shared.lent(studio.run_of("scene-2", model="scenes", trust="off")) as desk:
        text = pressed_in_the_picture(desk)
        plain = re.sub(r"\s[\d.]+( %)?$", "", text)
        assert desk.page.get_by_label("Class", exact=True).input_value() == plain
        assert asked(desk, studio)["cls"] == plain


def test_a_word_of_an_answer_is_pressed_in_the_picture(shared, studio):
    run = studio.run_of("shapes-1", model="tiny-vlm", prompt="how many red ?", trust="off")
    with shared.lent(run) as desk:
        desk.watched.picture("answer")
        text = pressed_in_the_picture(desk)
        assert desk.page.locator("#ask-answerPart").input_value() == f"word:{text}"
        options = asked(desk, studio)
        assert (options["target"], options["prompt"]) == (f"word:{text}", "how many red ?")
