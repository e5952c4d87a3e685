"""transformers' models of depth: read where their processors put the picture, at a place, in a box or in the mean."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from isotherm.api import explain, open_model
from isotherm.cam.scores import MapValue
from isotherm.cam.view import View
from isotherm.cli.main import main
from isotherm.errors import UnfitTargetError
from isotherm.runs.read import read_items
from rigs.breadth import wide
from rigs.transformers_maps import depth_processor, depth_view, make_depth
from rigs.transformers_models import picture
from rigs.transformers_views import hit, view_of

LAYERS = {
    "depth_anything": "backbone.encoder.layer.3.norm1",
    "dpt": "dpt.encoder.layer.3.layernorm_before",
    "zoedepth": "backbone.beit.layers.3.layernorm_before",
    "glpn": "glpn.encoder.layer_norm.3",
}


@pytest.mark.parametrize("family", ["depth_anything", "dpt", "zoedepth", *wide(["glpn"])])
def test_depth_is_the_models_own_and_explained_at_the_end_of_the_encoder(family):
    view = depth_view(family)
    assert isinstance(view, View)
    assert view.auto_layers().layers == (LAYERS[family],)
    for centre in ((80, 90), (130, 60)):
        assert max(hit(view, LAYERS[family], centre)) <= (0.6 if family == "glpn" else 0.4)
    photo = picture(90, 150)
    inputs = view.prepare([photo])
    pixels = depth_processor(family)(photo, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        found = view.find(view.run(inputs), inputs)
        torch.testing.assert_close(found.values[:, 0], view.model(pixel_values=pixels).predicted_depth)
    mean = explain(view, photo, trust="off")[0]
    assert mean.label == "depth mean"
    assert float(mean.values.abs().max()) > 0


@pytest.mark.parametrize("family", ["depth_anything", "zoedepth"])
def test_a_place_is_where_the_processor_finds_it_again(family):
    """The processor brings its map back to the picture's size: there the same place has the same depth."""
    view, photo = depth_view(family), picture(96, 144)
    inputs = view.prepare([photo])
    with torch.no_grad():
        raw = view.run(inputs)
        found = view.find(raw, inputs)
        # a depth that grows to the right and downwards tells where each cell is
        h, w = raw.shape[-2:]
        y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
        places = found.frame[0].points_to_source(torch.stack([x, y], -1).flatten(0, 1).double()).view(h, w, 2).float()
    for axis, side in ((0, 144), (1, 96)):
        output = type("Output", (), {"predicted_depth": places[..., axis][None]})
        sizes = {"source_sizes": [(96, 144)]} if family == "zoedepth" else {}
        (own,) = depth_processor(family).post_process_depth_estimation(output, target_sizes=[(96, 144)], **sizes)
        line = own["predicted_depth"].mean(axis) if axis == 0 else own["predicted_depth"].mean(1)
        assert float((line - torch.arange(side) - 0.5)[8:-8].abs().max()) < 1.5


def test_a_place_and_a_box_are_read_there():
    view, photo = depth_view("depth_anything"), picture(90, 150)
    at, inside = (
        explain(view, photo, target=t, trust="off")[0]
        for t in (MapValue(point=(50, 40)), MapValue(box=(20, 20, 60, 60)))
    )
    assert (at.label, inside.label) == ("depth at 50,40", "depth in 20,20,60,60")
    assert not torch.allclose(at.values, inside.values)
    with pytest.raises(UnfitTargetError, match="a score of models of depth"):
        explain(view_of("vit"), photo, target=MapValue(point=(50, 40)))


def test_the_command_line_asks_for_a_place_and_a_box(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_depth("dpt", 1).save_pretrained("dpt")
    depth_processor("dpt").save_pretrained("dpt")
    Image.fromarray(picture()).save("photo.png")
    command = ["explain", "photo.png", "--trust", "off", "--device", "cpu"]
    assert main([*command, "--model", "dpt", "--point", "75,45", "--out", "at"]) == 0
    assert main([*command, "--model", "dpt", "--box", "20,20,60,60", "--out", "in"]) == 0
    labels = [one["label"] for out in ("at", "in") for item in read_items(out) for one in item["maps"]]
    assert labels == ["depth at 75,45", "depth in 20,20,60,60"]
    capsys.readouterr()
    assert main([*command, "--model", "scenes", "--point", "75,45", "--out", "no"]) == 2
    assert "--point 75,45 is for models of depth and of keypoints, and this model" in capsys.readouterr().err
    assert main([*command, "--model", "dpt", "--point", "75", "--out", "never"]) == 2
    assert "--point 75: expected two numbers x,y" in capsys.readouterr().err
    assert not (tmp_path / "never").exists()
    assert open_model("dpt").names == ("depth",)
