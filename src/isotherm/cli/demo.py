"""``isotherm demo``: photographs, scenes and questions explained, instructions followed, a clip with gaze.

A page, and a table for each. The parts need different packages. What cannot be shown here is left out, and the console,
the record and the page say so.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from isotherm.cli.console import say
from isotherm.cli.demo_gaze import anticipate_with_gaze
from isotherm.cli.demo_instructions import follow_instructions
from isotherm.cli.demo_photographs import show_photographs
from isotherm.cli.demo_questions import ask_questions
from isotherm.cli.demo_scenes import show_classes, show_findings
from isotherm.cli.options import Demo
from isotherm.draw import ReportEntry, write_report
from isotherm.errors import MissingExtraError, OptionError
from isotherm.runs.record import Run

Part = Callable[[Run], tuple[Table, list[ReportEntry], str]]
"""Shows something: a table for the console, entries for the page, and the name of the model."""
PARTS: dict[str, Part] = {
    "photographs": show_photographs,
    "classes of generated scenes": show_classes,
    "findings in generated scenes": show_findings,
    "questions": ask_questions,
    "instructions": follow_instructions,
    "a clip with gaze": anticipate_with_gaze,
}


def run(options: Demo, arguments: Sequence[str]) -> int:
    _clear(options.out)
    console = Console(
        quiet=options.quiet, highlight=False, width=None if sys.stdout.isatty() else 120
    )  # a pipe has no width that could cut names
    tables: list[Table] = []
    entries: list[ReportEntry] = []
    models: list[str] = []
    left_out: list[str] = []
    with Run("demo", out=options.out, command=["isotherm", *arguments]) as record:
        for name, show in PARTS.items():
            try:
                table, more, model = show(record)
            except MissingExtraError as error:
                left_out.append(f"{name}: {error}")
                continue
            tables.append(table)
            entries += more
            models.append(model)
        record.note(model={"name": "; ".join(models)}, left_out=left_out)
        page = write_report(
            entries,
            record.dpath / "index.html",
            title="isotherm demo",
            command="isotherm demo",
            facts={"models": "; ".join(models), **({"left out": "; ".join(left_out)} if left_out else {})},
        )
    for table in tables:
        console.print(table)
    for line in left_out:
        say(f"left out: {line}")
    print(
        f"\npictures: {record.dpath}/*.png; the commands in them and on the page run in {record.dpath}\nlook at   {page}"
    )
    return 0


def _clear(out: Path) -> None:
    """Make way for a new demo; a folder that no demo made is left alone."""
    if not out.exists():
        return
    if not (out / "run.json").is_file() or '"job": "demo"' not in (out / "run.json").read_text():
        raise OptionError(f"--out {out} exists and holds no earlier demo; give another folder")
    shutil.rmtree(out)
