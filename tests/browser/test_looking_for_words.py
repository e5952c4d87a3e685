"""Words typed into the page become the classes of a YOLOE: findings with these words, and a map of one on the screen."""

from __future__ import annotations

import re
import shutil
from importlib.resources import files

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
pytest.importorskip("ultralytics", reason="ultralytics is not installed")
import numpy as np
from playwright.sync_api import expect

from isotherm.runs.read import read_items, read_run
from rigs.browser import Watched
from rigs.programs import needs
from rigs.studio_forks import know_facts
from rigs.studio_page import StudioPage
from rigs.studio_server import running
from rigs.yoloe_words import MODULES, SIZE, WEIGHTS, WORDS, write_encoder, write_yoloe

pytestmark = needs("chromium")


@pytest.fixture
def studio(tmp_path, monkeypatch, forks):
    """A studio with a YOLOE that has no classes of its own, where its text encoder can be had."""
    picture = shutil.copy(str(files("isotherm") / "assets" / "scene-1.jpg"), tmp_path)
    write_encoder(tmp_path)
    write_yoloe(tmp_path, picture)
    monkeypatch.chdir(tmp_path)  # the file of the model is read where it lies
    know_facts(tmp_path, WEIGHTS)
    words = ["--model", WEIGHTS, "--no-example"]
    with running(tmp_path, words, forks=forks, modules=[str(MODULES)]) as process:
        yield process


def test_typed_words_are_found_and_explained(browser, studio):
    watched = Watched(browser)
    watched.open(studio.address())
    desk = StudioPage(watched)
    desk.sample("Scene 1")
    desk.choose("Model", WEIGHTS)
    desk.page.get_by_label("Look for", exact=True).fill(f"{WORDS[0]},  {WORDS[1]}")
    desk.more()
    desk.choose("Check", "off")
    desk.page.get_by_label("Input size", exact=True).fill(str(SIZE))
    run = desk.explain("scene-1")

    maps = desk.page.get_by_role("list", name="Maps of this picture").get_by_role("listitem")
    labels = [re.sub(r" \d\.\d\d.*", "", text.split("\n")[0]) for text in maps.all_inner_texts()]
    assert set(labels) == set(WORDS)
    # the map is drawn: another finding of another word is another picture
    first = desk.look()
    maps.filter(has_text=WORDS[1] if labels[0] == WORDS[0] else WORDS[0]).first.get_by_role("button").first.click()
    expect(desk.page.locator("#shown h2")).to_contain_text("scene-1")
    desk.watched.rest()
    assert np.abs(desk.look() - first).max() > 20
    desk.page.get_by_role("group", name="Seen in the picture shown").get_by_role(
        "button", name=WORDS[0]
    ).first.wait_for()
    part = desk.unfold("Command and Python")
    expect(part).to_contain_text("--classes 'red cup,lamp'")
    watched.picture("words-to-look-for")
    watched.close()

    with studio.client() as client:
        studio.wait_for(client, run)  # the map is shown before its run has ended
        assert client.get(f"/api/runs/{run}").json()["options"]["classes"] == ",".join(WORDS)
    (dpath,) = (path.parent for path in (studio.dpath / "studio").rglob("run.json"))
    assert read_run(dpath)["options"]["classes"] == ",".join(WORDS)
    (item,) = read_items(dpath)
    assert {one["label"].rsplit(" ", 1)[0] for one in item["maps"]} == set(WORDS)
