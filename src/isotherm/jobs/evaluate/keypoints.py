"""The job behind ``isotherm eval keypoints``: a trained model judged on labelled pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from isotherm.atomic import atomic_write
from isotherm.data.keypoint_cache import CachedKeypoints, cache_keypoints
from isotherm.data.keypoints import KeypointSet
from isotherm.decode import EllipseLevels, coverage, scale_covariance
from isotherm.draw import save_picture
from isotherm.draw.figures import curve_figure, scatter_figure
from isotherm.errors import InputError, OptionError
from isotherm.jobs.evaluate.keypoints_options import EvalKeypointsJob
from isotherm.jobs.reporter import Reporter
from isotherm.jobs.train.kept import kept_recipe
from isotherm.metrics.keypoint_report import KeypointTruth, pck_curve
from isotherm.metrics.point_errors import line_lengths, point_errors
from isotherm.ops.devices import chosen_device
from isotherm.ops.shell import shell_line
from isotherm.progress import Say
from isotherm.runs.record import Run, Summary
from isotherm.train.keypoint_build import TrainedKeypoints
from isotherm.train.keypoint_data import DataChoice, Source, read_data, read_source, read_sources
from isotherm.train.keypoint_run import open_run, write_evaluation
from isotherm.train.keypoint_validate import Judged, judge, logged_figures, matched, truth_of, write_extremes
from isotherm.train.recipe import from_plain
from isotherm.train.tracking import Tracking

THRESHOLDS = torch.linspace(0, 0.2, 41)
"""Of PCK, as a share of the square root of the object's area."""
LEVELS = [0.05 * k for k in range(1, 20)] + [0.99]
"""Probabilities of ellipses at which calibration is looked at."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What an evaluation found, and its record."""

    judged: Judged
    summary: Summary


def run(
    options: EvalKeypointsJob,
    reporter: Reporter | None = None,
    *,
    opened: tuple[TrainedKeypoints, str] | None = None,
    command: Sequence[str] | None = None,
) -> Evaluation:
    """Judge a model, and write its table, figures, the best and the worst pictures.

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
    trained, which = open_run(options.run) if opened is None else opened
    trained.model.to(chosen_device(options.device))
    say = reporter.say
    say(which)
    kind = _kind(options, trained, say)
    if not len(kind):
        raise InputError("there are no pictures to judge by; give --data with annotations")
    with Run(
        "eval",
        out=options.out,
        overwrite=options.overwrite,
        command=words,
        options=options.to_json(),
        model=which,
        data=str(options.data or "the run's own"),
    ) as record:
        data = cache_keypoints(
            kind,
            record.dpath.parent / ".cache",
            side=max(trained.size),
            margin=trained.margin,
            fit=trained.fit,
            skip_bad=options.skip_bad,
            say=say,
        )
        reporter.check()
        judged = judge(
            trained.model,
            trained.objective,
            data,
            kind,
            size=trained.size,
            covariance_scale=trained.covariance_scale,
            say=say,
        )
        reporter.check()
        with Tracking(to=options.track).tracker(
            record.dpath, {"run": str(options.run), "data": str(options.data)}, job="eval"
        ) as tracker:
            tracker.log(
                {"step": 0, **{f"eval {name}": value for name, value in logged_figures(judged, data.group).items()}}
            )
        write_evaluation(judged, record.dpath / "evaluation.json", model=which, command=line)
        _write_rows(judged, data, kind, record.dpath / "pictures.csv")
        _write_figures(judged, data, kind, record.dpath, line, trained.ellipses)
        write_extremes(judged, data, kind, record.dpath / "pictures", count=options.extremes, command=line)
        for i, one in enumerate(data.records):
            reporter.item(record.done(one.name or str(i), error_px=float(judged.errors[i])))
        return Evaluation(judged, record.finish())


def _kind(options: EvalKeypointsJob, trained: TrainedKeypoints, say: Say) -> KeypointSet:
    """What to judge by: the file given, or what the run validates on."""
    if options.data is not None:
        source = Source(
            file=str(options.data),
            images="" if options.images is None else str(options.images),
            orientation=options.orientation,
        )
        labelled = read_source(source, root=Path(), skip_bad=options.skip_bad, say=say)
        if labelled.names != trained.names:
            raise OptionError(
                f"{options.data} has the points {', '.join(labelled.names)}; the model was trained on {', '.join(trained.names)}"
            )
        for message in labelled.skipped:
            say(f"skipped: {message}")
        return replace(labelled, lines=dict(trained.lines), exchangeable=trained.exchangeable, swaps=trained.swaps)
    if not options.run.is_dir():
        raise OptionError("a model file does not say what to judge it by; give --data with annotations")
    plain, root, where = kept_recipe(options.run)
    choice = from_plain(DataChoice, plain["data"], where=where)
    if choice.validation:
        return read_sources(choice.validation, choice, root=root, skip_bad=options.skip_bad, say=say)
    return read_data(choice, root=root, skip_bad=options.skip_bad, say=say)[1]


def _write_rows(judged: Judged, data: CachedKeypoints, kind: KeypointSet, fpath: Path) -> None:
    """A row per picture, and a column per point with its error in pixels."""
    each = point_errors(judged.points.xy, data.points, data.state, exchangeable=kind.exchangeable)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["picture", "group", "px_per_cm", "mean_error_px", *(f"{name}_error_px" for name in kind.names)])
    for record, mean, of_points in zip(data.records, judged.errors.tolist(), each.tolist(), strict=True):
        rows.writerow(
            [
                record.name,
                record.group,
                record.px_per_cm or "",
                *("" if v != v else f"{v:.4f}" for v in [mean, *of_points]),
            ]
        )
    with atomic_write(fpath) as file:
        file.write(text.getvalue().encode())


def _write_figures(
    judged: Judged, data: CachedKeypoints, kind: KeypointSet, dpath: Path, command: str, ellipses: EllipseLevels | None
) -> None:
    truth = truth_of(data)
    curves = {
        "all": (
            THRESHOLDS.tolist(),
            pck_curve(judged.points, truth, THRESHOLDS, exchangeable=kind.exchangeable).tolist(),
        )
    }
    for group in sorted(set(data.group)) if len(set(data.group)) > 1 else []:
        rows = torch.tensor([group == of for of in data.group])
        part = KeypointTruth(
            truth.points[rows],
            truth.state[rows],
            truth.px_per_cm[rows],
            truth.area[rows],
            (group,) * int(rows.sum()),
            truth.sizes[rows],
        )
        curves[group] = (
            THRESHOLDS.tolist(),
            pck_curve(judged.points[rows], part, THRESHOLDS, exchangeable=kind.exchangeable).tolist(),
        )
    figure = curve_figure(curves, x="error / square root of the area", y="share of points", title="PCK")
    save_picture(figure, dpath / "pck.png", command=command)
    if kind.lines:
        known = line_lengths(data.points, kind.lines)
        predicted = line_lengths(judged.points.xy, kind.lines)
        pairs = {name: (known[:, i].tolist(), predicted[:, i].tolist()) for i, name in enumerate(kind.lines)}
        save_picture(
            scatter_figure(pairs, x="true length in px", y="predicted length in px"),
            dpath / "lines.png",
            command=command,
        )
    if judged.points.covariance is not None:
        points, places = matched(judged, data, kind)
        inside = []
        for level in LEVELS:
            factor = 1.0 if ellipses is None else ellipses.factor(level)
            inside.append(coverage(scale_covariance(points, factor), places, level=level))
        figure = curve_figure(
            {"observed": (LEVELS, inside)},
            x="probability of the ellipse",
            y="share of points inside",
            title="calibration",
            diagonal=True,
            size=(4.2, 4.0),
        )
        save_picture(figure, dpath / "calibration.png", command=command)
    (dpath / "table.txt").write_text(judged.table() + "\n")
