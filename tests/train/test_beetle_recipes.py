"""recipes/beetle_spec.yaml and its sweep against the table of the beetle specification, line by line."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import transformers

from isotherm.frame import Frame
from isotherm.heads import DeconvHead
from isotherm.heads.coordinates import CoordinateHead
from isotherm.jobs.train.recipe_modules import recipe_module
from isotherm.models.transformers.backbone import backbone_of
from isotherm.points import Points, State
from isotherm.train.keypoint_model import KeypointModel, Objective
from isotherm.train.keypoint_run import recipe_from
from isotherm.train.recipe import read_recipe
from isotherm.train.sweep import read_sweep, with_values

RECIPES = Path(__file__).parents[2] / "recipes"
RECIPE = recipe_from(read_recipe(RECIPES / "beetle_spec.yaml"))
SWEEP = read_sweep(RECIPES / "beetle_spec_sweep.yaml", recipe_module)


def value(path):
    at = RECIPE
    for name in path.split("."):
        at = at[name] if isinstance(at, dict) else getattr(at, name)
    return at


@pytest.mark.parametrize(
    ("line", "path", "expected"),
    [
        ("Backbone: DINOv3 ViT-S/16", "model.backbone", "facebook/dinov3-vits16-pretrain-lvd1689m"),
        ("Backbone: frozen", "model.frozen", True),
        ("Backbone: frozen", "training.backbone_rate", 0.0),
        ("256x256 input", "training.size", (256, 256)),
        ("256x256 input, resized in each direction by itself", "data.fit", "stretch"),
        ("256x256 input: the whole picture", "data.margin", 0.0),
        ("Decoder: 2 transposed convolutions and a 1x1", "model.head", "deconv"),
        (
            "Decoder channels: 384 -> 256 -> 128 -> 4; GroupNorm(32)",
            "model.head_options",
            {"widths": [256, 128], "groups": 32},
        ),
        ("Loss: MSE", "training.objective.loss", "mse"),
        ("Loss: the better order of the ends", "training.objective.exchange", True),
        ("Gaussian target: one sigma for the whole run", "training.objective.first_sigma", None),
        ("Loss: nothing of coordinates", "training.objective.coordinates", 0.0),
        ("Coord extraction: soft-argmax", "training.objective.decoder", "soft_argmax"),
        ("Optimizer: weight_decay=0.1", "training.decay", 0.1),
        ("Optimizer: AdamW and nothing else", "training.average", None),
        ("Optimizer: AdamW and nothing else", "training.clip", None),
        ("Optimizer: AdamW and nothing else", "training.schedule.shape", "constant"),
        ("Optimizer: AdamW and nothing else", "training.schedule.warm_up", 0),
        ("Augmentation: crop", "training.augmentation.crop", (0.5, 1.0)),
        ("Augmentation: crop", "training.augmentation.ratio", (0.75, 1.333)),
        ("Augmentation: flip", "training.augmentation.flip", 0.5),
        ("Augmentation: flip", "training.augmentation.vertical_flip", 0.5),
        ("Augmentation: rotation", "training.augmentation.turn", 0.75),
        ("Augmentation: rotation", "training.augmentation.degrees", 180),
        ("Augmentation: colour", "training.augmentation.brightness", 0.2),
        ("Augmentation: colour", "training.augmentation.contrast", 0.2),
        ("Augmentation: colour", "training.augmentation.saturation", 0.2),
        ("Augmentation: colour", "training.augmentation.hue", 0.1),
        ("Augmentation: nothing else", "training.augmentation.scale", (1.0, 1.0)),
        ("Augmentation: nothing else", "training.augmentation.shift", 0.0),
        ("Training steps", "training.steps", 100_000),
        ("Wall time", "training.wall_hours", 12),
        ("no early stopping", "training.patience", None),
        ("no early stopping", "training.stop_collapsed", False),
        ("Primary metric", "training.judged_by", "val/hawaii/length_line_err_cm"),
        ("wandb tag", "tracking.tags", ("exp-004-heatmap",)),
    ],
)
def test_the_table_of_the_specification(line, path, expected):
    assert value(path) == expected, line


def test_datasets_of_the_specification():
    """Train: Hawaii + BeetlePalooza + BioRepo. Val: Hawaii + BioRepo."""
    assert [source.group for source in RECIPE.data.train] == ["Hawaii", "BeetlePalooza", "BioRepo"]
    assert [source.group for source in RECIPE.data.validation] == ["Hawaii", "BioRepo"]
    assert not {s.file for s in RECIPE.data.train} & {s.file for s in RECIPE.data.validation}


def test_the_sweep_has_twelve_runs_with_one_seed_each():
    config, trials = SWEEP.config, SWEEP.config.listed()
    assert config.values == {"training.objective.sigma": (1.0, 2.0, 3.0), "training.rate": (1e-3, 3e-3, 1e-2, 3e-2)}
    assert (config.search, config.stop_early, len(trials)) == ("grid", None, 12)
    assert (SWEEP.metric, SWEEP.better) == ("val/hawaii/length_line_err_cm", "less")
    assert config.guardrails[0] == "val/hawaii/point_err_cm"
    seeds = [with_values(SWEEP.recipe, v, seed_each=config.seed_each)["training"]["seed"] for v in trials]
    assert len(set(seeds)) == 12
    assert seeds == [with_values(SWEEP.recipe, v, seed_each=config.seed_each)["training"]["seed"] for v in trials]


@pytest.fixture(scope="module")
def model():
    """The recipe's model at its own shapes, on a DINOv3 of one layer with random weights."""
    config = transformers.DINOv3ViTConfig(
        hidden_size=384,
        num_hidden_layers=1,
        num_attention_heads=6,
        intermediate_size=64,
        image_size=256,
        patch_size=16,
        num_register_tokens=4,
    )
    head = DeconvHead(384, 4, **RECIPE.model.head_options)
    return KeypointModel(backbone_of(config, seed=0), head, frozen=True)


def test_256_patch_tokens_become_4_maps_of_64_x_64(model):
    pictures = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        tokens = model.backbone.model(pixel_values=pictures).last_hidden_state
        assert tokens.shape[1] - model.backbone.prefix == 256
        assert model.backbone(pictures).shape == (1, 384, 16, 16)
        maps = model(pictures)
    assert maps.shape == (1, 4, 64, 64)
    assert (maps < 0).any()  # no activation behind the last convolution
    layers = [type(m).__name__ for m in model.head.modules() if not list(m.children())]
    assert layers == ["ConvTranspose2d", "GroupNorm", "ReLU", "ConvTranspose2d", "GroupNorm", "ReLU", "Conv2d"]
    norms = [m.num_groups for m in model.head.modules() if isinstance(m, torch.nn.GroupNorm)]
    assert norms == [32, 32]


def test_decay_holds_for_weights_of_convolutions_alone(model):
    groups = RECIPE.training.groups(model.backbone, model.head)
    trained = {id(p): name for name, p in model.named_parameters()}
    decayed = {trained[id(p)] for g in groups if g.decay for p in g.parameters}
    others = {trained[id(p)] for g in groups if not g.decay for p in g.parameters}
    assert decayed == {"head.deconv.0.weight", "head.deconv.3.weight", "head.final.weight"}
    assert {g.decay for g in groups} == {0.1, 0.0}
    assert others == {
        "head.deconv.1.weight",
        "head.deconv.1.bias",
        "head.deconv.4.weight",
        "head.deconv.4.bias",
        "head.final.bias",
    }


def test_a_point_outside_of_the_frame_is_background():
    """supervise_oob: its map shall be zero everywhere, and counts."""
    maps = torch.randn(1, 1, 64, 64)
    far = Points(torch.tensor([[[-400.0, 20.0]]]), state=torch.tensor([[int(State.OUT_OF_FRAME)]]))
    frame = Frame.stack([Frame.identity((256, 256)).to_grid(stride=4)])
    loss = RECIPE.training.objective.loss_of(maps, far, frame, done=0.0, exchangeable=())
    assert loss.item() == pytest.approx(float(maps.square().mean()), rel=1e-5)


def test_soft_argmax_is_that_of_the_raw_maps_and_says_what_it_costs():
    objective = RECIPE.training.objective
    maps = torch.full((1, 1, 64, 64), -50.0)
    maps[0, 0, 10, 20], maps[0, 0, 10, 21] = 50.0, 50.0 + math.log(3)
    frame = Frame.stack([Frame.identity((256, 256)).to_grid(stride=4)])
    # 20 and 21 with weights 1 and 3: hx 20.75, x = (hx + 0.5) 4 in coordinates that begin at the picture's edge
    torch.testing.assert_close(objective.decode(maps, frame).xy, torch.tensor([[[85.0, 42.0]]]))
    assert "pulled to the middle" in objective.note
    assert "least squares" in objective.note
    assert Objective(loss="mse").note == ""
    assert "moment inverse" in Objective(decoder="soft_argmax").note


def test_the_baseline_differs_in_head_and_loss_alone():
    baseline = recipe_from(read_recipe(RECIPES / "beetle_coordinates.yaml"))
    assert baseline.data == RECIPE.data
    assert baseline.training.augmentation == RECIPE.training.augmentation
    assert (baseline.model.head, dict(baseline.model.head_options)) == ("coordinates", {"widths": [768, 768]})
    assert baseline.training.objective.loss == "coordinate_mse"
    assert baseline.tracking.tags == ("exp-002-augmentation",)
    of = {**asdict(baseline.training), "objective": None}, {**asdict(RECIPE.training), "objective": None}
    assert of[0] == of[1]


def layers(head):
    return [(m.in_features, m.out_features) for m in head.modules() if isinstance(m, torch.nn.Linear)]


def test_the_baseline_goes_from_the_class_token_over_768_and_768_to_8():
    """Of ViT-S the class token has 384 numbers; of ViT-B 768, where the specification's MLP has one hidden layer of 768."""
    assert layers(CoordinateHead(384, 4, widths=(768, 768))) == [(384, 768), (768, 768), (768, 8)]
    assert layers(CoordinateHead(768, 4, widths=(768,))) == [(768, 768), (768, 8)]


def test_the_baseline_reads_the_class_token():
    config = transformers.DINOv3ViTConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        image_size=64,
        patch_size=16,
        num_register_tokens=4,
    )
    backbone = backbone_of(config, seed=0)
    whole = KeypointModel(backbone, CoordinateHead(32, 4, widths=(16, 16)), frozen=True)
    pictures = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        inputs = (pictures - backbone.mean) / backbone.std
        token = backbone.model(pixel_values=inputs).last_hidden_state[:, 0]
        torch.testing.assert_close(whole(pictures), whole.head(token))
