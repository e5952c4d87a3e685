"""Looking at a map: everything about how it is drawn is the browser's own work, and says what the server would say."""

from __future__ import annotations

import re

import numpy as np
import pytest

from rigs.programs import needs
from rigs.studio_page import StudioPage

pytestmark = needs("chromium")


@pytest.fixture(scope="module")
def run(studio):
    """A detector's run with several maps."""
    run_id = studio.run_of("scene-1", model="detector", confidence=0.3)
    with studio.client() as client:
        assert len(client.get(f"/api/runs/{run_id}/view/0").json()["maps"]) >= 2
    return run_id


@pytest.fixture
def desk(page_of, run):
    desk = StudioPage(page_of(path=f"/#run={run}"))
    desk.shown("scene-1")
    return desk


def set_slider(desk, name: str, value: float) -> None:
    slider = desk.page.get_by_role("slider", name=name, exact=True)
    slider.evaluate(
        "(node, value) => { node.value = value; node.dispatchEvent(new Event('input', {bubbles: true})); }", value
    )


def test_how_it_is_drawn_is_not_asked_of_the_server(desk):
    asked = len(desk.watched.requests)
    before = desk.look()
    changes = {
        "lines": lambda: desk.page.get_by_role("checkbox", name="Lines of equal value").uncheck(),
        "boxes": lambda: desk.page.get_by_role("checkbox", name="Boxes", exact=True).uncheck(),
        "opacity": lambda: set_slider(desk, "Opacity", 100),
        "threshold": lambda: set_slider(desk, "Threshold", 60),
        "colours": lambda: desk.page.get_by_role("combobox", name=re.compile("olours")).select_option(index=1),
        "style": lambda: desk.page.get_by_label("Style", exact=True).select_option("even"),
        "range": lambda: set_slider(desk, "Value at the high end of the colours", 120),
        "renormalise": lambda: desk.page.get_by_role("checkbox", name="Renormalise in boxes").check(),
    }
    for name, change in changes.items():
        change()
        after = desk.look()
        assert np.abs(after - before).max() > 8, name
        before = after
    assert [one.url for one in desk.watched.requests[asked:] if not one.url.startswith(("blob:", "data:"))] == []


def test_the_value_under_the_pointer_is_that_of_the_file(desk, studio, run):
    with studio.client() as client:
        facts = client.get(f"/api/runs/{run}/view/0").json()
        data = client.get(f"/api/runs/{run}/view/0/values").content
    one = facts["maps"][0]
    values = np.frombuffer(data, "<f2", one["h"] * one["w"], one["offset"]).astype(np.float64) * one["unit"]
    values = values.reshape(one["h"], one["w"])
    row, column = np.unravel_index(values.argmax(), values.shape)
    a, b, c, d, e, f = one["m"]
    x, y = np.linalg.solve(
        [[a, b], [d, e]], np.array([column + 0.5, row + 0.5]) - [c, f]
    )  # the middle of the largest cell
    box = desk.stage.bounding_box()
    desk.page.mouse.move(box["x"] + x / facts["w"] * box["width"], box["y"] + y / facts["h"] * box["height"])
    text = desk.page.locator("#look figure").inner_text()
    numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", text)]
    assert min(abs(number - values.max()) for number in numbers) <= 0.05 * values.max(), text


def test_a_reading_is_pinned_and_the_view_zoomed_by_keys(desk):
    desk.stage.focus()
    for key in ("ArrowRight", "ArrowDown", "p"):
        desk.page.keyboard.press(key)
    desk.page.get_by_role("button", name=re.compile("Remove|Forget|Unpin")).first.wait_for()
    whole = desk.look()
    for _ in range(3):
        desk.page.keyboard.press("+")
    assert np.abs(desk.look() - whole).mean() > 2
    desk.page.keyboard.press("0")


def test_several_maps_of_a_picture(desk):
    buttons = desk.page.get_by_role("list", name="Maps of this picture").get_by_role("button")
    before = desk.look()
    buttons.nth(1).click()
    assert buttons.nth(1).get_attribute("aria-pressed") == "true"
    assert np.abs(desk.look() - before).max() > 8
    assert "map=1" in desk.page.url


def test_full_size_in_a_tab_of_its_own(desk):
    desk.watched.expected += ["Applying inline style"]  # the browser's own page for a picture has the studio's policy
    with desk.page.context.expect_page() as opened:
        desk.page.get_by_role("button", name="Open full size").click()
    tab = opened.value
    tab.wait_for_load_state()
    size = tab.evaluate(
        "() => { const node = document.querySelector('img, canvas'); return node && [node.naturalWidth || node.width, node.naturalHeight || node.height]; }"
    )
    assert size is not None
    assert size[0] >= 640


def test_verdict_with_curves_and_statistics(desk):
    verdict = desk.unfold("Can this map be believed?")
    verdict.get_by_role("img", name=re.compile("Curve of deletion")).wait_for()
    verdict.get_by_role("img", name=re.compile("Curve of insertion")).wait_for()
    figures_of_tests = desk.page.get_by_role("table", name=re.compile("Area below the curve"))
    figures = desk.unfold("Statistics")
    for word in ("Entropy", "Peak", "Sum"):
        figures.get_by_text(word).first.wait_for()
    figures.get_by_role("img", name=re.compile("^Histogram")).first.wait_for()
    figures.get_by_role("table", name=re.compile("Share of the positive values")).wait_for()
    assert figures_of_tests.count() == 1
    desk.watched.picture("statistics", full=True)
