"""What ``isotherm train grounding`` is asked for. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from tyro.conf import UseAppendAction

from isotherm.errors import OptionError
from isotherm.jobs.options import JobOptions


@dataclass(frozen=True, kw_only=True)
class TrainGroundingJob(JobOptions):
    """Train a model that finds what an instruction means; killed at any moment, it goes on with --resume."""

    words: ClassVar[tuple[str, ...]] = ("train", "grounding")

    config: Path | None = None
    """A recipe (YAML), such as recipes/first_grounding.yaml. Relative paths in it start at its own folder."""
    set: UseAppendAction[tuple[str, ...]] = ()
    """Change a value of the recipe: --set training.rate=3e-4. May be given many times."""
    data: Path | None = None
    """Instructions without a recipe: JSON Lines (.jsonl), or the refs of referring expressions (.json)."""
    images: Path | None = None
    """The folder that the pictures of --data are named relative to. Default: that of the file."""
    instances: Path | None = None
    """COCO's instances that the refs of --data are about."""
    split: str | None = None
    """Of referring expressions: learn from those of this split alone, such as train. Default: all."""
    orientation: Literal["upright", "stored"] | None = None
    """In which pixels places in turned pictures of --data are: upright, as they are seen, or as stored. Default:
    upright, which is said where a picture is turned.
    """
    model: str | None = None
    """A vision-language model: owner/name of a hub or a folder. Default: as the recipe says, else
    google/paligemma-3b-pt-224.
    """
    language: Literal["frozen", "lora", "whole"] | None = None
    """What is trained beside the head: nothing, small matrices beside the language model's layers (needs
    isotherm[train]), or all of it. Default: as the recipe says, else frozen.
    """
    conditioning: Literal["auto", "text_first", "as_is", "text_query"] | None = None
    """How the instruction reaches the head. Default: as the recipe says, else auto, which puts the text before the
    picture where a model reads from left to right.
    """
    steps: int | None = None
    """Steps of the optimiser."""
    seed: int | None = None
    """Of the head's weights, the order and the augmentation. Default: as the recipe says, else 0."""
    out: Path | None = None
    """Folder of the run. Default: a new one, runs/grounding-001 and so on. A folder with a run of the same recipe is
    gone on with.
    """
    resume: Path | None = None
    """Go on with the run in this folder, by the recipe that it holds."""
    skip_bad: bool = False
    """Leave out lines and pictures that cannot be read, and say so, instead of stopping."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    devices: int = 1
    """Devices on this machine that share the work (needs isotherm[train])."""
    nodes: int = 1
    """Machines that share the work."""
    track: Literal["csv", "wandb", "tensorboard"] | None = None
    """Tell wandb (offline, unless the recipe says online) or tensorboard as well. Default: as the recipe says."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "steps", "devices", "nodes")
        self.at_least(0, "seed")
        if sum(choice is not None for choice in (self.config, self.data, self.resume)) != 1:
            raise OptionError("give one of --config RECIPE, --data INSTRUCTIONS, or --resume RUN")
        if self.resume is not None:
            for name in (
                "out",
                "set",
                "steps",
                "seed",
                "model",
                "language",
                "conditioning",
                "images",
                "instances",
                "split",
                "orientation",
            ):
                if getattr(self, name) not in (None, ()):
                    raise OptionError(f"--{name} changes the run; --resume goes on with {self.resume} as it is")
        if self.config is not None:
            for name in ("images", "instances", "split", "orientation"):
                if getattr(self, name) is not None:
                    raise OptionError(f"--{name} goes with --data; a recipe says where its files are")
