"""What the commands that train the networks that ship take. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import UseAppendAction

from isotherm.cli.common_options import Common


@dataclass(frozen=True, kw_only=True)
class TrainShipped(Common):
    config: Path | None = None
    """A recipe (YAML). Default: that of the weights that ship."""
    seed: int | None = None
    """Of weights, pictures and their order. Default: as the recipe says, else 0."""
    steps: int | None = None
    """Steps of the optimiser. Default: as the recipe says."""
    set: UseAppendAction[tuple[str, ...]] = ()
    """Change a value of the recipe: --set training.rate=3e-4. May be given many times."""
    out: Path | None = None
    """Weights to write, NAME.safetensors; what they reach goes to NAME.json, and checkpoints to the folder NAME.run, from which the
    same command goes on. Default: runs/ and the model's name and seed."""
    threads: int | None = None
    """Threads of torch; the same number gives the same bits. Default: as many as there are."""
    device: str = "cpu"
    """auto, cpu, cuda, cuda:1, mps."""


@dataclass(frozen=True, kw_only=True)
class TrainScenes(TrainShipped):
    """Train the classifier of generated scenes; the same command goes on with a run that was interrupted."""


@dataclass(frozen=True, kw_only=True)
class TrainDetector(TrainShipped):
    """Train the heatmap detector of generated scenes; the same command goes on with a run that was interrupted."""


@dataclass(frozen=True, kw_only=True)
class TrainTinyVlm(TrainShipped):
    """Train the small vision-language model on questions about shapes; the same command goes on with a run that was interrupted."""
