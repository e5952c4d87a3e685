"""What a model is fed, whose names it has and whether anything trained it: said with its source, never guessed silently."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torchvision.models import ResNet18_Weights, resnet18, shufflenet_v2_x0_5

from isotherm import explain
from isotherm.cam.premises import premises_of, untouched_norms
from isotherm.draw import gallery_html
from isotherm.metrics.trust import Beside, Trust
from isotherm.models.choose import open_view
from isotherm.models.timm import view as timm_adapter
from isotherm.models.torchvision import view as torchvision_adapter
from isotherm.models.transformers import view as transformers_adapter
from rigs.breadth import wide

PICTURE = np.random.default_rng(0).integers(0, 255, (70, 90, 3), dtype=np.uint8)
IMAGENETS = "mean 0.485 0.456 0.406, std 0.229 0.224 0.225"


class Net(nn.Module):
    """Somebody's own classifier, without normalisation layers."""

    def __init__(self, outputs: int = 5) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, 2, 1)
        self.fc = nn.Linear(8, outputs)

    def forward(self, x):
        return self.fc(self.body(x).relu().mean((2, 3)))


class Holder(nn.Module):
    """Somebody's own classifier around another model."""

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body = body
        self.fc = nn.Linear(width, 3)

    def forward(self, x):
        return self.fc(self.body(x))


def said(view, about: str) -> list[str]:
    return [str(p) for p in premises_of(view) if p.about == about]


def trained(model: nn.Module) -> nn.Module:
    """The model as if something had trained it: its normalisation layers moved."""
    with torch.no_grad():
        for module in model.modules():
            if "Norm" in type(module).__name__ and isinstance(getattr(module, "bias", None), torch.Tensor):
                module.bias += 0.01
    return model.eval()


def test_a_module_that_says_nothing_of_its_input_is_fed_an_assumption():
    torch.manual_seed(0)
    explanation = explain(Net(), PICTURE, trust="off")
    (line,) = (line for line in explanation.chosen if line.startswith("input:"))
    assert "224 x 224 pixels, scaled to cover 256 x 256 and cut in the centre, bilinear" in line
    assert IMAGENETS in line
    assert "an assumption: this Net does not say what it was trained on" in line
    assert line in str(explanation)
    assert line in explanation._repr_html_()


def test_the_reason_for_the_adapter_is_true():
    assert "comes from no package that isotherm knows" in open_view(Net()).reason
    assert open_view(resnet18()).reason == "ResNet is a class of torchvision, so the torchvision adapter reads it"

    class Mine(type(resnet18())):
        pass

    mine = Mine.__new__(Mine)
    mine.__dict__ = resnet18(num_classes=2).__dict__
    assert open_view(mine).reason == "Mine is a subclass of torchvision's ResNet, so the torchvision adapter reads it"
    assert open_view(open_view("scenes").view.model).reason == "SceneNet is a network of isotherm's own"


def test_what_the_user_gives_is_no_assumption():
    view = torchvision_adapter.wrap(Net(), size=64, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    given, rest = said(view, "input")
    assert given == "input: 64 x 64 pixels, mean 0.1 0.2 0.3, std 0.4 0.5 0.6, as given"
    assert "cut in the centre, bilinear" in rest
    assert "assumption" not in given + rest


def test_of_what_is_given_in_part_the_rest_is_an_assumption():
    given, rest = said(torchvision_adapter.wrap(Net(), mean=(0.1, 0.2, 0.3), geometry="letterbox"), "input")
    assert (
        given == "input: mean 0.1 0.2 0.3, scaled to fit into 224 x 224, the rest filled with the mean colour, as given"
    )
    assert "224 x 224 pixels, bilinear, std 0.229 0.224 0.225, an assumption" in rest


@pytest.mark.parametrize("mean", [None, (0.5, 0.5, 0.5)])
def test_a_thousand_outputs_fed_as_imagenet_get_its_names_as_an_assumption(mean):
    view = torchvision_adapter.wrap(Net(1000), size=32, mean=mean, std=mean)
    assert view.names[:2] == ("tench", "goldfish")
    assert said(view, "class names") == [
        "class names: those of ImageNet-1k, an assumption: the model has as many outputs, 1000; names can be given"
    ]


def test_a_thousand_outputs_fed_otherwise_are_numbered():
    view = torchvision_adapter.wrap(Net(1000), size=32, mean=(0.1, 0.2, 0.3))
    assert view.names[0] == "class 0"
    assert said(view, "class names") == []
    assert torchvision_adapter.wrap(Net(999), size=32).names[0] == "class 0"


def test_models_of_the_packages_get_the_names_too():
    made = timm_adapter.wrap(timm.create_model("test_resnet", pretrained=False))
    assert made.names[1].startswith("goldfish")
    assert "those of ImageNet-1k, an assumption" in said(made, "class names")[0]
    assert "an assumption" in said(torchvision_adapter.wrap(shufflenet_v2_x0_5()), "class names")[0]
    assert (
        said(
            torchvision_adapter.wrap(shufflenet_v2_x0_5(num_classes=1000), names=[f"n{i}" for i in range(1000)]),
            "class names",
        )
        == []
    )


def test_what_a_model_declares_is_said_with_its_source():
    (line,) = said(timm_adapter.wrap(timm.create_model("test_resnet", pretrained=False)), "input")
    assert line.endswith(
        "160 x 160 pixels, scaled to cover 168 x 168 and cut in the centre, bilinear, mean 0.5 0.5 0.5, std 0.5 0.5 0.5, declared by timm's configuration of test_resnet.r160_in1k"
    )
    (line,) = said(torchvision_adapter.wrap(resnet18(), weights=ResNet18_Weights.IMAGENET1K_V1), "input")
    assert line.endswith("declared by the transforms of ResNet18_Weights.IMAGENET1K_V1")
    assert (
        "an assumption: a module of torchvision does not say which weights it holds"
        in said(torchvision_adapter.wrap(resnet18()), "input")[0]
    )


def test_a_timm_class_without_configuration_is_fed_an_assumption():
    model = timm.models.resnet.ResNet(timm.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=3)
    assert "an assumption: this ResNet has no configuration" in said(timm_adapter.wrap(model), "input")[0]


def test_a_part_that_declares_its_input_is_better_than_a_guess():
    view = torchvision_adapter.wrap(
        Holder(timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=32, depth=1), 192)
    )
    (line,) = said(view, "input")
    assert "32 x 32 pixels" in line
    assert "mean 0.5 0.5 0.5" in line
    assert (
        "an assumption: this Holder does not say it, but its part body (vit_tiny_patch16_224.augreg_in21k_ft_in1k) declares it"
        in line
    )
    own = Net()
    own.default_cfg = {"input_size": (3, 48, 48), "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.5)}
    assert "48 x 48 pixels" in said(torchvision_adapter.wrap(own), "input")[0]
    assert said(torchvision_adapter.wrap(own), "input")[0].endswith("declared by its own configuration, Net")


@pytest.mark.parametrize(
    ("name", "model"),
    [("shufflenet_v2_x0_5", shufflenet_v2_x0_5), ("timm:test_resnet", lambda: timm.create_model("test_resnet"))],
)
def test_a_checkpoint_does_not_say_what_it_was_trained_on(name, model, tmp_path):
    torch.save(trained(model()).state_dict(), tmp_path / "mine.pt")
    view = open_view(name, weights=tmp_path / "mine.pt").view
    assert "an assumption: mine.pt does not say what it was trained on" in said(view, "input")[0]
    assert "an assumption" in said(view, "class names")[0]
    assert said(view, "weights") == []


def vit(**config):
    from transformers import ViTConfig, ViTForImageClassification

    return ViTForImageClassification(
        ViTConfig(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            image_size=32,
            patch_size=8,
            **config,
        )
    ).eval()


def test_the_processor_of_a_hub_model_declares_its_input():
    from transformers import ViTImageProcessor

    processor = ViTImageProcessor(size={"height": 32, "width": 32}, image_mean=[0.1, 0.2, 0.3])
    (line,) = said(transformers_adapter.wrap(vit(), processor=processor), "input")
    assert (
        line == "input: 32 x 32 pixels, mean 0.1 0.2 0.3, std 0.5 0.5 0.5, declared by its processor, ViTImageProcessor"
    )
    assert "an assumption: no processor came with it" in said(transformers_adapter.wrap(vit()), "input")[0]
    given, rest = said(transformers_adapter.wrap(vit(), processor=processor, size=64), "input")
    assert given == "input: 64 x 64 pixels, as given"
    assert "declared by its processor" in rest


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("scenes", {"weights": "none"}),
        ("detector", {"weights": "none"}),
        ("tiny-vlm", {"weights": "none"}),
        ("timm:test_resnet", {"weights": "none"}),
        ("shufflenet_v2_x0_5", {"weights": "none"}),
        ("yolo11n.yaml", {}),
        ("yolo11n.pt", {"weights": "none"}),
        *wide(
            [
                ("lraspp_mobilenet_v3_large", {"weights": "none"}),
                ("ssdlite320_mobilenet_v3_large", {"weights": "none"}),
                ("yolo11n-cls.yaml", {}),
            ]
        ),
    ],
)
def test_weights_that_isotherm_made_at_random_are_announced(name, options):
    (line,) = said(open_view(name, seed=3, **options).view, "weights")
    assert (
        line
        == "WARNING: RANDOM WEIGHTS. The weights are random (seed 3): nothing trained them, so no map shows anything that was learned"
    )


def test_a_folder_opened_without_its_weights_is_announced(tmp_path):
    vit().save_pretrained(tmp_path)
    assert (
        "RANDOM WEIGHTS. The weights are random (seed 0)"
        in said(open_view(str(tmp_path), weights="none").view, "weights")[0]
    )


@pytest.mark.parametrize(
    "model",
    [
        lambda: timm.create_model("test_vit", pretrained=False),
        vit,
        lambda: resnet18(),
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), Holder(Net(), 5)),
    ],
)
def test_a_module_that_nothing_trained_is_seen(model):
    made = model()
    assert untouched_norms(made)
    assert untouched_norms(trained(made)) == 0


def test_a_module_given_untrained_is_announced_as_it_seems():
    assert (
        "WARNING: RANDOM WEIGHTS. The weights are random, as it seems: all"
        in said(open_view(resnet18()).view, "weights")[0]
    )
    from ultralytics import YOLO

    assert "as it seems" in said(open_view(YOLO("yolo11n.yaml")).view, "weights")[0]


def test_nothing_false_is_said_of_weights_that_are_not_known():
    assert said(open_view(Net()).view, "weights") == []
    assert said(open_view(trained(resnet18())).view, "weights") == []
    half = nn.Sequential(nn.BatchNorm2d(3), Net())
    half(torch.rand(2, 3, 8, 8))  # one step in training mode moves the running mean
    assert untouched_norms(half) == 0
    assert [p for name in ("scenes", "detector", "tiny-vlm") for p in said(open_view(name).view, "weights")] == []


def test_weights_that_are_changed_later_are_not_called_random():
    view = open_view("scenes", weights="none").view
    assert said(view, "weights")
    view.model.half()
    assert said(view, "weights")
    view.model.float().load_state_dict(open_view("scenes").view.model.state_dict())
    assert said(view, "weights") == []


GOOD = Trust(Beside(0.1, 0.5, 0.05, 8), Beside(0.9, 0.5, 0.05, 8, lower_is_better=False), similarity=0.1)


def test_no_map_of_random_weights_is_believable():
    assert GOOD.verdict == "believable"
    random = replace(GOOD, untrained=True)
    assert random.verdict == "doubtful"
    assert random.line().endswith("→ doubtful (RANDOM WEIGHTS: nothing was learned that a map could show)")
    assert "RANDOM WEIGHTS" in replace(random, evidence=False).line()
    assert "RANDOM WEIGHTS" in replace(random, similarity=math.nan).line()


def test_an_explanation_of_random_weights_says_so_everywhere(monkeypatch):
    view = open_view("scenes", weights="none").view
    explanation = explain(view, PICTURE)
    monkeypatch.setitem(explanation.__dict__, "assess", lambda: (GOOD,))
    assert explanation.trust[0].verdict == "doubtful"
    assert "RANDOM WEIGHTS" in explanation.trust_lines[0]
    assert explanation.warnings[0] in explanation.notes
    assert str(explanation).splitlines()[1] == explanation.warnings[0]
    assert explanation[0].meta["weights"] == "random"
    page = explanation._repr_html_()
    assert page.count(explanation.warnings[0]) == 1
    assert page.index("RANDOM WEIGHTS") < page.index("<figure")


def test_questions_to_random_weights_say_so():
    explanation = explain(
        "tiny-vlm", np.full((48, 48, 3), 128, np.uint8), prompt="how many red ?", weights="none", trust="off"
    )
    assert "RANDOM WEIGHTS" in explanation.warnings[0]
    assert explanation.warnings[0] in explanation.notes
    assert all(m.meta["weights"] == "random" for m in explanation)
    assert any(line.startswith("input: pictures as") for line in explanation.chosen)


def test_a_view_of_ones_own_need_not_say_anything():
    class Bare:
        model = Net()

    assert premises_of(Bare()) == ()


def test_warnings_and_notes_are_text_in_a_notebook():
    page = gallery_html([], warnings=["<b>"], notes=["<i>"])
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;b&gt;" in page


def test_of_a_tensor_it_is_said_how_it_was_given_and_nothing_is_assumed_of_its_size():
    model = resnet18(weights=None).eval()
    explanation = explain(model, torch.rand(1, 3, 96, 96), trust="off")
    about_input = [str(premise) for premise in explanation.premises if premise.about == "input"]
    assert len(about_input) == 1
    assert about_input[0].endswith(", as given")
    assert "224" not in about_input[0]
    assert about_input[0] in explanation.chosen
