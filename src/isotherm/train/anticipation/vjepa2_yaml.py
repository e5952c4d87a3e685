"""Configurations of V-JEPA 2's evaluation of action anticipation, opened as they are.

The files are those of ``evals/action_anticipation_frozen`` in facebookresearch/vjepa2 (configs/eval/*/ek100.yaml and
configs/inference/*/ek100.yaml), and those of its offspring that feed gaze heatmaps to the predictor. A key that is not
known is named, never dropped; what is another matter here is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isotherm.data.anticipation.anchors import ClipPlan, Protocol
from isotherm.data.anticipation.leak import leak
from isotherm.data.anticipation.read import read_actions
from isotherm.errors import InputError, OptionError
from isotherm.train.anticipation.strict_keys import StrictKeys, is_label

EVAL_NAME = "action_anticipation_frozen"
ENCODERS: dict[str, tuple[int, int, int, float]] = {
    "vit_tiny": (192, 12, 3, 4.0),
    "vit_small": (384, 12, 6, 4.0),
    "vit_base": (768, 12, 12, 4.0),
    "vit_large": (1024, 24, 16, 4.0),
    "vit_huge": (1280, 32, 16, 4.0),
    "vit_giant": (1408, 40, 16, 48 / 11),
    "vit_giant_xformers": (1408, 40, 22, 48 / 11),
}
"""(size of a token, layers, heads, mlp ratio) by name; ``_rope`` behind a name changes nothing here, as all have rotary
positions.
"""
PREDICTORS = {"vit_predictor": False, "vit_heatmap_predictor": True}
"""Whether each reads heatmaps."""
MODULES = (
    "evals.action_anticipation_frozen.modelcustom.vit_encoder_predictor_concat_ar",
    "evals.action_anticipation_frozen.modelcustom.vit_encoder_predictor_concat_ar_heatmap",
    "evals.action_anticipation_frozen.modelcustom.vit_encoder_heatmap_predictor_concat_ar",
    "isotherm.systems.gaze_jepa",
)
LAUNCH = ("cpus_per_task", "mem_per_gpu", "max_workers", "use_fsdp")
"""What a cluster's launcher is told."""
HEATMAPS = ("heatmap_path", "heatmap_dir", "heatmap_root", "heatmap_base_path", "heatmaps_path", "heatmaps_dir")
"""Names for where heatmaps lie; each may end with ``_train`` and ``_val``."""


@dataclass(frozen=True)
class OldConfig:
    """What an old file says, in our words.

    Args:
        recipe: as nested dictionaries, for :class:`isotherm.train.anticipation.recipe.AnticipationRecipe`.
        folder: where its runs are kept; None where it does not say.
        val_only: it judges and does not train.
        notes: what is another matter here, a line each.
    """

    recipe: dict[str, Any]
    folder: str | None
    val_only: bool
    notes: tuple[str, ...]


def is_old(plain: Mapping[str, Any]) -> bool:
    """Whether nested dictionaries are such a file's.

    Args:
        plain: of a YAML file.
    """
    return "experiment" in plain or "model_kwargs" in plain


def from_old(plain: Mapping[str, Any], *, where: str, protocol: Protocol = "start") -> OldConfig:
    """What an old file says.

    Args:
        plain: of the file.
        where: what to call it in messages.
        protocol: how clips lie before actions; the file's own way is 'legacy'.

    Raises:
        OptionError: a key that is not known, with the nearest one, or a value that nothing here does.

    Source: facebookresearch/vjepa2, evals/action_anticipation_frozen/eval.py, what it reads of its arguments.
    """
    keys, notes = StrictKeys(plain, "", where), list[str]()
    keys.only("eval_name", (EVAL_NAME,), f"expected {EVAL_NAME}")
    processes = keys.number("nodes", 1, whole=True, least=1) * keys.number("tasks_per_node", 1, whole=True, least=1)
    launch = [name for name in LAUNCH if keys.take(name) is not None]
    if launch:
        notes.append(
            f"{', '.join(launch)}: for a cluster's launcher; this is one process, --devices and --nodes share the work"
        )
    folder, tag = keys.label("folder"), keys.label("tag")
    if not keys.flag("resume_checkpoint", True):
        notes.append(
            "resume_checkpoint is false: a run whose folder exists is gone on with all the same; choose another --out"
        )
    val_only = keys.flag("val_only", False)
    experiment = keys.inside("experiment")
    model = _model(keys.inside("model_kwargs"), notes)
    classifier = experiment.inside("classifier")
    probe = {
        "blocks": classifier.number("num_probe_blocks", 1, whole=True, least=1) - 1,
        "heads": classifier.number("num_heads", 16, whole=True, least=1),
    }
    classifier.done()
    data = _data(experiment.inside("data"), protocol, model, notes)
    training = _training(experiment.inside("optimization"), processes, notes, val_only=val_only)
    tracking = _tracking(experiment.inside("wandb"), notes)
    experiment.done()
    keys.done()
    settings = model.pop("settings")
    settings["crop_size"] = data["side"]
    recipe = {
        "data": data,
        "model": {**model, "backbone": "random", "settings": settings, "probe": probe, "encoder": "frozen"},
        "training": training,
        "tracking": tracking,
    }
    parts = [str(part) for part in (folder, EVAL_NAME, tag) if part]
    return OldConfig(recipe, str(Path(*parts)) if folder else None, val_only, tuple(notes))


def shown_by_old_clips(recipe: Mapping[str, Any], *, root: Path) -> str:
    """How much of the actions the clips of the old file show, in words.

    Args:
        recipe: of :func:`from_old`.
        root: where relative paths start.
    """
    old = "the file's own clips are anchored at the action's end; these end before its start (--set data.plan.protocol=legacy has the old ones)"
    plan = recipe["data"]["plan"]
    legacy = ClipPlan(
        frames=plan["frames"], rate_hz=plan["rate_hz"], anticipation_s=tuple(plan["anticipation_s"]), protocol="legacy"
    )
    try:
        return f"{old}. Of the old ones, {leak(read_actions(root / recipe['data']['validation'][0]['file']), legacy)}"
    except (InputError, LookupError):
        return (
            f"{old}. How much of the actions the old ones show is counted where the table lies with that of its videos"
        )


def _data(keys: StrictKeys, protocol: Protocol, model: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    dataset = keys.text("dataset", "EK100")
    form = "epic-kitchens" if dataset.upper() in ("EK100", "EPIC-KITCHENS-100") else "auto"
    base = keys.text("base_path").rstrip("/")
    inner = keys.only("file_format", (1, 0), "expected 0, videos in PARTICIPANT/videos, or 1, in PARTICIPANT")
    videos = f"{base}/{{participant}}/{'' if inner else 'videos/'}{{video}}.MP4"
    gaze = _heatmaps(keys, notes, reads=model["fusion"] is not None)
    sources = {
        part: [{"file": keys.text(name), "format": form, "videos": videos, "gaze": gaze[part]}]
        for part, name in (("train", "dataset_train"), ("validation", "dataset_val"))
    }
    anticipation = keys.span("anticipation_time_sec", (1.0, 1.0), least=0)
    training_anticipation = keys.span("train_anticipation_time_sec", (1.0, 1.0), least=0)
    points = {part: keys.span(f"{part}_anticipation_point", (0.0, 0.0), least=0, most=1) for part in ("train", "val")}
    plan: dict[str, Any] = {
        "frames": keys.number("frames_per_clip", whole=True, least=1),
        "rate_hz": keys.number("frames_per_second", least=1e-3),
        "anticipation_s": anticipation,
        "protocol": protocol,
    }
    if protocol == "legacy":
        plan["legacy_point"] = points["val"]
    for name, what, drawn in (
        ("auto_augment", "random changes of colour and shape", keys.flag("auto_augment", False)),
        ("motion_shift", "crops that move through the clip", keys.flag("motion_shift", False)),
        ("reprob", "erased rectangles", keys.number("reprob", 0.0, least=0)),
    ):
        if drawn:
            notes.append(f"{name}: {what} are not made here; crops and mirror images are, of pictures and gaze alike")
    for name in ("num_workers", "pin_memory"):
        if keys.take(name) is not None:
            notes.append(f"{name}: clips are decoded by one thread beside the model")
    data = {
        **sources,
        "plan": plan,
        "training_anticipation_s": training_anticipation,
        "side": keys.number("resolution", 224, whole=True, least=1),
        "augmentation": {"area": keys.span("random_resize_scale", (0.3, 1.0), least=1e-3, most=1)},
    }
    if protocol == "legacy":
        data["training_legacy_point"] = points["train"]
    keys.done()
    return data


def _heatmaps(keys: StrictKeys, notes: list[str], *, reads: bool) -> dict[str, str]:
    """Where the gaze of both parts lies."""
    wanted = keys.flag("use_heatmap", keys.flag("use_heatmaps", True))
    paths = {"train": "", "validation": ""}
    for name in HEATMAPS:
        whole = keys.text(name, "")
        for part, ending in (("train", "_train"), ("validation", "_val")):
            paths[part] = keys.text(f"{name}{ending}", whole) or paths[part]
    if keys.take("heatmap_size") is not None:
        notes.append("heatmap_size: maps are read in the size that they have")
    if paths["train"] and not (wanted and reads):
        notes.append(
            "there are heatmaps, and nothing reads them (predictor.model_name is not vit_heatmap_predictor, or use_heatmap is false)"
        )
    if reads and not paths["train"]:
        notes.append(
            "the predictor reads heatmaps, and experiment.data does not say where they lie (heatmap_path): gaze is missing in all clips"
        )
    return paths if wanted else {"train": "", "validation": ""}


def _training(keys: StrictKeys, processes: int, notes: list[str], *, val_only: bool) -> dict[str, Any]:
    each = keys.number("batch_size", whole=True, least=1)
    batch = each * processes
    if processes > 1:
        notes.append(
            f"batch_size {each} on {processes} processes is a batch of {batch}, worked on in {processes} parts (training.accumulate)"
        )
    probes, last, warm = [], set[float](), set[float]()
    for head in keys.each("multihead_kwargs"):
        rate = head.number("lr", least=0 if val_only else 1e-12)
        decay = head.number("weight_decay", 0.0, least=0)
        probes.append({"rate": rate, "decay": decay})
        warm.add(head.number("warmup", 0.0, least=0))
        final = head.number("final_lr", 0.0, least=0)
        if rate and final > rate:
            raise OptionError(f"{head.at('final_lr')} is {final:g} and lr {rate:g}; rates end below their peak here")
        last.add(final / rate if rate else 0.0)
        head.number("start_lr", rate, least=0)
        if head.number("final_weight_decay", decay, least=0) != decay:
            notes.append(f"{head.at('final_weight_decay')}: weight decay stays as it is")
        head.done()
    if warm != {0.0}:
        notes.append("warmup is in epochs there; give training.schedule.warm_up in steps")
    if len(last) > 1:
        notes.append(f"final_lr: one share of the peak for all probes here, {min(last):g}")
    training: dict[str, Any] = {
        "epochs": keys.number("num_epochs", least=1e-6),
        "keep_epochs": 1,
        "batch": batch,
        "accumulate": processes,
        "precision": "bfloat16" if keys.flag("use_bfloat16", False) else "float32",
        "loss": "focal" if keys.flag("use_focal_loss", False) else "cross_entropy",
        "schedule": {"shape": "cosine", "warm_up": 0, "last": min(last)},
        "average": None,
    }
    keys.done()
    if not val_only:
        training["probes"] = probes
    return training


def _tracking(keys: StrictKeys, notes: list[str]) -> dict[str, Any]:
    enabled, tags = keys.flag("enable", False), keys.take("tags")
    tags = [] if tags is None else tags
    if not isinstance(tags, list) or not all(is_label(tag) for tag in tags):
        raise OptionError(f"{keys.at('tags')} is {tags!r}; expected a list of words")
    named = {name: value for name in ("project", "entity", "name") if (value := keys.label(name)) is not None}
    mode = keys.only("mode", (None, "online", "offline", "disabled"), "expected online, offline or disabled")
    keys.done()
    if not enabled or mode == "disabled":
        return {"to": "csv"}
    if mode is None:
        notes.append(
            "wandb: kept in the run's folder, for 'wandb sync'; --set tracking.online=true sends while running"
        )
    return {"to": "wandb", "tags": [str(tag) for tag in tags], "online": mode == "online", **named}


def _model(keys: StrictKeys, notes: list[str]) -> dict[str, Any]:
    weights = keys.text("checkpoint", "")
    if not weights:
        notes.append("model_kwargs.checkpoint is not given: the encoder and the predictor have random weights")
    keys.only("module_name", MODULES, f"expected one of {', '.join(MODULES)}")
    wrapper, pretrain = keys.inside("wrapper_kwargs"), keys.inside("pretrain_kwargs")
    keys.done()
    without = wrapper.flag("no_predictor", False)
    wrapper.only("no_encoder", (False,), "the predictor alone sees nothing of the clip")
    output = {
        "output_frames": wrapper.number("num_output_frames", 2, whole=True, least=1),
        "steps": wrapper.number("num_steps", 1, whole=True, least=1),
    }
    wrapper.done()
    encoder, predictor = pretrain.inside("encoder"), pretrain.inside("predictor")
    pretrain.done()
    settings, key = _encoder(encoder)
    name = predictor.one_of("model_name", tuple(PREDICTORS))
    fusion = None
    patch = predictor.number("heatmap_patch_size", 16, whole=True, least=1)
    if PREDICTORS[name] and not without:
        fusion = {"name": "interleave", "at": "features", "heatmap_patch_size": patch}
        notes.append(
            "the heatmap embedding is trained here, with gates that begin at 0; there it sits in a frozen wrapper and never is"
        )
        notes.append(
            "a token per heatmap patch; the published predictor has their mean alone (--set model.fusion.pooled=true)"
        )
    settings |= {
        "frames_per_clip": predictor.number("num_frames", 64, whole=True, least=1),
        "pred_num_hidden_layers": predictor.number("depth", 12, whole=True, least=1),
        "pred_num_attention_heads": predictor.number("num_heads", 12, whole=True, least=1),
        "pred_hidden_size": predictor.number("predictor_embed_dim", 384, whole=True, least=1),
        "pred_num_mask_tokens": predictor.number("num_mask_tokens", 10, whole=True, least=1),
    }
    _same_network(predictor, "predictor")
    predictor.only("use_mask_tokens", (True,), "a predictor of the future needs mask tokens")
    predictor.only("heatmap_embed_dim", (None,), "heatmap tokens have the size of the predictor's")
    predictor.only("is_frame_causal", (False,), "the pretrained predictor reads all frames")
    predictor.only("checkpoint_key", ("predictor", name), "expected 'predictor'")
    predictor.done()
    return {
        "weights": weights,
        "weights_key": key,
        "settings": settings,
        "fusion": fusion,
        "predictor": "none" if without else "frozen",
        **output,
    }


def _encoder(keys: StrictKeys) -> tuple[dict[str, Any], str]:
    """(settings of transformers' VJEPA2Config, the key of its weights)."""
    names = (*ENCODERS, *(f"{name}_rope" for name in ENCODERS))
    name = keys.one_of("model_name", names)
    size, layers, heads, ratio = ENCODERS[name.removesuffix("_rope")]
    settings = {
        "hidden_size": size,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "mlp_ratio": ratio,
        "patch_size": keys.number("patch_size", 16, whole=True, least=1),
        "tubelet_size": keys.number("tubelet_size", 2, whole=True, least=1),
    }
    key = keys.only("checkpoint_key", ("target_encoder", "encoder"), "expected target_encoder or encoder")
    _same_network(keys, "encoder")
    keys.done()
    return settings, key


def _same_network(keys: StrictKeys, kind: str) -> None:
    """Raise OptionError where a setting would make a network that is not there."""
    keys.only("use_rope", (True,), f"the {kind} of V-JEPA 2 has rotary positions")
    keys.only("use_silu", (False,), f"the {kind} of V-JEPA 2 has GELU")
    for name in ("uniform_power", "use_sdpa", "wide_silu", "use_activation_checkpointing", "use_pretrained_weights"):
        keys.flag(name, True)
