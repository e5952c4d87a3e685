"""Views of a table with a known truth become its point in space; a view that means another place is named."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm import targets
from isotherm.data.tabletop import BOUNDS, ORTHOGRAPHIC, PERSPECTIVE, make_tabletop
from isotherm.decode import Abstention
from isotherm.errors import InputError, OptionError
from isotherm.frame import Frame
from isotherm.grounding.answer import Calibration
from isotherm.heatmap import Heatmap
from isotherm.jobs.lift.options import LiftJob
from isotherm.jobs.lift.run import run
from isotherm.train.grounding.build import open_grounding
from isotherm.train.grounding.predict import features_at
from rigs.grounding import random_trained
from rigs.reporters import Listening

SIZE = 64
KEPT = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
NO_FOCUS = [[0, 0, 32], [0, 0, 32], [0, 0, 1]]


def camera_of(view):
    if hasattr(view.camera, "columns"):
        return {"orthographic": [view.camera.columns, view.camera.rows]}
    camera = view.camera
    parts = {"K": camera.intrinsics, "R": camera.rotation, "t": camera.translation}
    return {name: value[0].tolist() for name, value in parts.items()}


@pytest.fixture(scope="module")
def table():
    return make_tabletop(5, size=SIZE, samples=1)


@pytest.fixture
def scene(tmp_path, table):
    """(the true point, write): write makes views.json with ready maps of some views, one of them elsewhere if asked."""
    instruction = table.instructions[0]

    def write(names, *, wrong=None, maps=True, letterbox=False, **changes):
        views = []
        for name in names:
            view = table.views[name]
            Image.fromarray(view.picture).save(tmp_path / f"{name}.png")
            x, y = table.points(instruction)[name]
            if name == wrong:
                x, y = SIZE - x, SIZE - y
            frame = Frame.letterbox((SIZE, SIZE), (40, 60)) if letterbox else Frame.identity((SIZE, SIZE))
            target = targets.gaussian(torch.tensor([[x, y]]), frame, sigma_cells=1.5, kind="probability")
            Heatmap(target.heatmap.values[0], frame, "probability").save(tmp_path / f"{name}.npz")
            ready = {"heatmap": f"{name}.npz"} if maps else {}
            views.append({"name": name, "picture": f"{name}.png", "camera": camera_of(view)} | ready)
        content = {"text": instruction.text, "bounds": BOUNDS, "views": views} | changes
        (tmp_path / "views.json").write_text(json.dumps(content, indent=1))
        return tmp_path / "views.json"

    return np.array(instruction.point), write


@pytest.mark.parametrize(
    ("names", "letterbox"),
    [
        (tuple(ORTHOGRAPHIC), False),
        (tuple(ORTHOGRAPHIC), True),
        (PERSPECTIVE, True),
        (("left", "top"), False),
        (("side", "right", "operator"), True),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_ready_maps_give_the_true_point_without_a_model(scene, tmp_path, names, letterbox):
    point, write = scene
    place = run(LiftJob(views=write(names, letterbox=letterbox), out=tmp_path / "out", resolution=48))
    facts = json.loads((tmp_path / "out" / "point.json").read_text())
    assert np.abs(np.array(facts["point"]) - point).max() < 0.012
    assert facts["agree"]
    assert facts["answered"]
    assert facts["model"].startswith("no model")
    assert np.linalg.eigvalsh(np.array(facts["covariance"])).min() > 0
    assert all(view["off_px"] < 2 for view in facts["views"])
    assert sorted(f.name for f in (tmp_path / "out").glob("*.jpg")) == sorted(f"{name}.jpg" for name in names)
    assert "the views agree" in str(place)


def test_a_view_that_means_another_place_is_found_out(scene, tmp_path):
    _, write = scene
    place = run(LiftJob(views=write(tuple(ORTHOGRAPHIC), wrong="top"), out=tmp_path / "out"))
    assert not place.facts["agree"]
    assert not place.facts["answered"]
    assert place.facts["disagreement_nats"] > 2
    assert "do not trust it" in str(place)


@pytest.mark.parametrize("views", [1, 3])
def test_a_model_is_asked_where_maps_are_missing(families, scene, tmp_path, views):
    """Each picture by itself or all in one prompt, as it was trained; what the head read at the point is written."""
    _, write = scene
    trained = random_trained(families("paligemma")[0], views=views)
    fpath = write(tuple(ORTHOGRAPHIC), maps=False)
    place = run(
        LiftJob(views=fpath, out=tmp_path / "out", resolution=16, features=True, text="the red block"),
        opened=(trained, "a model"),
    )
    assert place.facts["instruction"] == "the red block"
    with np.load(tmp_path / "out" / "features.npz") as file:
        assert file["features"].shape == (3, 48)
        assert file["views"].tolist() == list(ORTHOGRAPHIC)


def test_without_a_run_the_shipped_model_finds_the_block_and_says_that_it_is_it(scene, tmp_path):
    point, write = scene
    reporter = Listening()
    place = run(LiftJob(views=write(tuple(ORTHOGRAPHIC), maps=False), out=tmp_path / "out"), reporter)
    assert np.abs(np.array(place.facts["point"]) - point).max() < 0.03
    assert "the small model that ships with isotherm" in place.facts["model"]
    assert any("since no run was named" in text for _, text in reporter.messages)


def test_views_that_are_not_sure_by_themselves_are_named(families, scene, tmp_path):
    _, write = scene
    rule = Abstention(0.9, 0.0, 0.1, 0.5)
    trained = random_trained(families("paligemma")[0], calibration=Calibration(abstention=rule))
    reporter = Listening()
    job = LiftJob(views=write(tuple(ORTHOGRAPHIC), maps=False), out=tmp_path / "out", resolution=16)
    place = run(job, reporter, opened=(trained, "a model"))
    assert place.facts["agree"]  # flat maps contradict nothing
    assert not place.facts["answered"]
    (alarm,) = [text for kind, text in reporter.messages if kind == "alarm"]
    assert "not all are sure enough by themselves (90% is needed): top (" in alarm
    assert "side (" in alarm
    assert alarm in str(place)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"views": []}, r"views.json: views has 0 of them; a place in space needs at least two"),
        ({"bounds": [[0, 0, 0], [1, 0, 1]]}, r"views.json: bounds are .*first corner must be below"),
        ({"bounds": ...}, r"views.json: there are no 'bounds'"),
        ({"views": ...}, r"views.json: there is no list 'views'"),
        ({"text": 3}, r"views.json: text is 3"),
        ({"txt": "pick it"}, r"views.json: there is no key 'txt'; did you mean 'text'?"),
        ({"bounds": [[-1e300] * 3, [1e300] * 3]}, r"views.json: bounds are .*; expected sides from 1e-12 to 1e\+12"),
    ],
)
def test_files_that_are_wrong_are_refused(scene, change, message):
    _, write = scene
    fpath = write(tuple(ORTHOGRAPHIC))
    content = json.loads(fpath.read_text()) | change
    fpath.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))
    with pytest.raises(InputError, match=message):
        run(LiftJob(views=fpath))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"camera": ...}, r"views.json:\d+: the view has no 'camera'"),
        ({"camera": {"orthographic": ["+x", "+x"]}}, r"views.json:\d+: .*same axis"),
        ({"camera": {"K": [], "R": [], "t": []}}, r"views.json:\d+: K is \[\]; expected 3 x 3"),
        ({"picture": "no.png"}, r"views.json:\d+: .*no.png"),
        ({"heatmap": "top.png"}, r"views.json:\d+: "),
        ({"picture": ..., "heatmap": ...}, r"views.json:\d+: the view 'top' has neither"),
        ({"name": "side"}, r"views.json: two views have the name 'side'; give every view one of its own"),
        ({"pictur": "top.png"}, r"views.json:\d+: there is no key 'pictur'; did you mean 'picture'?"),
        ({"camera": {"orthographic": ["+x", "-y"], "bound": BOUNDS}}, r"no key 'bound'; did you mean 'bounds'?"),
        ({"camera": {"orthographic": ["+x", "-y"], "K": KEPT}}, r"has both 'orthographic' and 'K'; keep what it is"),
        (
            {"camera": {"K": NO_FOCUS, "R": KEPT, "t": [0, 0, 2]}},
            r"views.json:\d+: intrinsics have a focal length of 0",
        ),
    ],
)
def test_views_that_are_wrong_are_named_with_their_line(scene, change, message):
    _, write = scene
    fpath = write(tuple(ORTHOGRAPHIC))
    content = json.loads(fpath.read_text())
    view = content["views"][0] | change
    content["views"][0] = {k: v for k, v in view.items() if v is not ...}
    fpath.write_text(json.dumps(content, indent=1))
    with pytest.raises(InputError, match=message):
        run(LiftJob(views=fpath))


@pytest.mark.parametrize(
    ("kind", "value"), [("logits", np.nan), ("logits", np.inf), ("logits", -np.inf), ("probability", 0.0)]
)
def test_maps_that_are_no_distribution_are_refused(scene, tmp_path, kind, value):
    _, write = scene
    fpath = write(tuple(ORTHOGRAPHIC))
    values = torch.full((SIZE, SIZE), value)
    Heatmap(values, Frame.identity((SIZE, SIZE)), kind).save(tmp_path / "top.npz")
    with pytest.raises(InputError, match=r"views.json:\d+: the map is no distribution"):
        run(LiftJob(views=fpath))


def test_a_camera_that_sees_nothing_of_the_box_is_named(scene, tmp_path):
    _, write = scene
    fpath = write(tuple(ORTHOGRAPHIC))
    content = json.loads(fpath.read_text())
    content["views"][1]["camera"] = {"K": [[80, 0, 32], [0, 80, 32], [0, 0, 1]], "R": KEPT, "t": [0, 0, -2]}
    fpath.write_text(json.dumps(content))
    with pytest.raises(OptionError, match=r"the camera of view 'side' sees nothing of the box \[\[-0.5"):
        run(LiftJob(views=fpath, out=tmp_path / "out"))


@pytest.mark.parametrize("unit", [1.0, 1e-6])
def test_a_point_has_as_many_digits_in_any_unit(scene, tmp_path, unit):
    point, write = scene
    bounds = [[v * unit for v in corner] for corner in BOUNDS]
    place = run(LiftJob(views=write(tuple(ORTHOGRAPHIC), bounds=bounds), out=tmp_path / "out", resolution=32))
    assert np.abs(np.array(place.facts["point"]) / unit - point).max() < 0.02
    shown = [float(v) for v in str(place)[1:].split(")")[0].split(",")]
    assert np.allclose(shown, place.facts["point"], atol=0.01 * unit)


def test_nothing_is_read_where_a_picture_does_not_show_the_point(families):
    trained = random_trained(families("paligemma")[0], views=1)
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    for place, there in ((torch.tensor([[10.0, 10.0]]), True), (torch.tensor([[torch.nan, 10.0]]), False)):
        assert bool(features_at(trained, [picture], "the red block", place).isfinite().all()) == there


def test_what_does_not_go_together_is_refused(scene, tmp_path, families):
    _, write = scene
    ready = write(tuple(ORTHOGRAPHIC))
    with pytest.raises(OptionError, match="--features are what a model read"):
        run(LiftJob(views=ready, features=True))
    trained = random_trained(families("paligemma")[0], views=2)
    with pytest.raises(OptionError, match="there are 3 pictures with an instruction; this model was trained on 2"):
        run(LiftJob(views=write(tuple(ORTHOGRAPHIC), maps=False), out=tmp_path / "o"), opened=(trained, "a model"))
    with pytest.raises(InputError, match="holds no trained grounding model"):
        open_grounding(tmp_path)
