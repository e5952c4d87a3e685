"""The recipe beside weights that ship: the command that makes them again, what they were fitted and measured on, and what they reach."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from isotherm.atomic import atomic_write
from isotherm.version import __version__


class Stopwatch:
    """Wall and processor time since it was made."""

    def __init__(self) -> None:
        self._began, self._busy = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._began, time.process_time() - self._busy


def write_recipe(out: Path, parts: Mapping[str, Any], *, seconds: float, processor_seconds: float) -> dict[str, Any]:
    """Write NAME.json beside NAME.safetensors, with what it was made with and its hash, and return all of it."""
    made_with = {
        "isotherm": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor_seconds, 1),
    }
    recipe = {**parts, "made_with": made_with, "sha256": hashlib.sha256(out.read_bytes()).hexdigest()}
    with atomic_write(out.with_suffix(".json")) as file:
        file.write((json.dumps(recipe, indent=1) + "\n").encode())
    return recipe


def command_of(module: str, config: Any, names: Sequence[str], out: Path) -> str:
    """The command line that trains by a configuration."""
    parts = [f"python -m {module}", f"--out {out.name}", f"--threads {torch.get_num_threads()}"]
    return " ".join([*parts, *(f"--{name.replace('_', '-')} {getattr(config, name)}" for name in names)])


def ends(seeds: Sequence[int]) -> list[int]:
    """The first and the last of a range of seeds."""
    return [seeds[0], seeds[-1]]
