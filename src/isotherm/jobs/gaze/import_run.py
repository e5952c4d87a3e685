"""The job behind ``isotherm gaze import``: a file of gaze onto the clock of its video."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isotherm.atomic import atomic_write
from isotherm.data.gaze.align import Alignment, align
from isotherm.data.gaze.clock import read_clock
from isotherm.data.gaze.figures import alignment_figure
from isotherm.data.gaze.formats import ReadOptions, read_raw, read_world_timestamps
from isotherm.data.gaze.limits import AlignOptions, refusal
from isotherm.data.gaze.points_store import write_points
from isotherm.errors import InputError
from isotherm.jobs.gaze.import_options import GazeImportJob
from isotherm.jobs.gaze.record import write_record
from isotherm.jobs.gaze.sizes import size_of
from isotherm.jobs.reporter import Reporter


@dataclass(frozen=True, eq=False)
class ImportedGaze:
    """What was written.

    Args:
        fpath: of the points.
        report_fpath: of the report as JSON.
        picture_fpath: of the report as a picture.
        alignment: the gaze and its report.
    """

    fpath: Path
    report_fpath: Path
    picture_fpath: Path
    alignment: Alignment

    def __str__(self) -> str:
        return str(self.alignment.report)


def run(
    options: GazeImportJob, reporter: Reporter | None = None, *, command: Sequence[str] | None = None
) -> ImportedGaze:
    """Read, align, judge, and write the points and the report.

    Args:
        options: what is asked for.
        reporter: is told how it goes.
        command: the command line, for the record.

    Raises:
        InputError: file and line of what is wrong, or figures beyond their limits: the report is written, the points
            are not.
        OptionError: the format needs something that was not given; it is named.
        JobCancelled: it was cancelled before anything was written.
    """
    reporter = Reporter() if reporter is None else reporter
    words = options.command_line() if command is None else list(command)
    out = options.out
    if out.exists() and not options.overwrite:
        raise InputError(f"{out} is there already; choose another --out, or replace it with --overwrite")
    if not out.parent.is_dir():
        raise InputError(f"there is no folder {out.parent}; create it first")
    clock = None if options.video is None else read_clock(options.video)
    size = None if options.size is None else size_of(options.size, "--size")
    coded = clock.own.stored if clock is not None and clock.own is not None else size
    read_options = ReadOptions(
        size=size if clock is None else coded if options.orientation == "stored" else clock.size,
        gaze_size=None if options.gaze_size is None else size_of(options.gaze_size, "--gaze-size"),
        calibration=options.calibration,
        least_confidence=options.least_confidence,
        first=options.first_frame,
    )
    raw = read_raw(options.recording, options.format, read_options)
    world = None if options.world_timestamps is None else read_world_timestamps(options.world_timestamps)
    reporter.check()
    limits = AlignOptions(
        offset_s=options.offset_s,
        start_together=options.start_together,
        tolerance_s=options.tolerance_ms / 1e3,
        drift_ppm=options.most_drift_ppm,
        coverage=options.least_coverage / 100,
        frames=options.most_frames,
        overhang_s=options.most_overhang_s,
    )
    alignment = align(raw, clock=clock, world_ns=world, size=size, options=limits, orientation=options.orientation)
    reporter.check()
    result = ImportedGaze(out, out.with_suffix(".alignment.json"), out.with_suffix(".alignment.png"), alignment)
    write_record(result.report_fpath, words, options, **alignment.report.to_json())
    picture = io.BytesIO()
    alignment_figure(alignment, limits).save(picture, "PNG")
    with atomic_write(result.picture_fpath) as file:
        file.write(picture.getbuffer())
    failed = alignment.report.failed
    if failed:
        raise InputError(
            f"{options.recording} does not fit: {refusal(failed)}; look at {result.picture_fpath}; nothing else was written"
        )
    write_points(alignment.recording, out, video="" if options.video is None else options.video.name)
    return result
