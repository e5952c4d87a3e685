"""Looking at a map: everything about how it is drawn is the browser's own work, and says what the server would say."""

from __future__ import annotations

import re

import numpy as np
import pytest

from rigs.programs import needs
from rigs.shared_page import shared_page
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


@pytest.fixture(scope="module")
def shared(browser, studio, cookies, described, run):
    """A page for all tests that leave the first map of the run as it was."""
    with shared_page(browser, studio, cookies, described, path=f"/#run={run}") as page:
        StudioPage(page.watched).shown("scene-1")
        yield page


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


@pytest.fixture(scope="module")
def first(studio, run):
    """What the studio knows of the first map of the run, and its values as they are in the file."""
    with studio.client() as client:
        facts = client.get(f"/api/runs/{run}/view/0").json()
        data = client.get(f"/api/runs/{run}/view/0/values").content
    one = facts["maps"][0]
    values = np.frombuffer(data, "<f2", one["h"] * one["w"], one["offset"]).astype(np.float64) * one["unit"]
    return facts, one, values.reshape(one["h"], one["w"])


def to_source(one: dict, column: float, row: float) -> tuple[float, float]:
    """A place in cells, in pixels of the picture."""
    a, b, c, d, e, f = one["m"]
    x, y = np.linalg.solve([[a, b], [d, e]], np.array([column, row]) - [c, f])
    return float(x), float(y)


def interpolated(one: dict, values: np.ndarray, x: float, y: float) -> float:
    """The value between the middles of the four cells around a pixel of the picture; at the edge, of the edge."""
    a, b, c, d, e, f = one["m"]
    column, row = a * x + b * y + c - 0.5, d * x + e * y + f - 0.5
    column, row = np.clip(column, 0, one["w"] - 1), np.clip(row, 0, one["h"] - 1)
    c0, r0 = int(min(column, one["w"] - 2)), int(min(row, one["h"] - 2))
    u, v = column - c0, row - r0
    (p, q), (r, s) = values[r0 : r0 + 2, c0 : c0 + 2]
    return float((1 - v) * ((1 - u) * p + u * q) + v * ((1 - u) * r + u * s))


PLACES = {"middle of the largest cell": (0.5, 0.5), "between cells": (1.1, 0.3), "on a border": (0.0, 0.75)}


@pytest.mark.parametrize("place", PLACES)
def test_the_value_and_the_pixel_under_the_pointer_are_those_of_the_file(lent, first, place):
    """As exact as the readout is: four digits of the value, a tenth of a pixel of the picture."""
    facts, one, values = first
    row, column = np.unravel_index(values.argmax(), values.shape)
    x, y = to_source(one, column + PLACES[place][0], row + PLACES[place][1])
    box = lent.stage.bounding_box()
    # the pointer is on whole pixels of the page; where it is then in the picture is what is read
    left, top = round(box["x"] + x / facts["w"] * box["width"]), round(box["y"] + y / facts["h"] * box["height"])
    lent.page.mouse.move(left, top)
    x, y = (left - box["x"]) / box["width"] * facts["w"], (top - box["y"]) / box["height"] * facts["h"]
    text = lent.page.locator("#look .readout").inner_text()
    value, *_ = re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", text)
    read_x, read_y = map(float, re.search(r"(-?\d+(?:\.\d+)?), (-?\d+(?:\.\d+)?)", text).groups())
    assert (read_x, read_y) == pytest.approx((x, y), abs=0.06), text
    assert float(value) == pytest.approx(interpolated(one, values, x, y), rel=2e-3, abs=2e-3 * values.max()), text


def test_zooming_goes_down_to_the_single_cell(lent, first):
    """By the wheel at the largest cell, as far as it goes: two cells are then wider than the picture, and one is in sight."""
    facts, one, values = first
    row, column = np.unravel_index(values.argmax(), values.shape)
    x, y = to_source(one, column + 0.5, row + 0.5)
    box = lent.stage.bounding_box()
    lent.page.mouse.move(box["x"] + x / facts["w"] * box["width"], box["y"] + y / facts["h"] * box["height"])
    for _ in range(40):
        lent.page.mouse.wheel(0, -300)
    corners = []
    for left, top in ((0.02, 0.02), (0.98, 0.98)):
        lent.page.mouse.move(box["x"] + left * box["width"], box["y"] + top * box["height"])
        text = lent.page.locator("#look .readout").inner_text()
        corners.append([float(part) for part in re.search(r"(-?\d+(?:\.\d+)?), (-?\d+(?:\.\d+)?)", text).groups()])
    (x0, y0), (x1, y1) = corners
    a, b, _, d, e, _ = one["m"]
    across, down = abs(a * (x1 - x0)), abs(e * (y1 - y0))
    assert (b, d) == (0, 0)
    assert max(across, down) <= 2.0  # cells in sight
    assert x0 - 1 <= x <= x1 + 1
    assert y0 - 1 <= y <= y1 + 1
    lent.stage.focus()
    lent.page.keyboard.press("0")
    lent.page.mouse.move(box["x"] + 2, box["y"] + 2)
    numbers = re.search(r"(-?\d+(?:\.\d+)?), (-?\d+(?:\.\d+)?)", lent.page.locator("#look .readout").inner_text())
    assert max(map(float, numbers.groups())) < 0.02 * facts["w"]  # the whole picture again


def test_a_reading_is_pinned_and_the_view_zoomed_by_keys(lent):
    lent.stage.focus()
    for key in ("ArrowRight", "ArrowDown", "p"):
        lent.page.keyboard.press(key)
    pinned = lent.page.get_by_role("button", name="Remove reading 1", exact=True)
    pinned.wait_for()
    whole = lent.look()
    for _ in range(3):
        lent.page.keyboard.press("+")
    assert np.abs(lent.look() - whole).mean() > 2
    lent.page.keyboard.press("0")
    pinned.click()


def test_several_maps_of_a_picture(lent):
    buttons = lent.page.get_by_role("list", name="Maps of this picture").get_by_role("button")
    before = lent.look()
    buttons.nth(1).click()
    assert buttons.nth(1).get_attribute("aria-pressed") == "true"
    assert np.abs(lent.look() - before).max() > 8
    assert "map=1" in lent.page.url
    buttons.nth(0).click()


def test_full_size_in_a_tab_of_its_own(lent):
    lent.watched.expected += ["Applying inline style"]  # the browser's own page for a picture has the studio's policy
    with lent.page.context.expect_page() as opened:
        lent.page.get_by_role("button", name="Open full size").click()
    tab = opened.value
    tab.wait_for_load_state()
    size = tab.evaluate(
        "() => { const node = document.querySelector('img, canvas'); return node && [node.naturalWidth || node.width, node.naturalHeight || node.height]; }"
    )
    assert size is not None
    assert size[0] >= 640
    tab.close()


def table_of(desk, name: str) -> list[list[str]]:
    """The body of a table, row by row."""
    rows = desk.page.get_by_role("table", name=re.compile(name)).locator("tbody tr")
    return [row.locator("th, td").all_inner_texts() for row in rows.all()]


def percent(value: float) -> str:
    """A share as the page has it."""
    return f"{int(np.floor(100 * value + 0.5))} %"


def test_the_verdicts_curves_are_those_of_the_run(lent, first):
    """Every point of both curves, whose distance is the evidence gain."""
    _, one, _ = first
    gain = one["judgement"]["gain"]
    value = np.mean(np.array(gain["kept"]) - gain["cut"])
    lent.unfold("Can this map be believed?")
    chart = lent.page.get_by_role("img", name=re.compile(f"Evidence gain {value:.2f}, believable from"))
    chart.wait_for()
    end = [gain["empty"]] if isinstance(gain["empty"], float) else []  # clear without it
    drawn = [gain["whole"], *end, *gain["kept"], *gain["cut"]]
    low, high = min(0.0, *drawn), max(1.0, *drawn)
    for kind, name in (("own", "kept"), ("random", "cut")):
        path = chart.locator(f"path.curve.{kind}").get_attribute("d")
        points = np.array([list(map(float, pair.split())) for pair in re.findall(r"[ML]([-\d.]+ [-\d.]+)", path)])
        curve = np.array([gain["whole"], *gain[name], *end])
        assert points[:, 0] == pytest.approx(34 + 216 * np.array([0, *gain["fractions"], *[1] * len(end)]), abs=0.06)
        assert points[:, 1] == pytest.approx(8 + 116 * (1 - (curve - low) / (high - low)), abs=0.06)
    assert "The full check adds deletion" in lent.page.locator(".judged .details-body").inner_text()
    assert lent.page.locator(".judged summary .verdict").inner_text() == one["verdict"]


def test_the_statistics_are_those_of_the_file(lent, first):
    facts, one, values = first
    figures = lent.unfold("Statistics")
    figures.get_by_role("img", name=re.compile("^Histogram")).wait_for()
    shown = dict(zip(figures.locator("dt").all_inner_texts(), figures.locator("dd").all_inner_texts(), strict=True))

    def number(text: str) -> float:
        return float(re.match(r"-?[\d.]+(?:e-?\d+)?", text)[0])

    positive = values[values > 0]
    share = positive / positive.sum()
    assert number(shown["Sum"]) == pytest.approx(values.sum(), rel=5e-3)
    assert number(shown["Entropy"]) == pytest.approx(-(share * np.log(share)).sum(), abs=0.01)
    least, most = shown["Smallest and largest value"].split(" to ")
    assert (number(least), number(most)) == pytest.approx((values.min(), values.max()), rel=2e-3)
    row, column = np.unravel_index(values.argmax(), values.shape)
    peak = [float(part) for part in re.findall(r"[\d.]+", shown["Peak"])[:2]]
    assert peak == pytest.approx(to_source(one, column + 0.5, row + 0.5), abs=0.06)
    assert shown["Cells"] == f"{one['w']} × {one['h']}"
    boxes = [
        [label, percent(mass)] for label, mass in zip(facts["labels"], one["statistics"]["mass_per_box"], strict=True)
    ]
    assert table_of(lent, "^Share of the positive values") == boxes
    figures.get_by_text("The same as a table").click()
    counts = [int(cells[1]) for cells in table_of(lent, "^Cells by value")]
    assert counts == [count for count in np.histogram(values, 32)[0].tolist() if count]
