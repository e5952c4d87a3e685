"""The map is on the screen before its verdict: what the page says meanwhile, after a reload, and when the check is ended."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from rigs.breadth import wide
from rigs.programs import needs
from rigs.studio_page import LOOK_MS, RUN_MS, StudioPage

pytestmark = needs("chromium")

CHECKING = "being checked…"


@pytest.fixture(scope="module")
def seeds(studio):
    """Seeds that no other run was asked with, so that nothing is answered from the history.

    The process that draws exports is started before: while it starts, a check might come to its end.
    """
    with studio.client() as client:
        example = client.get(f"/api/runs/{studio.example()}/export", params={"form": "png"})
        assert example.status_code == 200, example.text
    return iter(range(101, 200))


def asked(desk: StudioPage, seed: int) -> str:
    """Ask for a map with a check that takes long, and wait for the map alone; the run's id."""
    desk.sample("Scene 2")
    desk.choose("Model", "detector")
    desk.more()
    desk.choose("Check", "full")
    desk.page.get_by_label("Seed", exact=True).fill(str(seed))
    before = desk.run()
    desk.page.locator("#question button.go").click()
    other_run(desk, before)
    desk.stage.wait_for(timeout=RUN_MS)
    verdict(desk).get_by_text(CHECKING).wait_for(timeout=RUN_MS)
    return desk.run()


def other_run(desk: StudioPage, before: str) -> None:
    """Wait until the address names another run than before."""
    desk.page.wait_for_function(
        "(before) => !location.hash.includes(before || 'none')", arg=before, timeout=RUN_MS, polling=LOOK_MS
    )


def verdict(desk: StudioPage):
    """Where the verdict of the shown map stands."""
    return desk.page.locator(".judged summary")


def cancel(desk: StudioPage) -> None:
    desk.page.locator("#work").get_by_role("button", name=re.compile("^Cancel")).click()


@pytest.mark.parametrize(("width", "theme"), [(375, "dark"), *wide([(1440, "light")])])
def test_the_map_is_there_before_its_verdict_and_everything_says_so(page_of, studio, seeds, width, theme):
    desk = StudioPage(page_of(width, theme))
    run = asked(desk, next(seeds))
    assert "its verdict comes here by itself" in verdict(desk).inner_text()
    for place in ("#work", "#said"):  # seen, and told by screen readers
        desk.page.locator(place).get_by_text("Checking whether to believe the map").wait_for()
    desk.unfold("Can this map be believed?").get_by_text("The map is being checked").wait_for()
    assert desk.watched.faults() == []
    desk.watched.picture("checking", full=width < 400)
    wide = desk.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0  # nothing sticks out to the side
    with studio.client() as client:
        view = client.get(f"/api/runs/{run}/view/0").json()
        assert {(one["checking"], one["verdict"]) for one in view["maps"]} == {(True, None)}
        answer = client.get(f"/api/runs/{run}/export", params={"form": "png"})
        assert answer.status_code == 200, answer.text
        refused = client.get(f"/api/runs/{run}/export", params={"form": "pdf"})
        assert (refused.status_code, "there is no verdict on its maps" in refused.json()["error"]) == (409, True)
        assert client.get(f"/api/runs/{run}").json()["status"] == "running"
    # a reload finds the same state, and the verdict comes there as well
    desk.page.reload()
    desk = StudioPage(desk.watched)
    assert desk.run() == run
    verdict(desk).get_by_text(CHECKING).wait_for(timeout=RUN_MS)
    cancel(desk)
    verdict(desk).get_by_text("not checked").wait_for(timeout=RUN_MS)
    assert verdict(desk).locator(".why").inner_text().startswith("(cancelled)")
    desk.page.locator("#said").get_by_text("checked: not checked").wait_for()
    assert desk.run() == run
    desk.stage.wait_for()
    with studio.client() as client:
        facts = client.get(f"/api/runs/{run}").json()
        assert (facts["status"], {one["verdict"] for one in facts["maps"]}) == ("cancelled", {"not checked"})
        found = client.get("/api/runs", params={"verdict": "not checked"}).json()["runs"]
        assert run in [one["id"] for one in found]


FRAMES = """() => {
    const later = window.setTimeout;
    window.setTimeout = (work, wait, ...more) => later(work, wait === 200 ? 60_000 : wait, ...more); // a slow machine is no tab that is hidden
    window.frames_ = 0;
    const next = () => { frames_ += 1; requestAnimationFrame(next); };
    requestAnimationFrame(next);
    const watch = (part, how, name) => new MutationObserver((_, one) => { window[name] = frames_; one.disconnect(); }).observe(document.querySelector(part), how);
    watch("#shown .viewer", { attributeFilter: ["data-run"] }, "shownAt");
    watch("#keep .exports", { childList: true }, "besideAt");
}"""
"""Which frame of the page a map is handed to the viewer in, and which one what is kept of its run is drawn in."""


def test_the_map_comes_by_one_request_and_a_frame_before_what_stands_beside_it(page_of, studio, seeds):
    studio.example()
    desk = StudioPage(page_of())
    desk.page.wait_for_selector("#keep .exports button, #keep .exports a", timeout=RUN_MS)
    desk.page.evaluate(FRAMES)
    run = asked(desk, next(seeds))
    own = [one.url.partition(f"/api/runs/{run}")[2] for one in desk.watched.requests if run in one.url]
    assert {"/view/0/whole", "/view/0/image"} < set(own)
    desk.page.wait_for_function("() => window.besideAt !== undefined", polling=LOOK_MS)
    assert desk.page.evaluate("besideAt - shownAt") >= 2  # the one that draws it, and the next one has begun
    assert not {"", "/view", "/view/0", "/view/0/values"} & set(own)
    cancel(desk)


def test_the_bar_does_not_move_while_a_short_run_computes(page_of):
    """A bar that moves is drawn anew in every frame, which takes the processor from the model."""
    page = page_of().page
    page.wait_for_selector("html.ready")
    page.emulate_media(reduced_motion="no-preference")
    moving = page.evaluate("""() => {
        const bar = document.createElement("progress");
        document.querySelector("#work").append(bar);
        document.querySelector("#work").hidden = false;
        return bar.getAnimations().map((one) => one.effect.getComputedTiming()).map(({ delay, iterations }) => [delay, iterations === Infinity]);
    }""")
    assert moving == [[1000, True]]


def test_the_verdict_comes_into_its_place_and_is_told(page_of, seeds):
    desk = StudioPage(page_of())
    desk.sample("Scene 3")
    desk.choose("Model", "scenes")
    desk.more()
    desk.choose("Check", "full")
    desk.page.get_by_label("Seed", exact=True).fill(str(next(seeds)))
    drawn = "() => { window.drawn = 0; new MutationObserver(() => drawn++).observe(document.querySelector('#shown .stage'), { childList: true }); }"
    before = desk.run()
    desk.page.locator("#question button.go").click()
    other_run(desk, before)
    verdict(desk).get_by_text(CHECKING).wait_for(timeout=RUN_MS)
    desk.page.evaluate(drawn)
    verdict(desk).get_by_text(re.compile("believable|doubtful|do not trust")).wait_for(timeout=RUN_MS)
    desk.page.locator("#said").get_by_text(
        re.compile("Finished; checked: (believable|doubtful|do not trust)")
    ).wait_for()
    assert desk.page.evaluate("drawn") == 0  # the picture was not disturbed
    desk.unfold("Can this map be believed?").get_by_role("img").first.wait_for()


def test_a_question_behind_another_has_its_map_at_once_and_who_draws_a_mark_goes_on_while_its_verdict_comes(
    page_of, studio, seeds
):
    """What the page puts off for the run that has ended must not swallow that there is another map. And what is told of
    a run is drawn anew at its end: neither the tools nor a mark that is half drawn may go with it.
    """
    desk = StudioPage(page_of())
    first = asked(desk, next(seeds))
    cancel(desk)
    verdict(desk).get_by_text("not checked").wait_for(timeout=RUN_MS)
    desk.page.get_by_label("Seed", exact=True).fill(str(next(seeds)))
    desk.page.locator("#question button.go").click()
    other_run(desk, first)
    verdict(desk).get_by_text(CHECKING).wait_for(timeout=RUN_MS)
    run = desk.run()
    desk.page.get_by_role("button", name="Draw on the picture…").click()
    desk.page.get_by_role("button", name="Box", exact=True).click()
    at = desk.stage.bounding_box()
    desk.page.mouse.move(at["x"] + 60, at["y"] + 60)
    desk.page.mouse.down()
    desk.page.mouse.move(at["x"] + 100, at["y"] + 90, steps=3)
    with studio.client() as client:
        client.post(f"/api/runs/{run}/cancel")
        verdict(desk).get_by_text("not checked").wait_for(timeout=RUN_MS)
        desk.page.locator("#work li").wait_for(state="detached", timeout=RUN_MS)
        desk.watched.rest()
        desk.page.mouse.move(at["x"] + 160, at["y"] + 140, steps=3)
        desk.page.mouse.up()
        desk.page.locator("#said").get_by_text("The mark is kept.").wait_for()
        (mark,) = client.get(f"/api/runs/{run}").json()["marks"]
    assert mark["kind"] == "box"
    expect(desk.page.get_by_role("button", name="Box", exact=True)).to_have_attribute("aria-pressed", "true")
    # what is kept next of the run does not lose it
    keep = desk.page.get_by_role("region", name="Keep")
    keep.get_by_role("button", name=re.compile("Star")).click()
    expect(keep.get_by_role("button", name=re.compile("Star"))).to_have_attribute("aria-pressed", "true")
    expect(desk.page.locator(".pad polyline")).to_have_count(2)  # its line and the shade below it
