"""Run folders, recipes and sweeps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from bench.fuzz.reader import Reader
from isotherm.jobs.train.kept import kept_recipe
from isotherm.jobs.train.recipe_modules import recipe_module
from isotherm.runs.file import RunFile
from isotherm.runs.read import list_runs, read_items, read_run
from isotherm.runs.record import Run
from isotherm.systems.counting_evaluation import read_rows, summarised
from isotherm.train.recipe import read_recipe
from isotherm.train.run_folder import RunFolder, read_figures
from isotherm.train.sweep import SweepConfig, keep_sweep, read_sweep, trials_of

RECIPE = {"seed": 0, "training": {"rate": 0.1, "steps": 10}, "data": {"files": ["a.json"]}}
SWEEP = {"recipe": "recipe.yaml", "values": {"training.rate": [1e-4, 1e-3], "training.seed": [0, 1]}}
KEYPOINTS = {
    "data": {
        "train": [{"format": "generated", "split": "training", "count": 4, "side": 64}],
        "validation": [{"format": "generated", "split": "validation", "count": 2, "side": 64}],
    },
    "model": {
        "widths": [8, 16],
        "depth": 1,
        "frozen": False,
        "head": "deconv",
        "head_options": {"widths": [8], "groups": 8},
    },
    "training": {
        "size": [64, 64],
        "rate": 1e-3,
        "steps": 5,
        "batch": 2,
        "backbone_rate": 1.0,
        "objective": {"loss": "cross_entropy", "sigma": 1.5},
    },
}
METRICS = "step,loss,validation point_err_px,val/hawaii/pck\n1,0.5,,\n2,0.25,3.5,0.9\n3,nan,1e-3,\n"


def _run(folder: Path) -> Path:
    with Run("explain", root=folder, command=["isotherm", "explain", "cat.jpg"]) as run:
        run.done("cat.jpg")
        run.failed("dog.jpg", "damaged")
    return run.dpath


def _of_run(name: str) -> Any:
    return lambda folder: [(_run(folder) / name).read_bytes()]


def _recipes(folder: Path) -> Sequence[bytes]:
    root = Path(__file__).parents[3] / "recipes"
    return [
        fpath.read_bytes()
        for fpath in sorted(root.glob("*.yaml"))
        if "sweep" not in fpath.name and "ek100" not in fpath.name
    ] + [json.dumps(KEYPOINTS).encode()]


def _checked(path: Path) -> None:
    from isotherm.errors import OptionError

    plain = read_recipe(path)
    for name in ("keypoints", "grounding", "anticipation"):
        try:
            recipe_module(name).recipe_from(plain, where=str(path))
        except OptionError as error:
            last = error
        else:
            return
    raise last


def _trials(path: Path) -> list[Any]:
    return trials_of(path.parents[2], "point_err_px", {})


def _trial(folder: Path) -> None:
    inside = folder / "trials/one"
    inside.mkdir(parents=True)
    (inside / "metrics.csv").write_text(METRICS)
    (inside / ".trial.json").write_text('{"training.rate": 0.1}')


def _sweep_json(folder: Path) -> Sequence[bytes]:
    keep_sweep(folder / "sweep", _plain_sweep(), RECIPE)
    return [(folder / "sweep/sweep.json").read_bytes()]


def _plain_sweep() -> dict[str, Any]:
    config = SweepConfig(recipe="recipe.yaml", values={"training.rate": (1e-4, 1e-3)})
    return {name: getattr(config, name) for name in config.__dataclass_fields__}


def _recipe_beside(folder: Path) -> None:
    (folder / "recipe.yaml").write_text(yaml.safe_dump(KEYPOINTS))


def _checkpoint(folder: Path) -> Sequence[bytes]:
    run = RunFolder(folder / "run", RECIPE)
    run.keep({"step": 3, "model": {"w": torch.ones(2)}, "optimiser": {}})
    return [run.checkpoint.read_bytes()]


def _beside_checkpoint(folder: Path) -> None:
    RunFolder(folder, RECIPE)


def _kept(folder: Path) -> None:
    (folder / "recipe.json").write_text(json.dumps({"format": "isotherm.training/1", **RECIPE}))
    (folder / "run.json").write_text(json.dumps({"root": ".", "tracking": {}}))


READERS = (
    Reader(
        name="run.json",
        sources=("runs/read.py",),
        form="json",
        call=lambda path: (read_run(path.parent), list(list_runs(path.parent))),
        fname="run.json",
        seeds=_of_run("run.json"),
    ),
    Reader(
        name="run.json that is gone on with",
        sources=("runs/file.py",),
        form="json",
        call=lambda path: RunFile(path.parent, "explain", command=["isotherm"], write=False),
        fname="run.json",
        seeds=_of_run("run.json"),
    ),
    Reader(
        name="items of a run",
        sources=("runs/read.py",),
        form="lines",
        call=read_items,
        fname="items.jsonl",
        seeds=_of_run("items.jsonl"),
    ),
    Reader(
        name="recipe.json",
        sources=("train/run_folder.py",),
        form="json",
        call=lambda path: RunFolder(path.parent, RECIPE, complete=lambda plain: plain),
        fname="recipe.json",
        seeds=lambda folder: [(RunFolder(folder / "run", RECIPE).dpath / "recipe.json").read_bytes()],
    ),
    Reader(
        name="recipe and run of a training",
        sources=("jobs/train/kept.py",),
        form="json",
        call=lambda path: kept_recipe(path.parent, parts=("training", "data")),
        fname="run.json",
        prepare=_kept,
        seeds=lambda folder: [b'{"root": ".", "tracking": {"wandb": null}}'],
    ),
    Reader(
        name="metrics.csv",
        sources=("train/run_folder.py",),
        form="csv",
        call=lambda path: (
            read_figures(path),
            RunFolder(path.parent, RECIPE).figures(),
            RunFolder(path.parent, RECIPE).forget_after(2),
        ),
        fname="metrics.csv",
        prepare=_beside_checkpoint,
        seeds=lambda folder: [METRICS.encode()],
    ),
    Reader(
        name="checkpoint of a training",
        sources=("train/run_folder.py",),
        form="bytes",
        call=lambda path: RunFolder(path.parent, RECIPE).kept(),
        fname="checkpoint.pt",
        prepare=_beside_checkpoint,
        seeds=_checkpoint,
    ),
    Reader(
        name="recipe",
        sources=("train/recipe.py", "train/keypoint_recipe.py"),
        form="yaml",
        call=_checked,
        fname="recipe.yaml",
        seeds=_recipes,
    ),
    Reader(
        name="sweep",
        sources=("train/sweep.py", "train/recipe.py"),
        form="yaml",
        call=lambda path: read_sweep(path, recipe_module),
        names_file=False,  # it may be the recipe that is wrong, which is named then
        fname="sweep.yaml",
        prepare=_recipe_beside,
        seeds=lambda folder: [
            json.dumps(SWEEP).encode(),
            yaml.safe_dump(
                {**SWEEP, "search": "random", "values": {"training.rate": {"low": 1e-4, "high": 1e-2, "log": True}}}
            ).encode(),
        ],
    ),
    Reader(
        name="sweep.json",
        sources=("train/sweep.py",),
        form="json",
        call=lambda path: keep_sweep(path.parent, _plain_sweep(), RECIPE),
        fname="sweep.json",
        seeds=_sweep_json,
    ),
    Reader(
        name="values of a trial",
        sources=("train/sweep.py",),
        form="json",
        call=_trials,
        fname="trials/one/.trial.json",
        prepare=_trial,
        seeds=lambda folder: [b'{"training.rate": 0.1, "seed": 3}'],
    ),
    Reader(
        name="figures of a trial",
        sources=("train/sweep.py",),
        form="csv",
        call=_trials,
        fname="trials/one/metrics.csv",
        prepare=_trial,
        seeds=lambda folder: [METRICS.encode()],
    ),
    Reader(
        name="rows of a count",
        sources=("systems/counting_evaluation.py",),
        form="lines",
        call=lambda path: summarised(read_rows(path)),
        fname="rows.jsonl",
        seeds=lambda folder: [
            b'{"name": "a.jpg", "true": 3, "count": 4, "dots": 4, "hits": 3}\n{"name": "b.jpg", "true": 40, "count": null, "dots": 0, "hits": 0}\n'
        ],
    ),
)
