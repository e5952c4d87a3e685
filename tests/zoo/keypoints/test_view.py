"""A keypoint model that was trained here: which part of the picture speaks for a point's peak, by its name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.api import explain, open_model
from isotherm.cam.view import View
from isotherm.cli.main import main
from isotherm.data.keypoint_cache import cache_keypoints
from isotherm.errors import AdapterError, OptionError
from isotherm.models.own.trained_here import KEYPOINTS, file_of
from isotherm.runs.read import read_items
from isotherm.train.keypoint_build import FILE, ModelChoice, TrainedKeypoints, make_model, save_keypoints
from isotherm.train.keypoint_predict import predict_pictures
from isotherm.train.keypoints import recipe_of, train_keypoints
from isotherm.train.run_folder import RunFolder
from isotherm.zoo.keypoints.view import KeypointsView, load
from rigs.dots import CONFIG, dots
from rigs.transformers_views import hit

CHOICE = ModelChoice(widths=(16, 32), depth=1, head_options={"widths": (16,), "groups": 8})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder, kind = tmp_path_factory.mktemp("run"), dots(120)
    config = replace(CONFIG, steps=80)
    model = train_keypoints(
        config,
        make_model(CHOICE, 2, size=CONFIG.size),
        cache_keypoints(kind, folder / "cache", side=40),
        kind,
        RunFolder(folder / "run", recipe_of(config)),
    )
    return TrainedKeypoints(model=model, choice=CHOICE, objective=CONFIG.objective, size=CONFIG.size, names=kind.names)


def seen(count: int) -> list:
    """Dots in pictures, both of which are there."""
    return [r for r in dots(20, seed=3) if not bool(r.points.isnan().any())][:count]


def test_the_map_of_a_point_lies_on_it(trained):
    view = KeypointsView(trained)
    assert isinstance(view, View)
    (layer,) = view.auto_layers().layers
    assert layer.startswith("backbone")
    for record in seen(2):
        for number, name in enumerate(view.names):
            found = explain(view, record.picture, target=name, trust="off")[0]
            assert found.label == f"{name} peak"
            w = found.values.shape[1]
            cell = int(found.values.argmax())
            place = found.frame.points_to_source(torch.tensor([[cell % w + 0.5, cell // w + 0.5]]).double())[0]
            # cells are 10 pixels wide: the strongest is the point's, or where the point is near an edge its neighbour
            assert float((place - record.points[number]).abs().max()) < 7.5


def test_occlusion_by_the_background_lies_on_the_point(trained, monkeypatch):
    """The mean colour is a bright square on these dark pictures: by GroupNorm it moves the values of the whole map."""
    view = KeypointsView(trained)
    prepare = view.prepare

    def on_background(pictures):
        inputs = prepare(pictures)
        return replace(inputs, blank=inputs.tensor[0, :, 0, 0])

    monkeypatch.setattr(view, "prepare", on_background)
    for record in seen(2):
        for number, name in enumerate(view.names):
            found = explain(view, record.picture, target=name, method="occlusion", trust="off")[0]
            w = found.values.shape[1]
            cell = int(found.values.argmax())
            place = found.frame.points_to_source(torch.tensor([[cell % w + 0.5, cell // w + 0.5]]).double())[0]
            # windows are 5 pixels wide
            assert float((place - record.points[number]).norm()) < 5


def test_cells_of_the_chosen_layer_follow_a_block_and_peaks_are_the_predictions(trained):
    view = KeypointsView(trained)
    (layer,) = view.auto_layers().layers
    for centre in ((80, 90), (130, 60), (40, 120)):
        # 4 x 4 cells: what a trained network makes of a block's edges moves the strongest a little
        assert max(hit(view, layer, centre)) <= 0.75
    pictures = [r.picture for r in seen(4)]
    inputs = view.prepare(pictures)
    with torch.no_grad():
        found = view.find(view.run(inputs), inputs)
    peak = found.values.flatten(2).argmax(-1)
    w = found.values.shape[-1]
    cells = torch.stack([peak % w + 0.5, peak // w + 0.5], -1).double()
    places = torch.stack([found.frame[i].points_to_source(cells[i]) for i in range(len(pictures))])
    own = predict_pictures(trained, pictures).xy.double()
    # the decoder looks between cells
    assert float((places - own).abs().median()) <= float(found.frame.cell_size.max())


def test_a_box_is_what_it_looks_at(trained):
    (record,) = seen(1)
    wide = np.pad(record.picture, ((100, 60), (30, 200), (0, 0)), constant_values=40)
    h, w = record.picture.shape[:2]
    view = KeypointsView(trained, object_box=(30.0, 100.0, 30.0 + w, 100.0 + h))
    inputs, plain = view.prepare([wide]), KeypointsView(trained).prepare([record.picture])
    torch.testing.assert_close(inputs.tensor, plain.tensor)
    with pytest.raises(OptionError, match="expected x0, y0, x1, y1"):
        KeypointsView(trained, object_box=(3, 1, 2, 4))


def test_the_command_line_takes_the_file_or_its_folder(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    save_keypoints(trained, "run/model.safetensors")
    Image.fromarray(seen(1)[0].picture).save("dots.png")
    name = trained.names[1]
    command = ["explain", "dots.png", "--trust", "off", "--device", "cpu"]
    assert main([*command, "--model", "run", "--class", name, "--out", "one"]) == 0
    assert main([*command, "--model", "run/model.safetensors", "--out", "all"]) == 0
    labels = [[one["label"] for item in read_items(out) for one in item["maps"]] for out in ("one", "all")]
    assert labels == [[f"{name} peak"], [f"{n} peak" for n in trained.names]]
    capsys.readouterr()
    assert main([*command, "--model", "run", "--size", "64", "--out", "no"]) == 2
    told = capsys.readouterr().err
    assert "a keypoint model that was trained here is used as it was trained and takes no --size; leave it out" in told
    assert not (tmp_path / "no").exists()
    assert file_of("dots.png") is None
    assert FILE.format == KEYPOINTS
    assert load("run").names == trained.names
    for model in ("run", tmp_path / "run/model.safetensors"):  # and so does Python
        (heatmap,) = explain(model, "dots.png", target=name, trust="off")
        assert heatmap.label == f"{name} peak"
    assert open_model("run", object_box=(1, 1, 9, 9)).object_box == (1, 1, 9, 9)
    with pytest.raises(
        OptionError, match=r"used as it was trained and takes no option size; known are device, object_box"
    ):
        open_model("run/model.safetensors", size=64)


def test_places_without_maps_have_no_peak():
    choice = ModelChoice(widths=(16, 32), depth=1, head="coordinates", head_options={"widths": (8,)})
    model = make_model(choice, 2, size=(32, 32))
    trained = TrainedKeypoints(model=model, choice=choice, objective=CONFIG.objective, size=(32, 32), names=("a", "b"))
    with pytest.raises(AdapterError, match="makes places without a map"):
        KeypointsView(trained)
