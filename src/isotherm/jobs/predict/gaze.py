"""The job behind ``isotherm gaze predict``: where the people in a video look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from isotherm.data.gaze.head_boxes import read_head_boxes, turned_rows
from isotherm.data.orientation import Turn, Turns
from isotherm.data.video import FrameChoice, probe_video
from isotherm.errors import AdapterError
from isotherm.jobs.options import split
from isotherm.jobs.predict.gaze_options import PredictGazeJob
from isotherm.jobs.reporter import Reporter
from isotherm.models.choose import open_view
from isotherm.models.gaze_lle import DetectedHeads, GazeLLE, HeadDetector, open_gaze_lle
from isotherm.ops.devices import chosen_device
from isotherm.ops.hashing import sha256_of
from isotherm.ops.shell import shell_line
from isotherm.systems.people_gaze import GivenHeads, PeopleGaze, PeopleOptions, WholePicture, predict_gaze
from isotherm.vlm.view import LanguageView


def run(
    options: PredictGazeJob,
    reporter: Reporter | None = None,
    *,
    opened: GazeLLE | None = None,
    command: Sequence[str] | None = None,
) -> PeopleGaze:
    """Look for people's gaze; what the folder has already is not looked at again.

    Args:
        opened: the model, where it is open already. Others: as of :func:`isotherm.jobs.explain.run.run`.

    Raises:
        JobCancelled: it was cancelled; the same job goes on with the folder.
        OptionError: options that do not fit, or a folder of another run.
        InputError, WeightsError: a video, boxes or weights that cannot be read.
    """
    reporter = Reporter() if reporter is None else reporter
    words = options.command_line() if command is None else list(command)
    choice = FrameChoice(
        every=options.every, max_frames=options.max_frames, start_s=options.start_s, end_s=options.end_s
    )
    heads = heads_of(options, reporter)  # first, as a mistake in it should not wait for weights
    model = opened
    if model is None:
        model = open_gaze_lle(options.model, weights=options.weights, backbone=options.backbone, seed=options.seed)
    if options.weights == "none":
        reporter.message("the weights are random: what comes out says nothing about gaze", "alarm")
    model.to(chosen_device(options.device))
    return predict_gaze(
        model,
        options.video,
        heads,
        options.out,
        options=PeopleOptions(
            choice=choice,
            threshold=options.threshold,
            memory=options.memory,
            least_frames=options.least_frames,
            batch=options.batch,
            film=options.film,
        ),
        name=options.model,
        heads_name=_named(options),
        command=shell_line(words),
        say=reporter.say,
    )


def _named(options: PredictGazeJob) -> str:
    """What finds heads, for the record: boxes by their bytes, as others in a file of the same name are another run."""
    if options.heads is None:
        return ""
    if _is_file_of_boxes(options.heads):
        kind = f", {options.orientation}" if options.orientation == "stored" else ""
        return f"{Path(options.heads).name} ({sha256_of(options.heads)[:16]}{kind})"
    return f"{options.heads} ({options.head_names})"


def _is_file_of_boxes(heads: str) -> bool:
    return Path(heads).suffix.lower() in (".csv", ".json")


def heads_of(options: PredictGazeJob, reporter: Reporter) -> HeadDetector:
    """What finds heads: a file of boxes, a detector, or nothing.

    Raises:
        InputError, AdapterError: a file or model that cannot be read, or one that is no detector of heads.
    """
    if options.heads is None:
        reporter.message(
            "no heads are known: the model is asked as if one person were in the picture; give boxes or a detector of heads with --heads",
            "alarm",
        )
        return WholePicture()
    if _is_file_of_boxes(options.heads):
        turns = Turns(options.orientation)
        turn = turns.of(options.video.name, probe_video(options.video).own or Turn((1, 1)))
        for note in turns.notes:
            reporter.message(f"heads: {note}")
        boxes = read_head_boxes(options.heads)
        return GivenHeads({frame: turned_rows(rows, turn) for frame, rows in boxes.items()} if turn.turned else boxes)
    chosen = open_view(options.heads)
    reporter.message(f"heads: {chosen.reason}")
    if isinstance(chosen.view, LanguageView):
        raise AdapterError(f"{options.heads} answers questions; heads are found by a detector")
    return DetectedHeads(chosen.view, names=split(options.head_names, "--head-names"))
