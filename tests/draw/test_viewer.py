"""The viewer in Chromium: both ways of painting put the same bytes there, and whatever is done with it does what it says."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from rigs.breadth import wide
from rigs.programs import needs
from rigs.viewer_page import show, viewer_page

pytestmark = needs("chromium")

RISING = [[0.05 * (5 * r + c) for c in range(5)] for r in range(4)]
HOLED = [
    ["NaN" if (r, c) == (1, 2) else "Infinity" if (r, c) == (3, 3) else v for c, v in enumerate(row)]
    for r, row in enumerate(RISING)
]
SIGNED = {"signed": True, "low": -0.9, "high": 0.9, "lowest": -0.9}
TURNED = {"m": [0.05, 0.02, -0.4, -0.015, 0.07, 0.3]}
CENTRE = {"m": [0.09, 0, -1.5, 0, 0.1, -1.0], "limits": [0.2, 0.2, 4.8, 3.8]}

BYTES = "stage.base.getContext('2d').getImageData(0, 0, stage.base.width, stage.base.height).data"
KEEP = f"() => {{ (window.kept ??= []).push({BYTES}); }}"
COMPARE = """() => {
  const differ = (a, b) => a.length === b.length ? a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i])), 0) : 999;
  const [whole, part, ...others] = kept;
  window.kept = [];
  return { whole: differ(whole, others[0]), part: differ(part, others[1]), colours: new Set(whole).size, moved: differ(whole, part) };
}"""


@pytest.fixture(scope="module")
def page():
    with viewer_page() as page:
        yield page
        assert page.errors == []


@pytest.mark.parametrize(
    ("style", "fields"),
    [
        *wide([("isotherm", {}), ("isotherm", {"values": HOLED})]),
        ("even", CENTRE | {"values": HOLED}),
        ("isotherm", SIGNED | {"values": [[v - 0.5 for v in row] for row in RISING]}),
        *wide([("even", TURNED), ("outline", {})]),
    ],
    ids=["plain", "holes", "centre", "signed", "turned", "outline"],
)
def test_a_graphics_chip_paints_the_same_bytes_as_the_canvas(page, style, fields):
    values = fields.get("values", RISING)
    others = {key: value for key, value in fields.items() if key != "values"}
    look = {"style": style, "opacity": 0.0 if style == "outline" else 0.6, "threshold": 0.12}
    for renderer in ("canvas", "webgl2"):
        show(page, values, look=look, renderer=renderer, **others)
        assert page.evaluate("events.filter(([name]) => name === 'paint').at(-1)[1]") == renderer
        page.evaluate(KEEP)
        page.evaluate("stage.view({ x: 40, y: 30, scale: 3 }), stage.render()")
        page.evaluate(KEEP)
    got = page.evaluate(COMPARE)
    assert (got["whole"], got["part"]) == (0, 0)
    assert got["colours"] > 100  # something was painted
    assert got["moved"] > 50


def test_a_map_that_a_chip_cannot_take_is_painted_on_the_canvas(page):
    show(page, [[float(i % 7) for i in range(20_000)]], renderer="webgl2")
    assert page.evaluate("events.filter(([name]) => name === 'paint').at(-1)[1]") == "canvas"


def test_what_is_read_is_what_is_drawn(page):
    show(page, RISING)
    at = page.evaluate("stage.toStage(45, 30)")
    page.mouse.move(at["x"], at["y"])
    reading = page.evaluate("reading")
    assert (reading["x"], reading["y"]) == (pytest.approx(45, abs=0.3), pytest.approx(30, abs=0.3))
    assert (reading["column"], reading["row"]) == (2, 2)
    # the middle between the cells (2, 1) and (2, 2): 0.05 * (7 + 12) / 2
    assert reading["value"] == pytest.approx(0.475, abs=5e-3)
    back = page.evaluate("stage.toPicture(...Object.values(stage.toStage(12.5, 50)))")
    assert back == {"x": pytest.approx(12.5), "y": pytest.approx(50)}


def test_keys_read_zoom_pin_and_pick(page):
    show(page, RISING, boxes=[[0, 0, 40, 40], [10, 10, 20, 20]], labels=["large", "small"])
    page.focus(".stage")
    for key in ("ArrowLeft", "Shift+ArrowUp", "p"):
        page.keyboard.press(key)
    (pin,) = page.evaluate("stage.pins")
    assert (pin["x"], pin["y"]) == (44, 20)
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert page.evaluate("stage.seen.scale") == pytest.approx(1.25**2)
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    picks = [event for name, event in page.evaluate("events") if name == "pick"]
    assert [(pick["box"], pick["label"]) for pick in picks] == [(0, "large"), (1, "small")]
    page.keyboard.press("0")
    assert page.evaluate("stage.seen") == {"x": 45, "y": 30, "scale": 1}
    page.keyboard.press("Escape")
    assert page.evaluate("reading") is None


def test_a_click_picks_the_smallest_box_and_a_shifted_one_pins(page):
    show(page, RISING, boxes=[[0, 0, 40, 40], [10, 10, 20, 20]], labels=["large", "small"])
    for place, key in (([15, 15], None), ([35, 35], None), ([80, 50], None), ([80, 50], "Shift")):
        at = page.evaluate("(place) => stage.toStage(...place)", place)
        if key:
            page.keyboard.down(key)
        page.mouse.click(at["x"], at["y"])
        if key:
            page.keyboard.up(key)
    events = page.evaluate("events")
    assert [event["box"] for name, event in events if name == "pick"] == [1, 0, -1]
    assert len([event for name, event in events if name == "pin"]) == 1


def test_the_wheel_zooms_where_it_is_and_dragging_moves_the_picture(page):
    show(page, RISING)
    at = page.evaluate("stage.toStage(60, 20)")
    page.mouse.move(at["x"], at["y"])
    page.mouse.wheel(0, -300)
    page.wait_for_function("stage.seen.scale > 1.9")
    there = page.evaluate("stage.cursor")
    assert there == [pytest.approx(60, abs=0.3), pytest.approx(20, abs=0.3)]
    before = page.evaluate("stage.seen")
    page.mouse.down()
    page.mouse.move(at["x"] - 80, at["y"] - 40, steps=4)
    page.mouse.up()
    after = page.evaluate("stage.seen")
    assert after["x"] > before["x"]
    assert after["y"] > before["y"]
    assert not [event for name, event in page.evaluate("events") if name == "pick"]
    for _ in range(30):
        page.evaluate("stage.zoom(1)")
    part = page.evaluate("stage.part()")
    assert part["w"] <= 90 / 5 * 1.5  # one cell and a half of five


def test_the_whole_picture_is_saved_at_its_own_size(page):
    show(page, RISING, boxes=[[10, 10, 60, 50]], labels=["dog"])
    page.evaluate("stage.view({ x: 20, y: 20, scale: 4 })")
    data = page.evaluate("stage.canvas(true).then((blob) => blob.arrayBuffer()).then((b) => [...new Uint8Array(b)])")
    saved = np.asarray(Image.open(io.BytesIO(bytes(data))))
    assert saved.shape[:2] == (60, 90)
    bare = page.evaluate(
        "(stage.look({ bare: true }), stage.canvas(true)).then((blob) => blob.arrayBuffer()).then((b) => [...new Uint8Array(b)])"
    )
    picture = np.asarray(Image.open(io.BytesIO(bytes(bare))))[..., :3].astype(int).ravel()
    expected = np.arange(60 * 90 * 4) * 7919 % 251
    np.testing.assert_array_equal(picture, expected.reshape(-1, 4)[:, :3].ravel())
    assert (saved[10:50, 10] != np.asarray(Image.open(io.BytesIO(bytes(bare))))[10:50, 10]).any()


def test_each_box_by_its_own_largest_and_nothing_outside(page):
    show(
        page,
        RISING,
        look={"renormalise": True, "style": "even"},
        boxes=[[0, 0, 30, 30], [60, 30, 90, 60]],
        labels=["", ""],
    )
    read = "(place) => stage.reading(...place).value"
    assert page.evaluate(read, [29.5, 29.5]) == pytest.approx(1)
    assert page.evaluate(read, [89.5, 59.5]) == pytest.approx(1)
    assert page.evaluate(read, [45, 45]) == 0


def test_two_fingers_zoom(page):
    show(page, RISING)
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", (70, 60), (90, 60))
    for far in (10, 20, 30):
        fingers("touchMove", (70 - far, 60), (90 + far, 60))
    fingers("touchEnd")
    page.wait_for_function("stage.seen.scale > 2")
    assert page.evaluate("stage.seen.scale") == pytest.approx(80 / 20, rel=0.3)
    assert not [event for name, event in page.evaluate("events") if name == "pick"]


def test_a_stage_out_of_sight_gives_back_its_pixels_and_draws_the_same_when_it_is_woken(page):
    show(page, RISING)
    page.evaluate(KEEP)
    page.evaluate("stage.sleep(), stage.look({ opacity: 0.5 })")
    assert page.evaluate("[stage.base.width, stage.over.width, stage.sheets.ground.width]") == [1, 1, 1]
    page.evaluate("new Promise((done) => { stage.on('paint', () => done()); stage.wake(); })")
    page.evaluate(KEEP)
    assert page.evaluate("kept.splice(0).map((bytes) => bytes.join()).every((text, _, all) => text === all[0])")


def test_a_map_without_any_value_leaves_the_picture_and_says_so(page):
    show(page, [["NaN", "NaN"]], high=0.0, silent="no finite value")
    shown = "[...stage.base.getContext('2d').getImageData(90, 60, 1, 1).data]"
    covered = page.evaluate(shown)
    assert page.locator(".silent").inner_text() == "no finite value"
    page.focus(".stage")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("Number.isNaN(reading.value)")
    page.evaluate("stage.look({ bare: true }), stage.render()")
    assert page.evaluate(shown) == covered


def test_another_picture_of_the_same_size_is_drawn_and_not_the_last_one(page):
    """The stage has one element for its pictures, whose address alone changes."""
    show(page, RISING)
    differ = page.evaluate(
        f"""async () => {{
          const before = {BYTES}, canvas = new OffscreenCanvas(90, 60), context = canvas.getContext("2d");
          context.fillStyle = "rgb(10, 200, 30)";
          context.fillRect(0, 0, 90, 60);
          const image = URL.createObjectURL(await canvas.convertToBlob());
          stage.show({{ ...stage.picture, image }}, stage.maps);
          await stage.image.decode();
          await new Promise((done) => setTimeout(done));
          stage.render();
          const after = {BYTES};
          return before.reduce((sum, v, i) => sum + Math.abs(v - after[i]), 0) / before.length;
        }}"""
    )
    assert differ > 10
