"""Cameras, videos and boxes in the page: looked at, kept, chosen from, and asked about."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from playwright.sync_api import expect

from rigs.breadth import wide
from rigs.programs import needs
from rigs.studio_page import StudioPage
from rigs.videos import write_clip

pytestmark = needs("chromium")

SMALL = """(() => {
    const devices = navigator.mediaDevices, open = devices.getUserMedia.bind(devices);
    const small = { width: 320, height: 240, frameRate: 5 };
    devices.getUserMedia = (wanted) => open({ ...wanted, video: { ...wanted.video, ...small } });
})()"""
"""A camera of the browser's that has small pictures, and few of them a second: they are to be encoded and explained."""
SCENE = str(files("isotherm") / "assets" / "scene-1.jpg")


def page_with_a_camera(page_of, **options) -> StudioPage:
    """A page of a browser with a small camera."""
    watched = page_of(path=None, **options)
    watched.context.add_init_script(SMALL)
    watched.open("/")
    return StudioPage(watched)


def asked_with(page, press) -> dict:
    """The body of the request for a run that a press sends."""
    with page.expect_request(lambda request: request.url.endswith("/api/runs") and request.method == "POST") as sent:
        press()
    return sent.value.post_data_json


@pytest.mark.parametrize(("width", "theme"), [(375, "dark"), *wide([(1440, "light")])])
def test_the_browsers_camera_gives_snapshots_and_recordings(page_of, width, theme):
    desk = page_with_a_camera(page_of, width=width, theme=theme)
    watched, page = desk.watched, desk.page
    page.get_by_role("button", name="Camera…").click()
    page.locator("#camera-which").select_option("")
    dialog = page.get_by_role("dialog", name="Camera")
    expect(dialog.get_by_role("button", name="Capture snapshot")).to_be_disabled()
    dialog.get_by_role("button", name="Open camera").click()
    expect(dialog.locator("video")).not_to_have_js_property("videoWidth", 0)
    assert watched.faults() == []
    watched.picture("camera")
    dialog.get_by_role("button", name="Capture snapshot").click()
    expect(desk.taken).to_have_count(1)
    dialog.get_by_label("Seconds to record").fill("1")
    dialog.get_by_role("button", name="Record", exact=True).click()
    expect(desk.taken).to_have_count(2, timeout=20_000)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    names = desk.taken.locator(".name").all_inner_texts()
    assert [bool(re.fullmatch(r"camera \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d\.(webm|png)", name)) for name in names] == [
        True
    ] * 2
    # the recording is new, and so the question is about it alone
    expect(page.locator("#question .go")).to_contain_text(".webm")


def test_a_recording_becomes_a_heatmap_video_that_is_played(page_of):
    desk = page_with_a_camera(page_of)
    page = desk.page
    page.get_by_role("button", name="Camera…").click()
    dialog = page.get_by_role("dialog", name="Camera")
    dialog.get_by_label("Seconds to record").fill("1")
    dialog.get_by_role("button", name="Record", exact=True).click()
    expect(desk.taken).to_have_count(1, timeout=20_000)
    page.keyboard.press("Escape")
    page.locator("#ask-model").select_option("detector")
    page.locator("#question details.more summary").click()
    page.locator("#ask-trust").select_option("off")
    body = asked_with(page, lambda: page.locator("#question .go").click())
    assert body["options"]["model"] == "detector"
    film = page.locator("video.film")
    film.wait_for(timeout=90_000)
    expect(film).not_to_have_js_property("videoWidth", 0)


def test_a_page_that_may_open_no_camera_says_why_and_takes_a_picture_otherwise(page_of, studio):
    watched = page_of(path=None)
    page = watched.page
    # as on http at an address of the network
    watched.context.add_init_script(
        "Object.defineProperty(window, 'isSecureContext', {get: () => false});"
        "Object.defineProperty(navigator, 'mediaDevices', {get: () => undefined});"
    )
    page.goto(studio.url)
    desk = StudioPage(watched)
    page.get_by_role("button", name="Camera…").click()
    page.locator("#camera-which").select_option("")
    dialog = page.get_by_role("dialog", name="Camera")
    expect(dialog.locator(".problem")).to_contain_text("Browsers open a camera only for https")
    assert watched.faults() == []
    picker = dialog.locator("input[type=file]")
    assert (picker.get_attribute("capture"), picker.get_attribute("accept")) == ("environment", "image/*")
    picker.set_input_files(SCENE)
    expect(desk.taken.locator(".name")).to_have_text("scene-1.jpg")


@pytest.mark.parametrize(("width", "theme"), [(1440, "dark"), *wide([(375, "light")])])
def test_a_moment_and_a_part_of_a_video(page_of, tmp_path, width, theme):
    clip = write_clip(tmp_path / "clip.mp4", frames=30, rate=10, h=96, w=128)  # of a form that no browser plays
    desk = StudioPage(page_of(width=width, theme=theme))
    watched, page = desk.watched, desk.page
    page.get_by_role("button", name="Video…").click()
    dialog = page.get_by_role("dialog", name="Video")
    dialog.locator("input[type=file]").set_input_files(str(clip))
    expect(dialog.get_by_role("status").first).to_contain_text("128 × 96 pixels, 3.0 seconds, 30 frames")
    frame = dialog.locator(".screen img")
    expect(frame).to_have_js_property("naturalWidth", 128)
    assert watched.faults() == []
    watched.picture("video")
    slider = dialog.get_by_label("Moment")
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    expect(dialog.locator("output")).to_have_text("0:00.50 of 0:03.00")
    expect(frame).to_have_attribute("src", re.compile(r"frame\?at=0\.5000$"))
    dialog.get_by_role("button", name="Begin here").click()
    dialog.get_by_label("To, seconds").fill("1.5")
    dialog.get_by_label("Every n-th frame").fill("5")
    dialog.get_by_label("Every n-th frame").press("Tab")
    expect(dialog.locator(".film-part .hint")).to_have_text("2 frames will be explained.")
    dialog.get_by_role("button", name="Make a heatmap video of this part").click()
    expect(dialog).to_have_count(0)
    page.locator("#ask-model").select_option("scenes")
    body = asked_with(page, lambda: page.locator("#question .go").click())
    part = {name: body["options"][name] for name in ("start_s", "end_s", "every")}
    assert part == {"start_s": 0.5, "end_s": 1.5, "every": 5}
    # a moment alone is a picture
    page.get_by_role("button", name="Video…").click()
    dialog.locator("input[type=file]").set_input_files(str(clip))
    dialog.get_by_role("button", name="Capture snapshot").click()
    expect(desk.taken.first.locator(".name")).to_have_text("clip at 0.00 s.png")


def test_boxes_are_drawn_moved_named_and_removed_by_pointer_and_by_keyboard(page_of):
    desk = StudioPage(page_of())
    watched, page = desk.watched, desk.page
    page.locator("#pictures input[type=file]").first.set_input_files(SCENE)
    expect(desk.taken).to_have_count(1)
    page.locator("#ask-model").select_option("yoloe-11s-seg.yaml")
    page.locator("#question .go").click()  # without words and boxes nothing is asked
    expect(page.locator("#question .problem")).to_contain_text("This model has no classes of its own")
    page.locator("#ask-like").click()
    dialog = page.get_by_role("dialog", name="Find things like this")
    layer = dialog.locator(".like-layer")
    layer.wait_for()
    at = layer.bounding_box()

    def drag(x0, y0, x1, y1):
        page.mouse.move(at["x"] + x0 * at["width"] / 640, at["y"] + y0 * at["height"] / 480)
        page.mouse.down()
        page.mouse.move(at["x"] + x1 * at["width"] / 640, at["y"] + y1 * at["height"] / 480, steps=4)
        page.mouse.up()

    boxes = dialog.get_by_role("button", name=re.compile("^Box"))
    drag(270, 200, 420, 360)  # drawn
    expect(boxes).to_have_attribute("aria-label", "Box 1, this: from 270, 200 to 420, 360")
    expect(boxes).to_be_focused()
    drag(345, 280, 355, 270)  # taken in the middle: moved
    expect(boxes).to_have_attribute("aria-label", "Box 1, this: from 280, 190 to 430, 350")
    drag(430, 270, 440, 270)  # taken by its right edge
    expect(boxes).to_have_attribute("aria-label", "Box 1, this: from 280, 190 to 440, 350")
    dialog.get_by_label("Name of what box 1 shows").fill("gear")
    dialog.get_by_role("button", name="Add a box").click()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    expect(boxes.nth(1)).to_have_attribute("aria-label", re.compile("^Box 2, gear: from"))
    assert watched.faults() == []
    watched.picture("boxes")
    dialog.get_by_role("button", name="Add a box").click()
    page.keyboard.press("Delete")
    expect(boxes).to_have_count(2)
    expect(boxes.nth(1)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#ask-like")).to_contain_text("2 drawn")
    body = asked_with(page, lambda: page.locator("#question .go").click())
    assert re.fullmatch(r"gear=280,190,440,350;gear=[\d.,]+", body["options"]["like"])
    assert body["options"]["model"] == "yoloe-11s-seg.yaml"
    # on another picture the boxes would show something else
    page.locator("#pictures input[type=file]").first.set_input_files(SCENE.replace("scene-1", "scene-4"))
    expect(page.locator("#ask-like")).to_have_text("Draw boxes…")


def test_boxes_are_drawn_by_finger(page_of):
    desk = StudioPage(page_of(width=375, theme="dark", has_touch=True))
    watched, page = desk.watched, desk.page
    page.locator("#pictures input[type=file]").first.set_input_files(SCENE)
    expect(desk.taken).to_have_count(1)
    page.locator("#ask-model").select_option("yoloe-11s-seg.yaml")
    page.locator("#ask-like").click()
    dialog = page.get_by_role("dialog", name="Find things like this")
    layer = dialog.locator(".like-layer")
    layer.wait_for()
    at = layer.bounding_box()
    session = watched.context.new_cdp_session(page)
    for kind, points in (
        ("touchStart", [(100, 80)]),
        ("touchMove", [(130, 110)]),
        ("touchMove", [(190, 150)]),
        ("touchEnd", []),
    ):
        touches = [{"x": at["x"] + x, "y": at["y"] + y} for x, y in points]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})
    box = dialog.get_by_role("button", name=re.compile("^Box 1, this"))
    expect(box).to_have_count(1)
    size = box.bounding_box()
    assert (round(size["width"]), round(size["height"])) == (90, 70)
    watched.picture("boxes")
