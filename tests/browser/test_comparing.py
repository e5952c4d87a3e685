"""Maps beside each other: a grid of methods, layers, models and pictures; a slider; the difference; views that are linked."""

from __future__ import annotations

import re

import numpy as np
import pytest

from rigs.programs import needs
from rigs.studio_page import StudioPage

pytestmark = needs("chromium")


@pytest.fixture(scope="module")
def methods_run(studio):
    """A run of one picture by two methods."""
    with studio.client() as client:
        picture = client.post("/api/samples/scene-2").json()["id"]
        options = {"model": "detector", "compare": "hirescam,layercam", "trust": "off"}
        run_id = client.post("/api/runs", json={"pictures": [picture], "options": options}).json()["id"]
        with client.stream("GET", f"/api/runs/{run_id}/events", timeout=120) as events:
            list(events.iter_lines())
    return run_id


@pytest.fixture
def comparison(page_of, methods_run):
    desk = StudioPage(page_of(path=f"/#run={methods_run}"))
    desk.shown("scene-2")
    desk.page.get_by_role("button", name=re.compile("^Compare all")).click()
    dialog = desk.page.get_by_role("dialog", name=re.compile("^Compare"))
    dialog.get_by_role("group", name=re.compile("Picture with map")).first.wait_for()
    return desk, dialog


def test_a_grid_of_methods(comparison):
    desk, dialog = comparison
    dialog.get_by_label("Columns by").select_option("method")
    dialog.get_by_label("Rows by").select_option("map")
    names = dialog.get_by_role("columnheader").all_inner_texts()
    assert {"hirescam", "layercam"} <= {name.strip().lower() for name in names}
    desk.watched.picture("grid")


@pytest.mark.parametrize("kind", ["Side by side", "Slider", "Difference"])
def test_two_maps(comparison, kind):
    desk, dialog = comparison
    dialog.get_by_role("button", name=kind, exact=True).click()
    assert dialog.get_by_role("button", name=kind, exact=True).get_attribute("aria-pressed") == "true"
    dialog.get_by_role("group", name=re.compile("Picture with map")).first.wait_for()
    desk.watched.picture(kind.lower().replace(" ", "-"))


def test_views_are_linked(comparison):
    desk, dialog = comparison
    stages = dialog.get_by_role("group", name=re.compile("Picture with map"))
    before = stages.nth(1).screenshot()
    stages.first.focus()
    for _ in range(3):
        desk.page.keyboard.press("+")
    desk.page.wait_for_function("() => true")
    assert stages.nth(1).screenshot() != before


def test_it_closes_by_the_keyboard_and_the_page_is_as_it_was(comparison):
    desk, dialog = comparison
    desk.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert np.ptp(desk.look()) > 50
