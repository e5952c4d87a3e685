"""The job behind ``isotherm eval gaze``: maps judged by where people looked."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.atomic import atomic_write
from isotherm.data.gaze.clock import read_clock
from isotherm.data.gaze.store import MapOptions
from isotherm.errors import InputError
from isotherm.jobs.evaluate.gaze_clips import JudgedClip, pairs_of, read_clip
from isotherm.jobs.evaluate.gaze_options import EvalGazeJob
from isotherm.jobs.evaluate.gaze_pages import find_video, write_gaze_pages
from isotherm.jobs.gaze.sizes import size_of
from isotherm.jobs.reporter import Reporter
from isotherm.metrics.figure_table import FigureRow, FigureTable
from isotherm.metrics.intervals import FEWEST, bootstrap
from isotherm.metrics.saliency import middle_map, saliency_figures
from isotherm.ops.shell import shell_line
from isotherm.progress import Progress
from isotherm.runs.file import to_json
from isotherm.runs.record import Run, Summary

Figures = Mapping[str, Float[Tensor, " t"]]
COVERED = "covered"
"""The share of the moments with gaze that have a predicted map: of those that are judged, times how much of the truth
they reach, so that a map of one moment does not count for all of them.
"""
REACHED = 0.95
"""Where predicted maps are of less of the truth than this, it is said."""


@dataclass(frozen=True, eq=False)
class GazeEvaluation:
    """What an evaluation found, and its record.

    Args:
        figures: the means over clips of the means over each clip's moments, and their intervals by bootstrap over
            clips: of the predicted maps, and of a map of the middle.
        clips: the figures of every moment by name, for each clip by name.
        notes: what was assumed or chosen.
        summary: of the run.
    """

    figures: FigureTable
    clips: Mapping[str, Figures]
    notes: tuple[str, ...]
    summary: Summary

    def table(self) -> str:
        """The figures as aligned text."""
        return self.figures.table()


def run(
    options: EvalGazeJob, reporter: Reporter | None = None, *, command: Sequence[str] | None = None
) -> GazeEvaluation:
    """Judge maps, and write the figures, a row for every moment, the best and the worst of them.

    Args: as of :func:`isotherm.jobs.explain.run.run`.

    Raises:
        JobCancelled: it was cancelled; the record says so.
        InputError: stores that cannot be read or have no clip or moment in common, or nobody looked at anything.
        KindError: maps of a kind that cannot be compared.
    """
    reporter = Reporter() if reporter is None else reporter
    words = options.command_line() if command is None else list(command)
    pairs = pairs_of(options.predicted, options.truth)
    maps = MapOptions(
        size=None if options.size is None else size_of(options.size, "--size"),
        rate_hz=options.rate,
        key=options.key,
        scale=options.scale,
        first=options.first_frame,
    )
    with Run(
        "eval",
        out=options.out,
        overwrite=options.overwrite,
        command=words,
        options=options.to_json(),
        model=str(options.predicted),
        data=str(options.truth),
    ) as record:
        clips = []
        for i, (name, (predicted, truth)) in enumerate(pairs.items()):
            reporter.check()
            own = _timed(maps, name, options.videos, alone=len(pairs) == 1)
            clips.append(
                read_clip(
                    name, predicted, truth, own, cells=options.cells, most=options.most, sigma_px=options.sigma_px
                )
            )
            reporter.progress(Progress(step=i + 1, total=len(pairs), text=name, stage="reading clips"))
        if not any(bool(clip.fixations.isfinite().any()) for clip in clips):
            raise InputError(f"nobody looked at anything at these moments: {options.truth} has no tracked gaze in them")
        model, middle = figures_of(clips)
        notes = _notes(clips)
        for note in notes:
            reporter.message(note)
        table = _table(clips, model, middle)
        for clip in clips:
            facts = {name: _number(value) for name, value in means_of(clip, model[clip.name]).items()}
            reporter.item(record.done(clip.name, moments=len(clip.time_s), **facts))
        write_rows(clips, model, record.dpath / "moments.csv")
        write_gaze_pages(
            clips,
            model,
            table,
            record.dpath,
            by=options.by,
            count=options.extremes,
            videos=options.videos,
            command=shell_line(words),
        )
        content = {
            "predicted": str(options.predicted),
            "truth": str(options.truth),
            "command": shell_line(words),
            "clips": list(pairs),
            "figures": table.to_json(),
            "notes": notes,
        }
        with atomic_write(record.dpath / "evaluation.json") as file:
            file.write(json.dumps(to_json(content), indent=1, allow_nan=False).encode())
        return GazeEvaluation(table, model, notes, record.finish())


def _timed(maps: MapOptions, name: str, videos: Path | None, *, alone: bool) -> MapOptions:
    """The options with the clock and the size of the clip's video, where there is one and no rate was given."""
    if videos is None or maps.rate_hz is not None:
        return maps
    clock = read_clock(find_video(name, videos, alone=alone))
    return replace(maps, times_s=clock.time_s, size=maps.size or clock.size)


def figures_of(clips: Sequence[JudgedClip]) -> tuple[dict[str, Figures], dict[str, Figures]]:
    """The figures of every clip's moments: of its maps, and of a map of the middle.

    Args:
        clips: those that are judged; the fixations of the others are the negatives of each one's sAUC, at the same
            shares of the picture.
    """
    shares = [clip.shares for clip in clips]
    model: dict[str, Figures] = {}
    middle: dict[str, Figures] = {}
    for i, clip in enumerate(clips):
        away = torch.cat([torch.zeros(0, 2, dtype=torch.float64), *shares[:i], *shares[i + 1 :]])
        h, w = clip.size
        others = clip.frame.points_from_source(away * torch.tensor([w, h]))
        looked = clip.cells.isfinite().all(-1).any(1)
        covered = clip.predicted.double().masked_fill(~looked, torch.nan)
        each = saliency_figures(clip.maps, clip.cells, clip.truth, others=others)
        model[clip.name] = {name: v.masked_fill(~clip.predicted, torch.nan) for name, v in each.items()}
        model[clip.name] = {**model[clip.name], COVERED: covered}
        centre = middle_map(clip.frame.size).expand_as(clip.maps)
        middle[clip.name] = {**saliency_figures(centre, clip.cells, clip.truth, others=others)}
        # beside the maps, so at the same moments
        middle[clip.name] = {name: v.masked_fill(~clip.predicted, torch.nan) for name, v in middle[clip.name].items()}
        middle[clip.name] = {**middle[clip.name], COVERED: covered}
    return model, middle


def means_of(clip: JudgedClip, figures: Figures) -> dict[str, Float[Tensor, ""]]:
    """The figures of a clip: the means over its moments.

    Args:
        clip: which.
        figures: of its moments.
    """
    means = {name: values.nanmean() for name, values in figures.items()}
    return {**means, COVERED: means[COVERED] * clip.reached}


def _table(clips: Sequence[JudgedClip], model: Mapping[str, Figures], middle: Mapping[str, Figures]) -> FigureTable:
    def row(title: str, side: Mapping[str, Figures]) -> FigureRow:
        each = [means_of(clip, side[clip.name]) for clip in clips]
        means = {name: torch.stack([one[name] for one in each]) for name in each[0]}
        return FigureRow(title, len(clips), {name: bootstrap(values) for name, values in means.items()})

    return FigureTable((row("predicted", model), row("the middle", middle)))


def _notes(clips: Sequence[JudgedClip]) -> tuple[str, ...]:
    notes = list(dict.fromkeys(note for clip in clips for note in clip.notes))
    if len(clips) == 1:
        notes.append(
            "there is one clip: no intervals, which need three, and no sAUC, which needs the fixations of others"
        )
    elif len(clips) < FEWEST:
        notes.append("there are two clips: no intervals, which need three")
    for clip in clips:
        if clip.reached < REACHED:
            notes.append(
                f"{clip.name}: the predicted maps are of {100 * clip.reached:.0f} % of the moments of the truth; the others are not judged"
            )
    empty = sum(int((~clip.fixations.isfinite().all(-1).any(1)).sum()) for clip in clips)
    if empty:
        notes.append(
            f"{empty} of {sum(len(clip.time_s) for clip in clips)} moments have no tracked gaze and are left out"
        )
    return tuple(notes)


def write_rows(clips: Sequence[JudgedClip], figures: Mapping[str, Figures], fpath: Path) -> None:
    """Write a row for every moment of every clip.

    Args:
        clips: in the order of the rows.
        figures: of their moments.
        fpath: of the CSV.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    names = list(next(iter(figures.values())))
    rows.writerow(["clip", "time_s", "fixations", *names])
    for clip in clips:
        counts = clip.fixations.isfinite().all(-1).sum(1).tolist()
        for i, (at_s, count) in enumerate(zip(clip.time_s.tolist(), counts, strict=True)):
            values = [_number(figures[clip.name][name][i]) for name in names]
            rows.writerow([clip.name, f"{at_s:.6f}", count, *("" if v is None else f"{v:.6f}" for v in values)])
    with atomic_write(fpath) as file:
        file.write(text.getvalue().encode())


def _number(value: Any) -> float | None:
    number = float(value)
    return number if number == number else None
