"""The job behind ``isotherm eval grounding``: a trained model judged on instructions whose places are known."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from isotherm.atomic import atomic_write
from isotherm.data.grounding.cache import CachedGrounding, cache_grounding
from isotherm.data.grounding.records import GroundingSet
from isotherm.decode import cell_probability
from isotherm.draw import ReportEntry
from isotherm.errors import InputError, OptionError
from isotherm.heatmap import Heatmap
from isotherm.jobs.evaluate.grounding_options import EvalGroundingJob
from isotherm.jobs.evaluate.place_pages import write_place_pages
from isotherm.jobs.reporter import Reporter
from isotherm.jobs.train.kept import kept_recipe
from isotherm.metrics.place_report import PlaceReport, report_places
from isotherm.ops.devices import chosen_device
from isotherm.ops.shell import shell_line
from isotherm.progress import Say
from isotherm.runs.file import to_json
from isotherm.runs.record import Run, Summary
from isotherm.train.grounding.build import TrainedGrounding, open_grounding
from isotherm.train.grounding.data import InstructionChoice, InstructionSource, read_instructions, read_source
from isotherm.train.grounding.pictures import picture_of, write_extremes
from isotherm.train.grounding.validate import GroundingMaps, JudgedGrounding, judge_maps, maps_of
from isotherm.train.recipe import from_plain


@dataclass(frozen=True, eq=False)
class GroundingEvaluation:
    """What an evaluation found, and its record."""

    judged: JudgedGrounding
    report: PlaceReport
    summary: Summary


def run(
    options: EvalGroundingJob,
    reporter: Reporter | None = None,
    *,
    opened: tuple[TrainedGrounding, str] | None = None,
    command: Sequence[str] | None = None,
) -> GroundingEvaluation:
    """Judge a model, and write its figures, a row for every map, the best and the worst pictures.

    Args:
        opened: the trained model and what to call it, where it is open already. Others: as of
            :func:`isotherm.jobs.explain.run.run`.

    Raises:
        JobCancelled: it was cancelled; the record says so.
        InputError, OptionError: nothing to judge by, or not of this model.
    """
    reporter = Reporter() if reporter is None else reporter
    words = options.command_line() if command is None else list(command)
    line = shell_line(words)
    trained, which = open_grounding(options.run) if opened is None else opened
    trained.model.to(chosen_device(options.device))
    say = reporter.say
    say(which)
    instructions = _instructions(options, trained, say)
    if not len(instructions):
        raise InputError("there are no instructions to judge by; give --data with some")
    with Run(
        "eval",
        out=options.out,
        overwrite=options.overwrite,
        command=words,
        options=options.to_json(),
        model=which,
        data=str(options.data or "the run's own"),
    ) as record:
        data = cache_grounding(
            instructions, record.dpath.parent / ".cache", side=trained.side, skip_bad=options.skip_bad, say=say
        )
        reporter.check()
        maps = maps_of(trained.model, data, trained, batch=options.batch, say=say)
        judged = judge_maps(maps, trained.calibration)
        reporter.check()
        report = report_places(
            judged.answers.peaks.xy,
            maps.points,
            maps.frame,
            within_cells=trained.calibration.within_cells,
            logits=maps.logits / trained.calibration.temperature,
            confidence=judged.answers.confidence,
        )
        facts = {
            "model": which,
            "command": line,
            **judged.to_json(),
            "calibration": asdict(trained.calibration),
            "report": report.to_json(),
        }
        with atomic_write(record.dpath / "evaluation.json") as file:
            file.write(json.dumps(to_json(facts), indent=1, allow_nan=False).encode())
        _write_rows(judged, data, record.dpath / "places.csv")
        if options.extremes:
            write_extremes(judged, data, trained, record.dpath / "pictures", count=options.extremes, command=line)
        write_place_pages(
            report, lambda i: _entry(data, maps, trained, i), record.dpath, count=options.extremes, command=line
        )
        for i, row in enumerate(judged.record.tolist()):
            name = data.records[row].name or str(row)
            reporter.item(record.done(name, error_px=float(judged.error_px[i]), hit=bool(judged.hit[i])))
        return GroundingEvaluation(judged, report, record.finish())


def _instructions(options: EvalGroundingJob, trained: TrainedGrounding, say: Say) -> GroundingSet:
    """What to judge by: the file that was given, or what the run validates on."""
    apart = trained.choice.views == "apart"
    if options.data is not None:
        source = InstructionSource(
            file=str(options.data),
            images=str(options.images or ""),
            instances=str(options.instances or ""),
            orientation=options.orientation,
            split=options.split,
        )
        data = read_source(source, root=Path(), skip_bad=options.skip_bad, say=say)
        data = data.apart() if apart else data
        for message in data.skipped:
            say(f"skipped: {message}")
    else:
        if not options.run.is_dir():
            raise OptionError("a model file does not say what to judge it by; give --data with instructions")
        plain, root, where = kept_recipe(options.run)
        choice = from_plain(InstructionChoice, plain["data"], where=where)
        data = read_instructions(choice, root=root, apart=apart, skip_bad=options.skip_bad, say=say)[1]
    if len(data) and (data.views, data.steps) != (trained.views, trained.outputs.steps):
        raise OptionError(
            f"the instructions have {data.views} pictures and {data.steps} steps; the model was trained on {trained.views} and {trained.outputs.steps}"
        )
    return data


def _entry(data: CachedGrounding, maps: GroundingMaps, trained: TrainedGrounding, i: int) -> ReportEntry:
    """The picture of a map with it, for the page."""
    record = data.records[int(maps.record[i])]
    own = picture_of(record, maps.view(i))
    values = cell_probability(maps.logits[i : i + 1] / trained.calibration.temperature)[0]
    heatmap = Heatmap(values, maps.frame[i], "probability", label=record.text)
    places = maps.points[i][torch.isfinite(maps.points[i]).all(-1)].tolist()
    truth = ", ".join(f"({x:.1f}, {y:.1f})" for x, y in places)
    return ReportEntry(own, [heatmap], title=record.name, source=record.origin, lines=[f"truth: {truth}"])


def _write_rows(judged: JudgedGrounding, data: CachedGrounding, fpath: Path) -> None:
    """A row for every map."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["instruction", "origin", "error_px", "error_cells", "hit", "confidence", "answered", "nll"])
    for i, number in enumerate(judged.record.tolist()):
        record, answers = data.records[number], judged.answers
        values = (judged.error_px[i], judged.error_cells[i], answers.confidence[i], judged.nll[i])
        px, cells, confidence, nll = (f"{float(v):.4f}" for v in values)
        flags = int(judged.hit[i]), int(answers.answers[i])
        rows.writerow([record.name, record.origin, px, cells, flags[0], confidence, flags[1], nll])
    with atomic_write(fpath) as file:
        file.write(text.getvalue().encode())
