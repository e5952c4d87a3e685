"""Models that cannot be looked into are explained by changing the picture, and a method that needs more says what works."""

from __future__ import annotations

import copy
import warnings
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from isotherm import explain, open_model, view_of
from isotherm.errors import AdapterError, MethodError, MissingExtraError, OptionError
from isotherm.methods import DRISE, RISE, Occlusion
from isotherm.models.own.black_box import as_tensors, joined
from rigs.onnx_network import network, onnx_file

FED = dict(size=64, mean=(0.0,) * 3, std=(1.0,) * 3, geometry="squash")
PICTURE = np.zeros((64, 64, 3), np.uint8)
PICTURE[8:24, 40:56] = 255
METHODS = {"rise": RISE(masks=300, grid=6, batch=50), "occlusion": Occlusion(window=16, stride=8, batch=50)}
QUICK = METHODS["rise"]
COARSE = METHODS["occlusion"]


def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(network(), torch.zeros(1, 3, 64, 64), check_trace=False)


def exported():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(network(), (torch.zeros(1, 3, 64, 64),))


def quantised():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(copy.deepcopy(network()), {nn.Linear})


def function():
    net = network()

    def predict(x):
        with torch.no_grad():
            return net(x)

    return predict


def by_numpy(x):
    return x.numpy(force=True).mean((2, 3))


def strongest(heatmap) -> tuple[float, float]:
    row, column = np.unravel_index(int(heatmap.values.argmax()), heatmap.values.shape)
    (point,) = heatmap.frame.points_to_source(torch.tensor([[column + 0.5, row + 0.5]], dtype=torch.float64))
    return float(point[0]), float(point[1])


def assert_at_the_square(heatmap) -> None:
    x, y = strongest(heatmap)
    assert 34 <= x <= 62
    assert 2 <= y <= 30


@cache
def of_the_network(method: str):
    """What the same says of the network itself, whose layers can be read."""
    return explain(network(), PICTURE, target=2, method=METHODS[method], trust="off", layers="0", **FED)


@pytest.mark.parametrize("make", [scripted, exported, quantised, function])
@pytest.mark.parametrize("method", METHODS)
def test_a_model_without_layers_is_explained_as_the_network_it_was_made_from(make, method):
    maps = explain(make(), PICTURE, target=2, method=METHODS[method], trust="off", **FED)
    assert_at_the_square(maps[0])
    own = of_the_network(method)
    assert maps[0].meta["score"] == pytest.approx(own[0].meta["score"], rel=0.02)
    assert np.corrcoef(maps[0].values.flatten(), own[0].values.flatten())[0, 1] > 0.98
    assert any("cannot be looked into" in line for line in maps.chosen)


@pytest.mark.parametrize("rows", ["b", 1], ids=["any number of pictures", "one picture"])
def test_an_onnx_file_is_explained_by_its_path_at_its_own_size(tmp_path, rows):
    pytest.importorskip("onnxruntime", reason="nothing to run ONNX with is installed")
    fpath = onnx_file(tmp_path, rows)
    for given in (fpath, str(fpath)):
        maps = explain(
            given, PICTURE, target=2, method=COARSE, trust="off", mean=(0.0,) * 3, std=(1.0,) * 3, geometry="squash"
        )
        assert_at_the_square(maps[0])
        assert np.allclose(maps[0].values, of_the_network("occlusion")[0].values, atol=1e-4)
        assert maps[0].meta["model"] == "net.onnx"


def test_a_file_that_is_no_onnx_model_says_so(tmp_path):
    pytest.importorskip("onnxruntime", reason="nothing to run ONNX with is installed")
    (tmp_path / "net.onnx").write_bytes(b"nothing")
    with pytest.raises(AdapterError, match=r"net\.onnx cannot be opened as an ONNX model"):
        open_model(tmp_path / "net.onnx")


def test_an_onnx_file_without_its_package_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "net.onnx").write_bytes(b"nothing")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"running net\.onnx needs the package onnxruntime"):
        open_model(tmp_path / "net.onnx")


def test_a_predictor_of_pictures_is_given_bytes_and_may_answer_in_plain_numbers():
    """As a service on the network does: pictures in, JSON out."""
    seen = []

    def ask(pictures):
        seen.extend(pictures)
        return [{"bright": float(p.mean()) / 255, "size": list(p.shape[:2])} for p in pictures]

    maps = explain(
        ask, PICTURE, takes="pictures", size=64, target=lambda out: out[0]["bright"], method=QUICK, trust="off"
    )
    assert_at_the_square(maps[0])
    assert {(p.dtype.name, p.ndim) for p in seen} == {("uint8", 3)}
    assert maps[0].meta["score"] == pytest.approx(float(PICTURE.mean()) / 255, abs=1e-3)
    logits = explain(
        lambda pictures: [[float(p.mean()), 0.0] for p in pictures], PICTURE, takes="pictures", size=64, method=COARSE
    )
    assert logits[0].label == "class 0"
    assert logits.trust_lines[0].startswith("trust: evidence gain ")


def test_a_detector_without_layers_is_explained_by_d_rise():
    def detect(x):
        bright = torch.nn.functional.avg_pool2d(x.mean(1, keepdim=True), 16).flatten(1)
        corners = torch.tensor([(c * 16.0, r * 16.0) for r in range(4) for c in range(4)])
        return torch.cat([corners, corners + 16], 1).expand(len(x), -1, -1), (bright * 10 - 1)[:, :, None]

    view = view_of(detect, findings=lambda out: out, names=["bright"], confidence=0.5, **FED)
    maps = explain(view, PICTURE, method=DRISE(masks=300, grid=6, batch=50), trust="off")
    assert [finding.label for finding in maps.findings] == ["bright"] * len(maps)
    for heatmap, finding in zip(maps, maps.findings, strict=True):
        x, y = strongest(heatmap)
        assert finding.box[0] - 6 <= x <= finding.box[2] + 6
        assert finding.box[1] - 6 <= y <= finding.box[3] + 6


@pytest.mark.parametrize(
    ("make", "method", "message"),
    [
        (function, "gradcam", "GradCAM reads layers, and predict is a function, which has none to look into; rise, drise and occlusion need neither"),
        (scripted, "scorecam", "ScoreCAM reads layers, and .* is a TorchScript program"),
        (exported, "hirescam", "is a torch.export program"),
        (quantised, "gradcam", "is a quantised network"),
        (lambda: by_numpy, "integratedgradients", r"no gradient at the model's input, .*by_numpy is a function; rise, drise and occlusion need"),
    ],
)  # fmt: skip
def test_a_method_that_looks_inside_says_what_works(make, method, message):
    with pytest.raises(MethodError, match=message):
        explain(make(), PICTURE, target=2, method=method, trust="off", **FED)


def test_a_program_that_has_gradients_at_its_input_gives_those():
    maps = explain(scripted(), PICTURE, target=2, method="integratedgradients", trust="off", **FED)
    own = explain(network(), PICTURE, target=2, method="integratedgradients", trust="off", layers="0", **FED)
    assert np.allclose(maps[0].values, own[0].values, atol=1e-5)


def test_the_method_without_a_word_is_one_that_works():
    view = view_of(function(), **FED)
    assert view.default_method == "rise"
    assert view.auto_layers().layers == ("input",)


def test_the_trust_line_of_a_model_without_weights_is_what_can_be_known():
    maps = explain(function(), PICTURE, target=2, method=QUICK, **FED)
    assert maps.trust[0] is not None
    assert np.isnan(maps.trust[0].similarity)
    assert maps.trust[0].gain is not None
    (other,) = explain(function(), PICTURE, target=lambda out: out[:, 2], method=QUICK, **FED).trust
    assert "randomised weights: not checked" in other.line()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"takes": "photos"}, "takes is 'photos'"),
        ({"takes": "pictures", "mean": (0.5,) * 3}, "takes='pictures' is of functions that take pictures as they are"),
    ],
)
def test_options_of_functions_that_do_not_fit(options, message):
    with pytest.raises(OptionError, match=message):
        view_of(function(), **options)


def test_answers_of_single_pictures_are_joined_by_what_they_are():
    one = {"a": torch.zeros(1, 2), "b": (torch.ones(1, 3), [torch.zeros(1, 1)]), "c": [{"d": torch.ones(1)}], "e": "no"}
    two = joined([one, one])
    assert two["a"].shape == (2, 2)
    assert two["b"][0].shape == (2, 3)
    assert two["b"][1][0].shape == (2, 1)
    assert len(two["c"]) == 2
    assert two["e"] == "no"
    assert as_tensors(np.float64(2.0)).dtype == torch.float32
    assert as_tensors({"a": np.zeros((2, 2)), "b": ["x", 1]})["b"] == ["x", 1]
