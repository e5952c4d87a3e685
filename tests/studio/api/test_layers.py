"""The layers of a model: all of them, their shapes, and which one is taken without a choice."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from isotherm.models.choose import open_view
from isotherm.studio.work.layers import layer_tree
from isotherm.studio.work.worker import JOBS
from isotherm.studio.work.workroom import Busy
from rigs.studio import client_of, studio_in
from rigs.studio_jobs import JOBS as PLAY
from rigs.studio_jobs import PlayJob


def flat(tree):
    return [one for entry in tree for one in (entry, *flat(entry["children"]))]


@pytest.mark.parametrize("name", ["scenes", "detector", "tiny-vlm"])
def test_every_layer_is_in_the_tree_once(name):
    opened = open_view(name)
    layers = flat(layer_tree(opened))
    assert [one["name"] for one in layers] == [name for name, _ in opened.view.model.named_modules() if name]
    chosen = [one for one in layers if one["automatic"]]
    if name == "tiny-vlm":
        assert not chosen
        return
    choice = opened.view.auto_layers()
    assert [one["name"] for one in chosen] == [layer.partition("@")[0] for layer in choice.layers]
    for one in chosen:
        assert one["why"] == choice.reason
        channels, height, width = one["shape"]
        assert min(channels, height, width) > 1
    assert not opened.view.model._forward_hooks


def test_layers_are_asked_for_once_and_kept(studio, monkeypatch):
    tree = studio.get("/api/models/scenes/layers")
    assert tree.status_code == 200, tree.text
    monkeypatch.setattr(studio.room, "ask", None)  # nobody is asked again
    assert studio.get("/api/models/scenes/layers").json() == tree.json()
    assert studio.get("/api/models/..%2F..%2Fetc%2Fpasswd/layers").status_code == 404
    assert studio.get("/api/models/resnet50/layers").json()["error"].startswith("there is no model 'resnet50' here")


def test_a_model_that_cannot_be_opened_says_why(studio):
    with client_of(replace(studio.studio, models=("nothing.pt",))) as client:
        answer = client.get("/api/models/nothing.pt/layers")
    assert answer.status_code == 400
    assert "nothing.pt" in answer.json()["error"]


def test_who_waits_too_long_is_told(studio, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(studio.room, "_answer", lambda *question: release.wait(10))
    with pytest.raises(Busy, match="ask again"):
        studio.room.ask("layers", None or _options(), begin_s=0.01)
    release.set()


def test_a_long_run_does_not_keep_layers_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr("isotherm.studio.api.layers.SOON_S", 0.01)
    with studio_in(tmp_path, jobs={**JOBS, **PLAY}) as parts, client_of(parts) as client:
        run_id = parts.room.submit(PlayJob(steps=("wait for cancel",)), key="k", title="a long run")
        next(pair for pair in parts.room.events.of(run_id) if pair is not None and pair[1]["event"] == "running")
        answer = client.get("/api/models/scenes/layers")
        assert parts.room.place(run_id) == 0
    assert answer.status_code == 200, answer.text
    assert answer.json() == layer_tree(open_view("scenes"))


def test_two_who_ask_during_a_run_have_the_model_opened_once(tmp_path, monkeypatch):
    opened = []

    def beside(options):
        opened.append(options.model)
        both.wait(10)  # until the second one waits for its turn as well
        return [{"name": "a layer"}]

    both = threading.Event()
    with studio_in(tmp_path) as parts, client_of(parts) as client, ThreadPoolExecutor(2) as pool:
        monkeypatch.setattr("isotherm.studio.api.layers._beside", beside)
        monkeypatch.setattr(parts.room, "ask", lambda *question, **options: refuse(both, opened))
        answers = list(pool.map(client.get, 2 * ["/api/models/scenes/layers"]))
    assert [answer.json() for answer in answers] == 2 * [[{"name": "a layer"}]]
    assert opened == ["scenes"]


def refuse(both, opened):
    if opened:
        both.set()
    raise Busy("a run is worked on")


def _options():
    from isotherm.studio.requests import model_options

    return model_options("scenes", ["scenes"])
