"""Configurations of V-JEPA 2's action anticipation open as they are, and no key is dropped."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import yaml

from isotherm.errors import OptionError
from isotherm.train.anticipation.recipe import AnticipationRecipe
from isotherm.train.anticipation.run import recipe_from
from isotherm.train.anticipation.vjepa2_yaml import from_old, is_old, shown_by_old_clips
from isotherm.train.keypoint_recipe import set_at
from isotherm.train.recipe import from_plain
from rigs.action_videos import write_actions

RECIPE = Path(__file__).parents[3] / "recipes" / "ek100-heatmap.yaml"


@pytest.fixture
def plain():
    return yaml.safe_load(RECIPE.read_text())


def opened(plain, **options):
    return from_old(plain, where="old.yaml", **options)


def test_everything_is_where_it_belongs(plain):
    assert is_old(plain)
    before = copy.deepcopy(plain)
    old = opened(plain)
    assert plain == before
    recipe = recipe_from(old.recipe)
    assert isinstance(recipe, AnticipationRecipe)
    source = recipe.data.validation[0]
    assert source.videos == "/data/EPIC-KITCHENS/{participant}/videos/{video}.MP4"
    assert source.gaze == "/data/EPIC-KITCHENS-gaze"
    assert (recipe.data.plan.frames, recipe.data.plan.rate_hz, recipe.data.side) == (32, 8.0, 256)
    assert recipe.data.training_anticipation_s == (0.25, 1.75)
    assert recipe.data.augmentation is not None
    assert recipe.data.augmentation.area == (0.08, 1.0)
    # four blocks there are three of self-attention and the one in which the queries read
    assert (recipe.model.probe.blocks, recipe.model.probe.heads) == (3, 16)
    assert recipe.model.fusion == {"name": "interleave", "at": "features", "heatmap_patch_size": 16}
    assert (recipe.model.encoder, recipe.model.predictor, recipe.model.weights) == (
        "frozen",
        "frozen",
        "/data/vjepa2/vitl.pt",
    )
    assert recipe.model.settings["hidden_size"] == 1024
    assert recipe.model.settings["crop_size"] == 256
    assert recipe.model.settings["pred_num_hidden_layers"] == 12
    assert [(p.rate, p.decay) for p in recipe.training.grid][:2] == [(0.005, 1e-4), (0.001, 1e-4)]
    assert (recipe.training.batch, recipe.training.accumulate) == (16, 8)
    assert (recipe.training.loss, recipe.training.precision, recipe.training.epochs) == ("focal", "bfloat16", 20)
    assert (recipe.training.schedule.warm_up, recipe.training.schedule.last) == (0, 0.0)
    tracking = recipe.tracking
    assert (tracking.to, tracking.project, tracking.entity) == ("wandb", "gaze-anticipation", None)
    assert (tracking.name, tracking.tags, tracking.online) == ("ek100-vitl16-heatmap", ("ek100", "heatmap"), False)
    assert old.folder == "runs/ek100-heatmap/action_anticipation_frozen/ek100-vitl16-heatmap"
    assert not old.val_only


def test_what_is_another_matter_here_is_said(plain):
    notes = "\n".join(opened(plain).notes)
    for word in (
        "cpus_per_task",
        "auto_augment",
        "reprob",
        "num_workers",
        "gates that begin at 0",
        "wandb sync",
        "8 parts",
    ):
        assert word in notes
    assert "motion_shift" not in notes


def test_clips_lie_before_the_start_unless_the_old_way_is_asked_for(plain):
    assert "legacy_point" not in opened(plain).recipe["data"]["plan"]
    recipe = recipe_from(opened(plain, protocol="legacy").recipe)
    assert recipe.data.plan.protocol == "legacy"
    assert recipe.data.plan.legacy_point == (0.0, 0.0)
    assert recipe.data.training_plan().legacy_point == (0.0, 0.25)


def test_how_much_the_old_clips_show_is_counted(plain, tmp_path):
    write_actions(tmp_path, ("P01_01",), name="validation.csv", rows=((2.0, 0, 8),))
    set_at(plain, "experiment.data.dataset_val", "validation.csv")
    set_at(plain, "experiment.data.anticipation_time_sec", [0.1, 0.1])
    recipe = opened(plain).recipe
    assert "is counted where the table lies" in shown_by_old_clips(recipe, root=tmp_path)
    (tmp_path / "EPIC_100_video_info.csv").write_text("video_id,duration,fps,resolution\nP01_01,3.0,20.0,96x48\n")
    assert "1 of 1 clips (100.0%) show the action" in shown_by_old_clips(recipe, root=tmp_path)


def test_the_plain_predictor_reads_no_gaze(plain):
    predictor = plain["model_kwargs"]["pretrain_kwargs"]["predictor"]
    predictor["model_name"] = "vit_predictor"
    old = opened(plain)
    assert old.recipe["model"]["fusion"] is None
    assert any("nothing reads them" in note for note in old.notes)
    set_at(plain, "model_kwargs.wrapper_kwargs.no_predictor", True)
    set_at(plain, "val_only", True)
    del plain["experiment"]["data"]["heatmap_path"], plain["experiment"]["wandb"]
    plain["experiment"]["optimization"]["multihead_kwargs"] = [
        {"lr": 0.0, "start_lr": 0.0, "final_lr": 0.0, "warmup": 0.0}
    ]
    judged = opened(plain)
    assert judged.val_only
    recipe = from_plain(AnticipationRecipe, judged.recipe)
    assert (recipe.model.predictor, recipe.tracking.to) == ("none", "csv")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("experiment.data.frame_per_clip", 32, r"experiment\.data\.frame_per_clip is not a key.*'frames_per_clip'"),
        ("experiment.dat", {}, r"experiment\.dat is not a key.*'data'"),
        ("model_kwargs.pretrain_kwargs.predictor.heatmap_patchsize", 8, "'heatmap_patch_size'"),
        ("experiment.optimization.multihead_kwargs", [{"lr": 1e-3, "wd": 0}], r"multihead_kwargs\[0\]\.wd"),
        ("model_kwargs.pretrain_kwargs.encoder.use_rope", False, "rotary positions"),
        ("model_kwargs.pretrain_kwargs.encoder.model_name", "vit_gigantic", "expected one of vit_tiny"),
        ("model_kwargs.module_name", "my.module", "expected one of evals"),
        ("experiment.data.resolution", "large", "expected a whole number"),
        ("experiment.data.anticipation_time_sec", 1.0, "two numbers"),
        ("experiment.data.file_format", 2, "expected 0"),
        ("experiment.wandb.tags", "one", "expected a list"),
        ("eval_name", "video_classification_frozen", "expected action_anticipation_frozen"),
        ("nodez", 1, "did you mean 'nodes'"),
        ("nodes", 0, r"old\.yaml: nodes is 0; expected a whole number from 1 on"),
        ("experiment.wandb", "on", r"experiment\.wandb holds str; expected names with values"),
        ("experiment.wandb.tags", [["a"]], r"experiment\.wandb\.tags is .*expected a list of words"),
        ("experiment.wandb.project", ["a"], r"experiment\.wandb\.project is \['a'\]; expected text"),
        ("experiment.wandb.enable", "false", r"experiment\.wandb\.enable is 'false'; expected true or false"),
        ("experiment.data.heatmap_path", 5, r"experiment\.data\.heatmap_path is 5; expected text"),
        ("experiment.data.anticipation_time_sec", [1.0, 0.5], "two numbers in order, at least 0"),
        ("experiment.data.train_anticipation_point", [0.0, 2.0], "in order, at least 0, at most 1"),
        ("experiment.data.file_format", True, "expected 0"),
        ("experiment.optimization.use_focal_loss", "false", "use_focal_loss is 'false'; expected true or false"),
        ("experiment.optimization.multihead_kwargs", None, r"multihead_kwargs is missing; expected a list"),
        ("experiment.optimization.multihead_kwargs", 5, r"multihead_kwargs is 5; expected a list"),
        ("experiment.optimization.multihead_kwargs", [{"weight_decay": 0.1}], r"multihead_kwargs\[0\]\.lr is missing"),
        ("experiment.optimization.multihead_kwargs", [{"lr": "1e-3"}], r"YAML reads 1e-3 as text; write 0\.001"),
        ("experiment.optimization.multihead_kwargs", [{"lr": 0.1, "final_lr": 1}], r"final_lr is 1 and lr 0\.1"),
        ("model_kwargs.wrapper_kwargs.no_encoder", True, "predictor alone sees nothing"),
        ("model_kwargs.pretrain_kwargs.encoder", None, r"encoder\.model_name is missing; expected one of vit_tiny"),
        (
            "model_kwargs.pretrain_kwargs.predictor.model_name",
            None,
            r"predictor\.model_name is missing; expected one of vit_predictor, vit_heatmap_predictor",
        ),
    ],
)
def test_what_is_not_known_is_named(plain, path, value, words):
    set_at(plain, path, value)
    with pytest.raises(OptionError, match=words):
        opened(plain)


def leaves(plain, path=()):
    """The path of everything in nested dictionaries and lists."""
    for name, value in plain.items() if isinstance(plain, dict) else enumerate(plain):
        yield (*path, name)
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, name))


FREE = {"cpus_per_task", "num_workers", "pin_memory"}
"""What is for a launcher or a loader that is not here, which is said whatever it is."""


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 1e30j, {"a": 1}, [[1, 2]]], ids=str)
def test_a_wrong_type_is_named_wherever_it_stands(plain, wrong):
    for path in leaves(plain):
        changed = copy.deepcopy(plain)
        parent = changed
        for name in path[:-1]:
            parent = parent[name]
        parent[path[-1]] = wrong
        if path[-1] in FREE:
            opened(changed)
            continue
        key = ".".join(name for name in path if isinstance(name, str))
        with pytest.raises(OptionError, match=r"^old\.yaml: ") as caught:
            opened(changed)
        message = re.sub(r"\[\d\]", "", str(caught.value))
        assert key in message
