"""``isotherm gaze import``: the job on the console."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.cli.console import ConsoleReporter, say
from isotherm.cli.options import GazeImport
from isotherm.jobs.gaze.import_run import run as run_job


def run(options: GazeImport, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options, by_lines=True) as reporter:
        written = run_job(options, reporter, command=["isotherm", *arguments])
    if not options.quiet:
        say(written)
    say(f"{len(written.alignment.recording)} samples are in {written.fpath}; look at {written.picture_fpath}")
    return 0
