"""What ``isotherm train scenes`` and the others that ship are asked for. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tyro.conf import UseAppendAction

from isotherm.jobs.options import JobOptions


@dataclass(frozen=True, kw_only=True)
class TrainShippedJob(JobOptions):
    """Train a network that ships; the same job goes on with a run that was interrupted."""

    config: Path | None = None
    """A recipe (YAML). Default: that of the weights that ship."""
    seed: int | None = None
    """Of weights, pictures and their order. Default: as the recipe says, else 0."""
    steps: int | None = None
    """Steps of the optimiser. Default: as the recipe says."""
    set: UseAppendAction[tuple[str, ...]] = ()
    """Change a value of the recipe: --set training.rate=3e-4. May be given many times."""
    out: Path | None = None
    """Weights to write, NAME.safetensors; what they reach goes to NAME.json, and checkpoints to the folder NAME.run,
    from which the same command goes on. Default: runs/ and the model's name and seed."""
    threads: int | None = None
    """Threads of torch; the same number gives the same bits. Default: as many as there are."""
    device: str = "cpu"
    """auto, cpu, cuda, cuda:1, mps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(0, "seed")
        self.at_least(1, "steps", "threads")


@dataclass(frozen=True, kw_only=True)
class TrainScenesJob(TrainShippedJob):
    """Train the classifier of generated scenes."""

    words: ClassVar[tuple[str, ...]] = ("train", "scenes")


@dataclass(frozen=True, kw_only=True)
class TrainDetectorJob(TrainShippedJob):
    """Train the heatmap detector of generated scenes."""

    words: ClassVar[tuple[str, ...]] = ("train", "detector")


@dataclass(frozen=True, kw_only=True)
class TrainTinyVlmJob(TrainShippedJob):
    """Train the small vision-language model on questions about shapes."""

    words: ClassVar[tuple[str, ...]] = ("train", "tiny-vlm")


@dataclass(frozen=True, kw_only=True)
class TrainTinyGroundingJob(TrainShippedJob):
    """Train the small grounding model on instructions about generated tables."""

    words: ClassVar[tuple[str, ...]] = ("train", "tiny-grounding")


@dataclass(frozen=True, kw_only=True)
class TrainTinyAnticipationJob(TrainShippedJob):
    """Train the small model of the next action on generated clips with gaze."""

    words: ClassVar[tuple[str, ...]] = ("train", "tiny-anticipation")
