"""What each command takes: a job's options, and what a console adds. No torch here: ``isotherm --help`` must answer at
once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, subcommand

from isotherm.jobs.ablate.options import AblateAnticipationJob
from isotherm.jobs.count.options import CountJob
from isotherm.jobs.evaluate.fsc147_options import EvalFsc147Job
from isotherm.jobs.evaluate.gaze_options import EvalGazeJob
from isotherm.jobs.evaluate.grounding_options import EvalGroundingJob
from isotherm.jobs.evaluate.keypoints_options import EvalKeypointsJob
from isotherm.jobs.explain.options import ExplainJob
from isotherm.jobs.gaze.convert_options import GazeConvertJob
from isotherm.jobs.gaze.draw_options import GazeDrawJob
from isotherm.jobs.gaze.import_options import GazeImportJob
from isotherm.jobs.lift.options import LiftJob
from isotherm.jobs.options import ModelOptions
from isotherm.jobs.predict.gaze_options import PredictGazeJob
from isotherm.jobs.predict.grounding_options import PredictGroundingJob
from isotherm.jobs.predict.keypoints_options import PredictKeypointsJob
from isotherm.jobs.sweep.options import SweepJob
from isotherm.jobs.train.anticipation_options import TrainAnticipationJob
from isotherm.jobs.train.grounding_options import TrainGroundingJob
from isotherm.jobs.train.keypoints_options import TrainKeypointsJob
from isotherm.jobs.train.shipped_options import (
    TrainDetectorJob,
    TrainScenesJob,
    TrainTinyAnticipationJob,
    TrainTinyGroundingJob,
    TrainTinyVlmJob,
)
from isotherm.studio.options import StudioOptions


@dataclass(frozen=True, kw_only=True)
class Common:
    """What every command takes."""

    debug: bool = False
    """Show the traceback of an error."""
    quiet: bool = False
    """Print only the summary and errors."""


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
class Runs(Common):
    """The runs in a folder, the newest first: when, what, how it went, where, and the command that asks for the
    same.
    """

    dpath: Positional[Path] = Path("runs")
    """The folder with the runs; those in folders below it are listed as well."""
    json: bool = False
    """As JSON, with the folders that were skipped and why."""


@dataclass(frozen=True, kw_only=True)
class Studio(Common, StudioOptions):
    """The web page: get a picture, ask a model, look at what it sees; until Ctrl+C."""


@dataclass(frozen=True, kw_only=True)
class Demo(Common):
    """Explain what the shipped model finds on the shipped pictures; writes pictures and a page."""

    out: Path = Path("demo")
    """Folder for the results; an earlier demo in it is replaced."""


@dataclass(frozen=True, kw_only=True)
class TrainScenes(Common, TrainScenesJob):
    """Train the classifier of generated scenes; the same command goes on with a run that was interrupted."""


@dataclass(frozen=True, kw_only=True)
class TrainDetector(Common, TrainDetectorJob):
    """Train the heatmap detector of generated scenes; the same command goes on with a run that was interrupted."""


@dataclass(frozen=True, kw_only=True)
class TrainTinyVlm(Common, TrainTinyVlmJob):
    """Train the small vision-language model on questions about shapes; the same command goes on with a run that was
    interrupted.
    """


@dataclass(frozen=True, kw_only=True)
class TrainTinyAnticipation(Common, TrainTinyAnticipationJob):
    """Train the small model of the next action on generated clips with gaze."""


@dataclass(frozen=True, kw_only=True)
class TrainTinyGrounding(Common, TrainTinyGroundingJob):
    """Train the small grounding model on instructions about generated tables; the same command goes on with a run that
    was interrupted.
    """


@dataclass(frozen=True, kw_only=True)
class TrainKeypoints(Common, TrainKeypointsJob):
    """Train a model that finds keypoints; killed at any moment, it goes on with --resume."""


@dataclass(frozen=True, kw_only=True)
class TrainGrounding(Common, TrainGroundingJob):
    """Train a model that finds what an instruction means; killed at any moment, it goes on with --resume."""


@dataclass(frozen=True, kw_only=True)
class TrainAnticipation(Common, TrainAnticipationJob):
    """Train a model that says what happens next in a video, with gaze or without; killed at any moment, it goes on with
    --resume.
    """


@dataclass(frozen=True, kw_only=True)
class PredictGrounding(Common, PredictGroundingJob):
    """Find what an instruction means: the map over the picture, the likeliest places with ellipses, and as JSON."""


@dataclass(frozen=True, kw_only=True)
class EvalKeypoints(Common, EvalKeypointsJob):
    """Judge a trained model on labelled pictures: a table, figures, the best and the worst pictures."""


@dataclass(frozen=True, kw_only=True)
class EvalGrounding(Common, EvalGroundingJob):
    """Judge a trained model on instructions whose places are known: figures, a row each, the best and the worst
    pictures.
    """


@dataclass(frozen=True, kw_only=True)
class EvalGaze(Common, EvalGazeJob):
    """Judge maps by where people looked: AUC-Judd, sAUC, NSS, KL, CC and SIM, beside a map of the middle, with the best
    and the worst moments.
    """


@dataclass(frozen=True, kw_only=True)
class PredictKeypoints(Common, PredictKeypointsJob):
    """Find keypoints: drawn with the ellipses that hold them with 95 %, and as JSON."""


@dataclass(frozen=True, kw_only=True)
class GazePredict(Common, PredictGazeJob):
    """Find where the people in a video look, by Gaze-LLE: maps and points for each, a table and a film; stopped at any
    moment, the same command goes on with it.
    """


@dataclass(frozen=True, kw_only=True)
class Lift(Common, LiftJob):
    """Find what an instruction means in space, from several calibrated views: a point with covariance, and whether the
    views agree.
    """


@dataclass(frozen=True, kw_only=True)
class AblateAnticipation(Common, AblateAnticipationJob):
    """Train a recipe of anticipation with and without gaze, with other gaze and other ways in, and compare."""


@dataclass(frozen=True, kw_only=True)
class Sweep(Common, SweepJob):
    """Train a recipe many times with other values; killed at any moment, the same command goes on with it."""


@dataclass(frozen=True, kw_only=True)
class Count(Common, CountJob):
    """Count things with a vision-language model: the count, a dot for each, and where in the picture the numbers come
    from.
    """


@dataclass(frozen=True, kw_only=True)
class EvalFsc147(Common, EvalFsc147Job):
    """Judge a model's counts on FSC-147; stopped at any moment, the same command goes on with it."""


@dataclass(frozen=True, kw_only=True)
class GazeConvert(Common, GazeConvertJob):
    """Convert stores of gaze: npz and folders of frame_000000.npy to Zarr and back, and points to maps; stopped at any
    moment, the same command goes on with it.
    """


@dataclass(frozen=True, kw_only=True)
class GazeImport(Common, GazeImportJob):
    """Read gaze of an eye tracker or a data set, bring it onto the clock of its video, and write it as points, with a
    report of how well they fit.
    """


@dataclass(frozen=True, kw_only=True)
class GazeDraw(Common, GazeDrawJob):
    """Draw a recording of gaze on its video: where the person looks, how the gaze came there, and the heat of it."""


Command = (
    Annotated[Explain, subcommand("explain")]
    | Annotated[Layers, subcommand("layers")]
    | Annotated[Methods, subcommand("methods")]
    | Annotated[Show, subcommand("show")]
    | Annotated[Runs, subcommand("runs")]
    | Annotated[Studio, subcommand("studio")]
    | Annotated[Demo, subcommand("demo")]
    | Annotated[TrainKeypoints, subcommand("train keypoints")]
    | Annotated[TrainGrounding, subcommand("train grounding")]
    | Annotated[TrainAnticipation, subcommand("train anticipation")]
    | Annotated[TrainScenes, subcommand("train scenes")]
    | Annotated[TrainDetector, subcommand("train detector")]
    | Annotated[TrainTinyVlm, subcommand("train tiny-vlm")]
    | Annotated[TrainTinyGrounding, subcommand("train tiny-grounding")]
    | Annotated[TrainTinyAnticipation, subcommand("train tiny-anticipation")]
    | Annotated[Count, subcommand("count")]
    | Annotated[EvalKeypoints, subcommand("eval keypoints")]
    | Annotated[EvalGrounding, subcommand("eval grounding")]
    | Annotated[EvalGaze, subcommand("eval gaze")]
    | Annotated[EvalFsc147, subcommand("eval fsc147")]
    | Annotated[PredictKeypoints, subcommand("predict keypoints")]
    | Annotated[PredictGrounding, subcommand("predict grounding")]
    | Annotated[GazePredict, subcommand("gaze predict")]
    | Annotated[Lift, subcommand("lift")]
    | Annotated[AblateAnticipation, subcommand("ablate anticipation")]
    | Annotated[Sweep, subcommand("sweep")]
    | Annotated[GazeImport, subcommand("gaze import")]
    | Annotated[GazeConvert, subcommand("gaze convert")]
    | Annotated[GazeDraw, subcommand("gaze draw")]
)

COMMANDS = (
    "explain",
    "layers",
    "methods",
    "show",
    "runs",
    "studio",
    "demo",
    "train keypoints",
    "train grounding",
    "train anticipation",
    "train scenes",
    "train detector",
    "train tiny-vlm",
    "train tiny-grounding",
    "train tiny-anticipation",
    "count",
    "eval keypoints",
    "eval grounding",
    "eval gaze",
    "eval fsc147",
    "predict keypoints",
    "predict grounding",
    "gaze predict",
    "lift",
    "ablate anticipation",
    "sweep",
    "gaze import",
    "gaze convert",
    "gaze draw",
)
PAIRS = {name.partition(" ")[0] for name in COMMANDS if " " in name}
"""First words of commands of two words."""
