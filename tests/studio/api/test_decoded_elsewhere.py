"""What came from outside is decoded, and models run, in the studio's other processes alone: this one takes no part in it."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
import torch

pytest.importorskip("av", reason="PyAV is not installed")
import av

from isotherm.studio.exports.forms import FORMS
from rigs.studio import events_of, png
from rigs.videos import write_clip

PICTURE, OTHER = png(8080), png(8081)


@pytest.fixture
def only_elsewhere(monkeypatch):
    """The process that answers requests, which is this one, can read no picture, video, array or weights, and run no model."""

    def refused(*_args, **_options):
        raise AssertionError("decoded in the process that answers requests")

    for place, name in (
        (PIL.Image, "_getdecoder"),  # which reading a file ends in, however it is opened
        (PIL.Image, "open"),
        (av, "open"),
        (np, "load"),
        (torch, "load"),
        (torch.nn.Module, "__call__"),
    ):
        monkeypatch.setattr(place, name, refused)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=4, rate=10, h=48, w=64).read_bytes()


def test_everything_that_is_sent_is_decoded_elsewhere(studio, only_elsewhere, clip):
    def fetched(address: str, **query: object) -> None:
        answer = studio.get(address, params=query or None)
        assert (answer.status_code, bool(answer.content)) == (200, True), (address, answer.text[:200])

    picture = studio.post("/api/pictures", params={"name": "a.png"}, content=PICTURE)
    assert picture.status_code == 201, picture.text
    for part in ("", "/image", "/thumb"):
        fetched(f"/api/pictures/{picture.json()['id']}{part}")
    assert studio.post("/api/pictures", params={"name": "b.png"}, content=PICTURE[:900]).status_code == 415

    video = studio.post("/api/videos", params={"name": "clip.mp4"}, content=clip)
    assert video.status_code == 201, video.text
    address = f"/api/videos/{video.json()['id']}"
    fetched(f"{address}/frame", at=0.1)
    fetched(f"{address}/strip", count=2)
    moment = studio.post(f"{address}/snapshot", json={"at_s": 0.1})
    assert moment.status_code == 201, moment.text

    asks = {"pictures": [picture.json()["id"]], "options": {"model": "scenes", "trust": "off"}}
    run = studio.post("/api/runs", json=asks).json()["id"]
    assert events_of(studio, run)[-1][1] == "finished"
    for part in ("", "/image", "/thumb", "/values", "/whole"):
        fetched(f"/api/runs/{run}/view/0{part}")
    for form in FORMS.keys() - {"mp4"}:  # of several pictures
        fetched(f"/api/runs/{run}/export", form=form)

    old = studio.post("/generate_heatmap", params={"model": "scenes"}, files={"picture": ("c.png", OTHER, "image/png")})
    assert old.json()["success"], old.text
    fetched(old.json()["url"])
