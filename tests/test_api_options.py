"""The front door's words: which option reaches whom, what is refused with near ones, and what a seed decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from isotherm import explain, explain_many, open_model
from isotherm.cam.methods import RISE
from isotherm.errors import AdapterError, MethodError, MissingExtraError, OptionError
from rigs.tiny_views import TinyClassifier, TinyNet

PICTURE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


class OwnNet(nn.Sequential):
    """A module of one's own with three classes."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 4, 3, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
        )


def test_words_that_front_door_and_adapter_share_reach_the_one_that_is_meant(tmp_path, monkeypatch):
    names = ["ant", "bee", "cow"]
    found = explain(OwnNet(), PICTURE, names=names, size=32, target="bee", name="garden", trust="off")
    assert (found[0].label, found.name) == ("bee", "garden")
    assert (
        explain(OwnNet(), PICTURE, names=dict(enumerate(names)), size=32, target="cow", trust="off")[0].label == "cow"
    )
    several = list(
        explain_many(OwnNet(), [PICTURE] * 2, names=names, size=32, target="cow", titles=["one", "two"], trust="off")
    )
    assert [(e[0].label, e.name) for e in several] == [("cow", "one"), ("cow", "two")]

    from isotherm.models import choose
    from isotherm.models.family import Family, Fit, Match

    fpath = tmp_path / "weights.pt"
    fpath.write_bytes(b"")
    passed = {}

    def load(name, *, allow_code=None, fuse_batchnorm=True, class_prompt=None, seed=0):
        passed.update(allow_code=allow_code, fuse_batchnorm=fuse_batchnorm, class_prompt=class_prompt, seed=seed)
        return TinyClassifier()

    family = Family(name="tiny", matches=lambda model: None, load=load)
    monkeypatch.setattr(choose, "family_of_name", lambda name: (family, Match(Fit.OWN, "it is named")))
    of_family = {"allow_code": str(fpath), "fuse_batchnorm": False, "class_prompt": ("a prompt of words",)}
    assert explain("scenes", PICTURE, fuse="max", seed=5, **of_family).trust
    assert passed == of_family | {"seed": 5}
    assert explain("scenes", PICTURE, trust="off", allow_code=fpath).trust == ()
    assert passed == {"allow_code": fpath, "fuse_batchnorm": True, "class_prompt": None, "seed": 0}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"fuse": "maximum"}, "fuse is 'maximum'; did you mean 'max'"),
        ({"fuse": None}, "fuse is None; it takes mean, max"),
        ({"fuse": False}, "fuse is how several layers become one map .*fuse_batchnorm=False"),
        ({"prompt": ("bus", "person")}, "prompt is a question in words, not a tuple; .*class_prompt="),
        ({"smooth": "eigne"}, "smooth is 'eigne'; did you mean 'eigen'"),
        ({"trust": "fsat"}, "trust is 'fsat'; did you mean 'fast'"),
        ({"trust": "no-such-file.pt"}, "trust is 'no-such-file.pt'; it takes fast, full, off"),
        ({"trust": __file__}, "trust is how thoroughly maps are judged .*allow_code="),
        ({"trust": Path(__file__)}, "trust is how thoroughly maps are judged .*allow_code="),
        ({"trust": True}, "trust is True; it takes"),
        ({"trust": ["fast", "full"]}, "trust is .*it takes fast, full, off"),
        ({"seed": -1}, "seed is -1; it takes a whole number"),
        ({"seed": 0.5}, "seed is 0.5; it takes"),
        ({"fill": "maen", "prompt": "How many?"}, "fill is 'maen'; did you mean 'mean'"),
        ({"fill": "mean"}, "fill goes with prompt"),
        ({"target": "wohle", "prompt": "What?"}, "a question's targets are"),
        ({"method": "gradcma"}, "did you mean gradcam"),
        ({"method": ["gradcam", "risse"]}, "did you mean rise"),
    ],
)
def test_misspelt_words_are_refused_before_the_model_is_opened(options, says):
    with pytest.raises((OptionError, MethodError), match=says):
        explain("no-such-model", PICTURE, **options)
    with pytest.raises((OptionError, MethodError), match=says):
        explain_many("no-such-model", [PICTURE], **options)  # at the call, not at the first picture


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        (OwnNet(), {"trsut": "off"}, "no option trsut; did you mean trust"),
        (OwnNet(), {"nmaes": ["a"]}, "no option nmaes; did you mean names"),
        (TinyClassifier(), {"methods": "gradcam"}, r"takes no options \(methods\); did you mean method\?"),
        ("scenes", {"wieghts": "none"}, "no option wieghts; did you mean weights"),
        ("scenes", {"zzz": 1}, "no option zzz; known are device, seed, weights"),
    ],
)
def test_options_that_there_are_not_are_refused_with_near_ones(model, options, says):
    with pytest.raises(OptionError, match=says):
        explain(model, PICTURE, **options)


def test_an_option_with_the_name_of_the_first_argument_is_refused():
    with pytest.raises(OptionError, match="no option name; known are"):
        open_model("scenes", name="mine")
    with pytest.raises(OptionError, match="batch is 0"):
        explain_many(TinyClassifier(), [PICTURE], batch=0)


def test_models_are_recognised_by_their_class():
    import torchvision

    torch.manual_seed(0)
    maps = explain(torchvision.models.resnet18(weights=None), PICTURE, trust="off", target=3)
    assert "torchvision adapter" in maps.chosen[0]
    compiled = torch.compile(torchvision.models.resnet18(weights=None))
    assert len(explain(compiled, PICTURE, trust="off", target=3)) == 1
    own = explain(TinyNet(), PICTURE, trust="off", target=1)
    assert own[0].meta["layer"]


def figures(trust):
    """Everything that a verdict rests on; NaN as a word, so that it equals itself."""
    return repr(trust)


def test_a_class_is_judged_alike_alone_and_among_others_in_any_order_and_batch():
    view = TinyClassifier()
    other = np.random.default_rng(1).integers(0, 255, (50, 40, 3), dtype=np.uint8)

    def judged(target, **more):
        found = explain(view, PICTURE, target=target, **more)
        return {
            (m.label, m.meta["method"]): figures(t) for m, t in zip(found, found.trust, strict=True) if t is not None
        }

    alone = {**judged("bus"), **judged("cat")}
    assert len(alone) == 2
    assert judged(["bus", "cat"]) == judged(["cat", "bus"]) == alone
    every = alone | judged("tram")
    three = judged(["cat", "tram", "bus"])
    assert len(three) == 2
    assert three.items() <= every.items()
    beside = judged(["bus", "cat"], method=["eigencam", "hirescam", RISE(masks=20)])
    assert {key: beside[key] for key in alone} == alone
    for batch, at in ((1, 0), (3, 1), (4, 2)):
        pictures = [other, other[:, ::-1], other[::-1], other]
        pictures[at] = PICTURE
        among = list(explain_many(view, pictures, target=["cat", "bus"], batch=batch))[at]
        assert {(m.label, "HiResCAM"): figures(t) for m, t in zip(among, among.trust, strict=True)} == alone


def test_all_classes_of_a_picture_meet_the_same_random_orders_and_another_picture_others():
    """With one score for all classes the random figures must be one, whatever the maps are."""
    view = TinyClassifier()
    net = view.model
    with torch.no_grad():
        net.head.weight[:] = net.head.weight[0]
        net.head.bias[:] = net.head.bias[0]
    one, two = explain(view, PICTURE, target=["cat", "bus"], method="gradcam").trust
    assert (one.deletion.random, one.insertion.spread) == (two.deletion.random, two.insertion.spread)
    (flipped,) = explain(view, PICTURE[::-1], target="cat", method="gradcam").trust
    assert flipped.deletion.random != one.deletion.random


@pytest.mark.parametrize("level", ["fast", "full"])
def test_the_seed_reaches_orders_weights_and_methods_and_is_recorded(level):
    view = TinyClassifier()

    def made(seed):
        found = explain(view, PICTURE, target="bus", method=["hirescam", RISE(masks=50)], trust=level, seed=seed)
        assert all(m.meta["seed"] == (seed or 0) for m in found)
        return found

    none, zero, seven, again = (made(seed) for seed in (None, 0, 7, 7))
    assert figures(none.trust) == figures(zero.trust) != figures(seven.trust) == figures(again.trust)
    for a, b in zip(zero.trust, seven.trust, strict=True):
        assert a.deletion.random != b.deletion.random
        assert a.similarity != b.similarity
        assert level == "fast" or a.road != b.road
    assert torch.equal(zero[0].values, seven[0].values)  # nothing in HiResCAM is random
    assert not torch.equal(zero[1].values, seven[1].values)
    assert torch.equal(seven[1].values, again[1].values)
    own = explain(view, PICTURE, target="bus", method=RISE(masks=50, seed=7), trust="off")
    assert torch.equal(own[0].values, seven[1].values)


def test_a_name_that_a_missing_package_may_know_names_the_extra(monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    gone = {"torchvision", "timm", "ultralytics"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *package: None if name in gone else real(name, *package)
    )
    for name in ("resnet50", "vit_small_patch16_224"):
        with pytest.raises(
            MissingExtraError,
            match=rf"'{name}' is not a file or folder.*needs the package timm, which is not installed; run: pip install 'isotherm\[models\]'",
        ):
            open_model(name)
    with pytest.raises(AdapterError, match=r"'scnes'.*not being installed.*isotherm\[models\].*did you mean scenes"):
        open_model("scnes")
    with pytest.raises(
        MissingExtraError,
        match=r"^opening a model of ultralytics needs the package ultralytics-opencv-headless, .*isotherm\[yolo\]",
    ):
        open_model("yolo11n.pt")
    gone.remove("torchvision")
    with pytest.raises(MissingExtraError, match="looking it up among timm's models needs the package timm"):
        open_model("qqqqqqqq")
