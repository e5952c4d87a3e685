"""What there is to choose from, and the pictures to begin with."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from importlib.util import find_spec

import pytest
from PIL import Image

from isotherm.models.own.trained_here import KEYPOINTS
from isotherm.studio.desk.desk import Desk
from isotherm.studio.desk.facts import facts, model_facts
from isotherm.studio.facts_cache import FILE, known_facts
from isotherm.studio.live.cameras import Cameras
from isotherm.studio.samples import IMAGENET_PACKAGE, example, samples
from rigs.studio import client_of, events_of, send


def test_the_state_has_what_the_page_needs(studio):
    cameras = Cameras(["0"], studio.room)
    parts = replace(studio.studio, facts=facts(["auto", "scenes", "nonsense-7"]), cameras=cameras, example=["e" * 32])
    with client_of(parts) as client:
        state = client.get("/api/state").json()
    assert state["example"] == "e" * 32
    assert [(one["id"], one["name"], one["state"]) for one in state["cameras"]] == [("1", "camera 0", "off")]
    assert {"auto", "cpu"} <= set(state["devices"])
    assert [one["kind"] for one in state["models"]] == ["auto", "classifier", "auto"]
    assert "nonsense-7" in state["models"][2]["error"]
    by_name = {one["name"]: one for one in state["methods"]}
    assert by_name["hirescam"]["explains"] == by_name["gradcam"]["explains"] == ["pictures", "clips", "answers"]
    assert by_name["propagation"]["explains"] == ["answers"]
    assert len(by_name) == len(state["methods"])
    assert set(state["settings"]["tables"]) == {*state["settings"]["unsigned"], *state["settings"]["signed"]}
    assert state["trust"] == ["fast", "full", "off"]
    assert state["limits"]["pictures"] == 1000


@pytest.mark.parametrize(
    ("name", "kind", "prompts"),
    [
        ("scenes", "classifier", "none"),
        ("detector", "detector", "none"),
        ("tiny-vlm", "question", "none"),
        ("resnet18", "classifier", "none"),
        ("fasterrcnn_resnet50_fpn", "detector", "none"),
        ("fcn_resnet50", "segmenter", "none"),
        ("yoloe-11s-seg.pt", "detector", "visual"),
        ("yolo11n.pt", "detector", "none"),
        ("yolov8s-worldv2.pt", "detector", "text"),
    ],
)
def test_kinds_of_models_are_known_before_they_are_opened(name, kind, prompts):
    known = model_facts(name)
    assert (known["kind"], known["prompts"]) == (kind, prompts), known
    assert known.get("masks", False) == (name == "yoloe-11s-seg.pt")  # a mask of a finding can be asked about


def test_models_of_depth_and_of_keypoints_are_known_to_give_maps(tmp_path):
    for number, architecture in enumerate(
        ("DPTForDepthEstimation", "VitPoseForPoseEstimation", "ViTForImageClassification")
    ):
        (folder := tmp_path / str(number)).mkdir()
        (folder / "config.json").write_text(json.dumps({"model_type": "vit", "architectures": [architecture]}))
        assert (model_facts(str(folder))["kind"] == "maps") == (number < 2)
    header = {"__metadata__": {"isotherm": json.dumps({"format": KEYPOINTS})}}
    text = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    assert [model_facts(str(path))["kind"] for path in (tmp_path, tmp_path / "model.safetensors")] == ["maps"] * 2


def test_a_model_without_classes_is_told_what_to_look_for_before_it_waits(studio):
    known = model_facts("yoloe-11s-seg.yaml")
    assert known["lacks_classes"]
    parts = replace(studio.studio, models=(known["name"],), facts={"models": [known]})
    picture = send(studio)
    with client_of(parts) as client:
        before = client.get("/api/runs").json()["runs"]
        answer = client.post("/api/runs", json={"pictures": [picture], "options": {"model": known["name"]}})
        assert answer.status_code == 422
        assert "has no classes of its own; give it words to look for" in answer.json()["error"]
        assert client.get("/api/runs").json()["runs"] == before
        options = {"model": known["name"], "like": "1,1,20,20", "trust": "off"}
        answer = client.post("/api/runs", json={"pictures": [picture], "options": options})
        assert answer.status_code == 202
        client.post(f"/api/runs/{answer.json()['id']}/cancel")
        events_of(client, answer.json()["id"])


def test_facts_are_asked_for_once(tmp_path, monkeypatch):
    class Counting(Desk):
        calls = 0

        def do(self, task, models):
            self.calls += 1
            return {"devices": models}

    desk = Counting("nothing")
    for models in (["a"], ["a"], ["a", "b"], ["a", "b"]):
        assert known_facts(desk, tmp_path, models) == {"devices": models}
        monkeypatch.setattr("torch.__version__", "another build")  # of which a process without torch cannot know
    assert desk.calls == 2
    (tmp_path / FILE).write_text("{")
    known_facts(desk, tmp_path, ["a"])
    assert desk.calls == 3


def test_samples_are_taken_as_if_they_had_been_sent(studio):
    sample, model = example()
    expected = (
        {"coffee": "imagenet"} if "coffee" in samples() and find_spec(IMAGENET_PACKAGE) else {"scene-5": "detector"}
    )
    assert {sample.name: model} == expected
    taken = studio.post("/api/samples/scene-1")
    assert taken.status_code == 201, taken.text
    assert taken.json()["name"] == "scene-1.jpg"
    assert (taken.json()["h"], taken.json()["w"]) == (480, 640)
    sent = studio.get(f"/api/pictures/{taken.json()['id']}").content
    assert sent == studio.get("/api/samples/scene-1").content == samples()["scene-1"].fpath.read_bytes()
    assert studio.post("/api/samples/nothing").status_code == 404
    small = Image.open(io.BytesIO(studio.get("/api/samples/scene-1/thumb").content))
    assert small.size == (160, 120)
    thumb = Image.open(io.BytesIO(studio.get(f"/api/pictures/{taken.json()['id']}/thumb").content))
    assert (thumb.format, thumb.size) == ("JPEG", (160, 120))
