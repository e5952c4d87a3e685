"""What each command takes. No torch here: ``isotherm --help`` must answer at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, subcommand

from isotherm.cli.common_options import Common
from isotherm.cli.keypoint_options import EvalKeypoints, PredictKeypoints, Sweep, TrainKeypoints
from isotherm.cli.train_options import TrainDetector, TrainScenes, TrainTinyVlm
from isotherm.cli.vlm_options import Count, EvalFsc147
from isotherm.jobs.explain.options import ExplainJob
from isotherm.jobs.model_options import ModelOptions


@dataclass(frozen=True, kw_only=True)
class Explain(Common, ExplainJob):
    """Heatmaps of what speaks for what a model sees: one per detection, or of a classifier's classes."""


@dataclass(frozen=True, kw_only=True)
class Layers(Common, ModelOptions):
    """The layers that a model can be explained at, as a tree, and which one is chosen automatically."""

    at: str = ""
    """Show the inside of this layer."""


@dataclass(frozen=True, kw_only=True)
class Methods(Common):
    """All methods, with what each one needs and where it is from."""


@dataclass(frozen=True, kw_only=True)
class Show(Common):
    """What a saved heatmap holds."""

    fpaths: Positional[tuple[Path, ...]]
    """Files that explain or Heatmap.save wrote, .npz or .safetensors."""


@dataclass(frozen=True, kw_only=True)
class Demo(Common):
    """Explain what the shipped model finds on the shipped pictures; writes pictures and a page."""

    out: Path = Path("demo")
    """Folder for the results; an earlier demo in it is replaced."""


Command = (
    Annotated[Explain, subcommand("explain")]
    | Annotated[Layers, subcommand("layers")]
    | Annotated[Methods, subcommand("methods")]
    | Annotated[Show, subcommand("show")]
    | Annotated[Demo, subcommand("demo")]
    | Annotated[TrainKeypoints, subcommand("train keypoints")]
    | Annotated[TrainScenes, subcommand("train scenes")]
    | Annotated[TrainDetector, subcommand("train detector")]
    | Annotated[TrainTinyVlm, subcommand("train tiny-vlm")]
    | Annotated[Count, subcommand("count")]
    | Annotated[EvalKeypoints, subcommand("eval keypoints")]
    | Annotated[EvalFsc147, subcommand("eval fsc147")]
    | Annotated[PredictKeypoints, subcommand("predict keypoints")]
    | Annotated[Sweep, subcommand("sweep")]
)

COMMANDS = (
    "explain",
    "layers",
    "methods",
    "show",
    "demo",
    "train keypoints",
    "train scenes",
    "train detector",
    "train tiny-vlm",
    "count",
    "eval keypoints",
    "eval fsc147",
    "predict keypoints",
    "sweep",
)
PAIRS = {name.partition(" ")[0] for name in COMMANDS if " " in name}
"""First words of commands of two words."""
