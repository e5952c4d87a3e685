"""The heatmap generator of the YOLOE app: its names and defaults, and what each parameter does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm import explain
from isotherm.draw import renormalise_in_boxes
from isotherm.errors import AdapterError, OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.systems.yoloe import MostConfident, YoloEHeatmapGenerator, get_default_params
from rigs.yolo_models import bus, make_yolo

BGR = np.ascontiguousarray(bus()[..., ::-1])


@pytest.fixture(scope="module")
def yolo():
    return make_yolo("yoloe-11s-seg.yaml")


def generator(yolo, **changes) -> YoloEHeatmapGenerator:
    return YoloEHeatmapGenerator(**{**get_default_params(), "weight": yolo, "device": "cpu", "size": 160, **changes})


def test_imports():
    from isotherm.systems import yoloe

    assert {"YoloEHeatmapGenerator", "get_default_params"} <= set(vars(yoloe))


def test_default_parameters():
    params = get_default_params()
    assert list(params) == [
        "weight", "device", "method", "layer", "backward_type", "conf_threshold", "ratio", "show_box", "renormalize"
    ]  # fmt: skip
    assert list(params.values())[2:] == ["HiResCAM", [10, 12, 14, 16, 18], "class", 0.2, 0.02, False, True]


def test_model_loading(tmp_path):
    made = YoloEHeatmapGenerator("yolo11n.yaml", device="cpu", size=320)
    assert made.view.name.startswith("yolo11n")
    assert made.layers == ("model.10", "model.12", "model.14", "model.16", "model.18")
    (tmp_path / "damaged.pt").write_bytes(b"nothing")
    with pytest.raises(AdapterError, match=r"damaged\.pt is no file of a model"):
        YoloEHeatmapGenerator(tmp_path / "damaged.pt")


def test_creation(yolo):
    made = generator(yolo)
    assert (made.method, made.error, made.heatmap) == ("hirescam", None, None)


def test_output_file(yolo, tmp_path):
    made = generator(yolo)
    assert made.generate(BGR, tmp_path / "map.jpg") is True
    assert made.error is None
    with Image.open(tmp_path / "map.jpg") as image:
        assert image.size == (810, 1080)
        drawn = np.asarray(image).astype(int)
    assert np.abs(drawn - bus()).max() > 60  # there is something to see
    assert np.median(np.abs(drawn - bus())) <= 3  # in the colours of the picture: blue was first


@pytest.mark.parametrize(
    ("word", "value", "message"),
    [
        ("backward_type", "classes", "class, box, segment, all"),
        ("ratio", 0.0, "above 0"),
        ("ratio", 1.5, "up to 1"),
        ("method", "HiResCam2", "hirescam"),
        ("device", "cuda:99", "no device"),
        ("conf_threshold", 1.2, "above 0 and below 1"),
    ],
)
def test_parameters_that_are_none_are_named_before_anything_is_opened(yolo, word, value, message):
    with pytest.raises(OptionError, match=message):
        generator(yolo, **{word: value})


@pytest.mark.parametrize(
    ("picture", "name", "message"),
    [
        (None, "m.jpg", "NoneType; expected"),
        (BGR.astype(np.float32), "m.jpg", "float32"),
        (BGR[..., 0], "m.jpg", "uint8 "),
        (BGR, "m.bmp", r"must end in"),
        (BGR, "no/such/folder/m.jpg", "no/such/folder"),
    ],
)
def test_a_failure_is_false_with_its_reason_and_no_file(yolo, tmp_path, logged, picture, name, message):
    made = generator(yolo)
    (tmp_path / "m.jpg").write_bytes(b"kept")
    assert made.generate(picture, tmp_path / name) is False
    assert message in (made.error or "")
    assert message in logged()
    assert [p.name for p in tmp_path.iterdir()] == ["m.jpg"]
    assert (tmp_path / "m.jpg").read_bytes() == b"kept"


def test_nothing_found_is_no_picture(yolo, tmp_path):
    made = generator(yolo, conf_threshold=0.9999, size=320)  # at half of it random weights are surer
    assert made.generate(BGR, tmp_path / "m.jpg") is False
    assert "confidence of 0.9999 or more" in made.error
    assert not list(tmp_path.iterdir())
    made = generator(yolo)
    assert made.generate(BGR, tmp_path / "m.jpg")
    assert made.error is None


def test_ratio_is_a_share_of_the_detections_from_the_most_confident_on(yolo):
    everything = explain(generator(yolo).view, bus(), trust="off").findings
    confidences = [finding.confidence for finding in everything]
    assert confidences == sorted(confidences, reverse=True)
    assert len(everything) >= 8
    assert [MostConfident("class", 0.02).number(n) for n in (0, 1, 99, 100)] == [0, 1, 1, 2]
    half = explain(generator(yolo).view, bus(), target=MostConfident("class", 0.5), trust="off")
    assert [heatmap.meta["finding"] for heatmap in half] == list(range(len(everything) // 2))


def test_backward_type_decides_what_is_explained(yolo, tmp_path):
    maps = {}
    for word in ("class", "box", "segment", "all"):
        made = generator(yolo, backward_type=word, layer="auto", renormalize=False)
        assert made.generate(BGR, tmp_path / f"{word}.png"), made.error
        maps[word] = made.heatmap
    for word, target in (("class", "class"), ("box", "box"), ("segment", "mask")):
        whole = explain(made.view, bus(), target=MostConfident(target, 0.02), method="hirescam", trust="off")
        torch.testing.assert_close(maps[word].values, torch.stack([m.values for m in whole]).sum(0))
    assert not torch.allclose(maps["class"].values, maps["box"].values)


def test_the_map_of_several_is_the_map_of_their_summed_scores(yolo, tmp_path):
    made = generator(yolo, ratio=0.4, layer=[16])
    assert made.generate(BGR, tmp_path / "m.png")
    number = made.target.number(len(explain(made.view, bus(), trust="off").findings))
    assert number > 2

    def summed(prediction):
        return prediction.logits.gather(1, prediction.classes[:, None])[:number].sum()[None]

    one = explain(made.view, bus(), target=summed, method="hirescam", layers=made.layers, trust="off")
    scale = float(one[0].values.abs().max())
    torch.testing.assert_close(made.heatmap.values, one[0].values, rtol=1e-3, atol=1e-4 * scale)


def test_show_box_draws_the_boxes_of_what_is_explained(yolo, tmp_path):
    for show in (True, False):
        made = generator(yolo, show_box=show)
        assert made.generate(BGR, tmp_path / f"{show}.png")
    different = (np.asarray(Image.open(tmp_path / "True.png")) != np.asarray(Image.open(tmp_path / "False.png"))).any(
        -1
    )
    x0, _, x1, _ = explain(made.view, bus(), trust="off").findings[0].box
    columns = np.flatnonzero(different.any(0))
    assert abs(columns.min() - max(x0, 0)) < 25
    assert abs(columns.max() - min(x1, 809)) < 60  # a label may stand out
    assert different.any()


def test_renormalised_each_box_has_its_own_maximum_and_there_is_nothing_outside():
    values = torch.tensor([[1.0, 2.0, 4.0, 8.0, -1.0, 0.5]])
    heatmap = Heatmap(values, Frame.resize((1, 6), (1, 6)), "relevance", signed=True)
    result = renormalise_in_boxes(heatmap, [(0, 0, 2, 1), (1, 0, 3, 1), (4, 0, 9, 1)])
    assert result.values.tolist() == [[0.5, 1.0, 1.0, 0.0, 0.0, 1.0]]
    assert not result.signed
    assert float(renormalise_in_boxes(heatmap, []).values.abs().sum()) == 0
    assert float(renormalise_in_boxes(heatmap, [(0.6, 0, 1.4, 1)]).values.abs().sum()) == 0  # no pixel's centre
    with pytest.raises(ShapeError, match="ends before"):
        renormalise_in_boxes(heatmap, [(3, 0, 1, 1)])


def test_renormalised_cells_lie_where_the_frame_puts_them():
    heatmap = Heatmap(torch.rand(20, 20), Frame.letterbox((60, 80), (80, 80)).resized((20, 20)), "relevance")
    result = renormalise_in_boxes(heatmap, [(10, 20, 40, 50)])
    own = heatmap.at_source()[20:50, 10:40]
    assert result.values.shape == (60, 80)
    torch.testing.assert_close(result.values[20:50, 10:40], own / own.max())
    assert int((result.values > 0).sum()) == int((own > 0).sum())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ratio", "0.5"), ("ratio", None), ("ratio", True), ("conf_threshold", "0.2"), ("conf_threshold", 1.0),
        ("conf_threshold", None), ("backward_type", ["class"]), ("backward_type", None), ("method", None), ("method", 3),
        ("device", 0), ("layer", 16), ("layer", []), ("layer", None), ("layer", [1.5]), ("layer", [True]),
        ("show_box", "no"), ("renormalize", None),
    ],
)  # fmt: skip
def test_values_of_another_kind_are_refused_by_name(yolo, name, value, unchecked):
    with pytest.raises(OptionError, match=rf"^{name} (is|has) "):
        generator(yolo, **{name: value})
