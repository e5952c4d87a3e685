"""The job behind ``isotherm gaze draw``: a recording on its video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from isotherm.data.gaze.points_store import read_points
from isotherm.data.names import near_names
from isotherm.draw.gaze import GazeLook
from isotherm.errors import InputError
from isotherm.gaze.film import film_gaze
from isotherm.jobs.gaze.draw_options import GazeDrawJob
from isotherm.jobs.reporter import Reporter
from isotherm.ops.shell import shell_line


def run(options: GazeDrawJob, reporter: Reporter | None = None, *, command: Sequence[str] | None = None) -> Path:
    """Write the film, whole or not at all.

    Args:
        options: what is asked for.
        reporter: is told how it goes.
        command: the command line, which is kept in the film.

    Returns:
        The path of the film.

    Raises:
        InputError: there is no such recording or video, one of them cannot be read, or the film is there already.
        ShapeError: the recording is of a video of another size.
        JobCancelled: it was cancelled before the film was whole.
    """
    reporter = Reporter() if reporter is None else reporter
    words = options.command_line() if command is None else list(command)
    if options.out.exists() and not options.overwrite:
        raise InputError(f"{options.out} is there already; choose another --out, or replace it with --overwrite")
    if not options.out.parent.is_dir():
        raise InputError(f"there is no folder {options.out.parent}; create it first")
    if not options.recording.exists():
        raise InputError(f"there is no gaze at {options.recording}{near_names(options.recording)}")
    if options.recording.suffix != ".parquet":
        raise InputError(
            f"{options.recording} is no file of points; expected .parquet: bring gaze of an eye tracker into it with isotherm gaze import, and maps with "
            "isotherm gaze convert --to points"
        )
    points = read_points(options.recording)
    if points.video and points.video != options.video.name:
        reporter.message(f"the recording says that it is of {points.video}, and {options.video.name} is drawn", "alarm")
    return film_gaze(
        options.video,
        points.recording,
        options.out,
        start_s=options.start_s,
        end_s=options.end_s,
        every=options.every,
        look=GazeLook(trail_s=options.trail_s, heat_s=options.heat_s),
        side=options.side,
        command=shell_line(words),
        say=reporter.say,
    )
