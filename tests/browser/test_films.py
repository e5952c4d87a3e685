"""Heatmap videos, from what is recorded or chosen to what plays: made, watched while they are made, ended, found again."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from rigs.programs import needs
from rigs.studio_page import LOOK_MS, RUN_MS, StudioPage
from rigs.videos import scene_clip

pytestmark = needs("chromium")

MANY = 40
"""Frames of a film that is still worked at while the page is loaded again."""
WATCH = """() => {
    window.told = [];
    const look = () => {
        const row = document.querySelector("#work li");
        const told = row && [row.querySelector(".line").textContent, row.querySelector("progress")?.value];
        if (told && String(told) !== String(window.told.at(-1))) window.told.push(told);
    };
    new MutationObserver(look).observe(document.querySelector("#work"), { subtree: true, childList: true, characterData: true, attributes: true });
    look();
}"""
"""Takes down every line of the run at work and how far its bar is, each once."""


def frames_done(desk: StudioPage) -> list[tuple[int, int, float]]:
    """What the page told of frames: how many were explained, of how many, and where its bar stood."""
    told = [(re.match(r"Explaining (\d+) of (\d+)", line), bar) for line, bar in desk.page.evaluate("told")]
    return [(int(match[1]), int(match[2]), bar) for match, bar in told if match]


def told_of(desk: StudioPage, line: str) -> None:
    """Wait until the page has told a line that begins with a pattern."""
    desk.page.wait_for_function(
        "(line) => told.some(([one]) => RegExp(`^${line}`).test(one))", arg=line, timeout=RUN_MS, polling=LOOK_MS
    )


def take_video(desk: StudioPage, clip) -> None:
    """Choose a whole video for a heatmap video, by its dialog."""
    desk.page.get_by_role("button", name="Video…").click()
    dialog = desk.page.get_by_role("dialog", name="Video")
    dialog.locator("input[type=file]").set_input_files(str(clip))
    dialog.get_by_role("button", name="Make a heatmap video of this part").click()
    expect(dialog).to_have_count(0)
    expect(desk.taken).to_have_count(1)


def ask(desk: StudioPage, *, check: str, seed: int, model: str = "detector") -> None:
    """Ask a shipped model about what is in the tray."""
    desk.choose("Model", model)
    desk.more()
    desk.choose("Check", check)
    desk.page.get_by_label("Seed", exact=True).fill(str(seed))
    desk.page.evaluate(WATCH)
    desk.page.locator("#question button.go").click()


def plays(desk: StudioPage) -> float:
    """Play the heatmap video that is shown; how many seconds long it is."""
    film = desk.page.locator("video.film")
    film.wait_for(timeout=RUN_MS)
    expect(film).not_to_have_js_property("videoWidth", 0)
    return film.evaluate(
        """async (film) => {
            film.muted = true;
            await film.play();
            await new Promise((done) => { film.ontimeupdate = () => film.currentTime > 0.1 && done(); });
            film.pause();
            return film.duration;
        }"""
    )


def test_a_camera_of_the_studios_machine_is_shown_with_what_a_model_finds_and_its_recording_plays_as_heatmaps(
    page_of, studio
):
    desk = StudioPage(page_of())
    watched, page = desk.watched, desk.page
    page.get_by_role("button", name="Camera…").click()
    dialog = page.get_by_role("dialog", name="Camera")
    expect(page.locator("#camera-which option:checked")).to_have_text("table.mp4 (of the studio’s machine)")
    expect(dialog.locator(".screen img")).to_have_js_property("naturalWidth", 640)
    dialog.get_by_role("button", name="Start finding things").click()
    expect(dialog.locator(".found")).to_have_text("Found: gear, crescent, spiral", timeout=60_000)
    assert watched.faults() == []
    watched.picture("studio-camera")
    dialog.get_by_role("button", name="Stop finding things").click()
    expect(dialog.get_by_role("button", name="Start finding things")).to_be_visible()
    dialog.get_by_role("button", name="Capture snapshot").click()
    expect(desk.taken).to_have_count(1)
    dialog.get_by_label("Seconds to record").fill("1")
    dialog.get_by_role("button", name="Record", exact=True).click()
    expect(desk.taken).to_have_count(2, timeout=30_000)
    page.keyboard.press("Escape")
    # the recording is new, and so the question is about it alone
    expect(page.locator("#question .go")).to_contain_text(".mp4")
    moment = r"table\.mp4 \d{4}-\d\d-\d\d .*\."
    assert sorted(re.sub(moment, "", one) for one in desk.tray()) == ["jpg", "mp4"]
    name = next(one for one in desk.tray() if one.endswith(".mp4"))
    ask(desk, check="off", seed=301)
    assert plays(desk) > 0.2
    with studio.client() as client:
        facts = client.get(f"/api/runs/{desk.run()}").json()
    # a map for each frame of that recording, of what the camera shows
    assert (facts["status"], [one["name"] for one in facts["pictures"]]) == ("finished", [name])
    moments = {one["picture"] for one in facts["maps"]}
    assert len(moments) > 2
    assert all(moment.startswith(f"{name}#") for moment in moments)
    assert {one["label"] for one in facts["maps"]} <= {"gear", "crescent", "spiral"}
    watched.picture("studio-camera-heatmap-video")


def test_a_heatmap_video_is_watched_over_a_reload_to_its_end(page_of, tmp_path):
    desk = StudioPage(page_of())
    clip = scene_clip(tmp_path / "watched.mp4", frames=MANY)
    take_video(desk, clip)
    ask(desk, check="fast", seed=302, model="scenes")
    told_of(desk, f"Explaining [2-9] of {MANY}")
    before = frames_done(desk)
    desk.page.reload()
    desk = StudioPage(desk.watched)
    desk.page.evaluate(WATCH)
    desk.page.locator("#work li").wait_for(state="detached", timeout=RUN_MS)
    after = frames_done(desk)
    steps = [step for step, _, _ in [*before, *after]]
    assert steps == sorted(steps)  # a reload begins nothing anew
    assert before[-1][0] <= after[0][0] < after[-1][0] == MANY
    assert all((total, bar) == (MANY, pytest.approx(step / MANY)) for step, total, bar in [*before, *after])


def test_a_heatmap_video_that_is_cancelled_keeps_the_frames_that_were_done(page_of, studio, tmp_path):
    desk = StudioPage(page_of())
    take_video(desk, scene_clip(tmp_path / "ended.mp4", frames=40))
    ask(desk, check="fast", seed=303, model="scenes")
    told_of(desk, "Explaining [3-9] of 40")
    desk.page.locator("#work").get_by_role("button", name=re.compile("^Cancel")).click()
    desk.page.locator("#work li").wait_for(state="detached", timeout=RUN_MS)
    desk.page.locator("#said").get_by_text("Cancelled; what was done is kept").wait_for()
    assert plays(desk) > 0.1
    with studio.client() as client:
        facts = client.get(f"/api/runs/{desk.run()}").json()
        pictures = client.get(f"/api/runs/{desk.run()}/view").json()["pictures"]
    moments = [one["name"] for one in pictures]
    assert moments == [f"ended.mp4#{i:06d}" for i in range(len(moments))]
    assert 3 <= len(moments) < 40
    assert facts["status"] == "cancelled"
    # said where the run stands, also to who comes later
    expect(desk.page.locator("#shown header.run")).to_contain_text(f"{len(moments)} moments")
    history = desk.page.get_by_role("region", name="History").get_by_role("listitem").filter(has_text="ended.mp4")
    expect(history.first).to_contain_text("cancelled")
