"""How the networks that ship are trained: one flow for all of them, in a folder that a run that was killed is gone on
from.

A recipe says what is drawn, how it is trained in the loop of all tasks and what the result is measured on. The weights
that are kept are measured as they are kept, rounded to half precision.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from isotherm.atomic import atomic_write
from isotherm.errors import OptionError
from isotherm.ops.shell import shell_line
from isotherm.progress import Say, silent
from isotherm.runs.file import to_json
from isotherm.train.devices import Devices
from isotherm.train.loop import LoopConfig, Task, run_loop
from isotherm.train.older_recipe import by_defaults
from isotherm.train.recipe_module import OnValidation
from isotherm.train.run_folder import RunFolder
from isotherm.train.tracker import NoTracker
from isotherm.train.tracking import Tracking
from isotherm.train.worker import Worker
from isotherm.untrusted.plain import read_object
from isotherm.version import __version__

MODEL, EVALUATION = "model.safetensors", "evaluation.json"


@dataclass(frozen=True, kw_only=True)
class ShippedRecipe(ABC):
    """Abstract: everything that decides a network that ships. Devices and tracking decide no numbers.

    Args:
        validated: pictures, or questions of each kind, that are looked at with every checkpoint.
        held_out: that the end is measured on.
        devices: where; by default the CPU, so that the same command gives the same bits.
        tracking: who is told.
    """

    name: ClassVar[str]
    """As the command line calls it."""

    validated: int = 300
    held_out: int = 1000
    devices: Devices = field(default_factory=lambda: Devices(accelerator="cpu"))
    tracking: Tracking = field(default_factory=Tracking)

    def __post_init__(self) -> None:
        if self.validated < 1 or self.held_out < 1:
            raise OptionError(
                f"validated is {self.validated} and held_out {self.held_out}; expected at least 1 of each"
            )

    @property
    @abstractmethod
    def config(self) -> LoopConfig:
        """What the loop is run with."""

    @abstractmethod
    def deciding(self) -> dict[str, Any]:
        """The parts that decide the numbers, as plain data."""

    @abstractmethod
    def task(self, *, say: Say = silent) -> Task:
        """What is trained, with its random weights and whatever is drawn for it."""

    @abstractmethod
    def judged(self, model: nn.Module) -> dict[str, float]:
        """Figures of a validation; by 'score' (more is better), or by the first (less is better), a run is judged."""

    @abstractmethod
    def save(self, model: nn.Module, fpath: Path) -> None:
        """Write the weights."""

    @abstractmethod
    def measured(self, fpath: Path) -> dict[str, Any]:
        """What weights that were written reach, and on what they were fitted and measured."""


def train_shipped(
    recipe: ShippedRecipe,
    dpath: Path,
    *,
    root: Path | None = None,
    cache_dpath: Path | None = None,
    command: str = "",
    skip_bad: bool = False,
    worker: Worker | None = None,
    on_validation: OnValidation = lambda step, figures: None,
    say: Say = silent,
) -> dict[str, Any]:
    """Train what a recipe says in a folder, or go on with it; a run that is finished is left as it is.

    Args:
        dpath: gets the weights (``model.safetensors``), what they reach (``evaluation.json``), figures and checkpoint.
        command: noted with the results.
        worker: this process, if several share the work.
        on_validation: called with the step and the figures of every validation.
        root, cache_dpath, skip_bad: nothing is read, so they say nothing here.

    Returns:
        What ``evaluation.json`` holds.

    Raises:
        As :func:`isotherm.train.loop.run_loop`, and OptionError where the folder holds another run.
    """
    worker = recipe.devices.worker() if worker is None else worker
    folder = RunFolder(dpath, {"model": recipe.name, **recipe.deciding()}, complete=by_defaults(type(recipe)))
    # a run that is finished keeps no checkpoint; one that its hours have ended does, and goes on from it
    if not (dpath / EVALUATION).is_file() or folder.checkpoint.is_file():
        began, say = time.process_time(), say if worker.first else silent
        task = recipe.task(say=say)

        def validate(model: nn.Module, step: int) -> dict[str, float]:
            figures = recipe.judged(model.eval())
            say(f"validation at step {step}: " + ", ".join(f"{key} {value:.4g}" for key, value in figures.items()))
            on_validation(step, figures)
            return figures

        tracking = recipe.tracking.tracker(dpath, recipe.deciding()) if worker.first else nullcontext(NoTracker())
        start = {"threads": torch.get_num_threads(), "device": str(worker.device), "processes": worker.world}
        with (
            folder.started("train", command=command, write=worker.first, start=start, recipe=recipe.name) as file,
            tracking as tracker,
        ):
            folder.also = tracker.log
            model = run_loop(recipe.config, task, folder, worker=worker, validate=validate, say=say)
            if worker.first:
                # times stand in the record of the run alone, so that equal runs give equal files
                file.note(processor_seconds=round(time.process_time() - began, 1))
                recipe.save(model, dpath / MODEL)
                left = {} if folder.left is None else {"left": folder.left}
                results = {"command": command, **left, **recipe.measured(dpath / MODEL), "made_with": made_with()}
                with atomic_write(dpath / EVALUATION) as page:
                    page.write((json.dumps(to_json(results), indent=1, allow_nan=False) + "\n").encode())
                if folder.left is None:
                    folder.checkpoint.unlink(missing_ok=True)
        worker.agree("measured")
    return read_object(dpath / EVALUATION)


def ship(recipe: ShippedRecipe, out: Path, *, say: Say = silent) -> dict[str, Any]:
    """Train by a recipe and write NAME.safetensors, and beside it NAME.json with the command, the recipe and what it
    reaches.

    Args:
        out: NAME.safetensors. Checkpoints and figures are in the folder NAME.run beside it, from which the same call
            goes on.

    Raises:
        OptionError: another name, no folder for it, or weights there that are not of this recipe.
    """
    if out.suffix != ".safetensors":
        raise OptionError(f"--out is {out}; the name must end in .safetensors")
    if not out.parent.is_dir():
        raise OptionError(f"there is no folder {out.parent} for --out; create it first")
    dpath = out.with_suffix(".run")
    if out.exists() and not (dpath / MODEL).is_file():
        raise OptionError(f"{out} exists already and is of no run in {dpath}; give another name, or remove it first")
    worker = recipe.devices.worker()
    facts = train_shipped(recipe, dpath, command=command_of(recipe, out), worker=worker, say=say)
    if worker.first:
        with atomic_write(out) as file, (dpath / MODEL).open("rb") as weights:
            shutil.copyfileobj(weights, file)
        facts = {**to_json(recipe.deciding()), **facts, "sha256": hashlib.sha256(out.read_bytes()).hexdigest()}
        with atomic_write(out.with_suffix(".json")) as file:
            file.write((json.dumps(to_json(facts), indent=1, allow_nan=False) + "\n").encode())
    return facts


def command_of(recipe: ShippedRecipe, out: Path) -> str:
    """The command line that trains by a recipe: its seed, and every value that is not the default."""
    changed = _differences(to_json(recipe.deciding()), to_json(type(recipe)().deciding()))
    seed = changed.pop("training.seed", 0)
    words = ["isotherm", "train", recipe.name, "--seed", str(seed), "--threads", str(torch.get_num_threads())]
    for path, value in changed.items():
        words += ["--set", f"{path}={value if isinstance(value, str) else json.dumps(value, allow_nan=False)}"]
    return shell_line([*words, "--out", out.name])


def _differences(plain: Mapping[str, Any], default: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Values of nested dictionaries that are not those of the default, by paths such as
    ``training.schedule.warm_up``.
    """
    differences: dict[str, Any] = {}
    for key, value in plain.items():
        before = default.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            differences |= _differences(value, before, f"{above}{key}.")
        elif value != before:
            differences[f"{above}{key}"] = value
    return differences


def made_with() -> dict[str, Any]:
    """Versions and threads, for the record; a run that was gone on with has those of its last part."""
    return {
        "isotherm": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def ends(seeds: Sequence[int]) -> list[int]:
    """The first and the last of a range of seeds."""
    return [seeds[0], seeds[-1]]
