"""The job behind ``isotherm predict keypoints``: points of pictures, drawn and as JSON; one bad picture does not stop a
folder.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from isotherm.atomic import atomic_write
from isotherm.data.pictures import Picture
from isotherm.data.sources import Item, expand
from isotherm.decode import scale_covariance
from isotherm.draw import draw_points, save_picture
from isotherm.errors import InputError, JobCancelled
from isotherm.jobs.options import box_of
from isotherm.jobs.predict.keypoints_options import PredictKeypointsJob
from isotherm.jobs.reporter import Reporter
from isotherm.ops.devices import chosen_device
from isotherm.ops.shell import shell_line
from isotherm.points import Points
from isotherm.progress import Progress
from isotherm.runs.record import Run, Summary, failure_line
from isotherm.train.keypoint_build import TrainedKeypoints
from isotherm.train.keypoint_predict import predict_pictures
from isotherm.train.keypoint_run import open_run

Box = tuple[float, float, float, float]


def run(
    options: PredictKeypointsJob,
    reporter: Reporter | None = None,
    *,
    opened: tuple[TrainedKeypoints, str] | None = None,
    command: Sequence[str] | None = None,
) -> Summary:
    """Find the points of every source, and write a drawing of each and ``points.json`` of all.

    Args:
        opened: the trained model and what to call it, where it is open already. Others, and what is returned: as of
            :func:`isotherm.jobs.explain.run.run`.
    """
    reporter = Reporter() if reporter is None else reporter
    words = options.command_line() if command is None else list(command)
    box = None if options.box is None else box_of(options.box, "--box")
    sources = expand(options.sources, recursive=options.recursive)
    trained, which = open_run(options.run) if opened is None else opened
    trained.model.to(chosen_device(options.device))
    results: list[dict[str, Any]] = []
    status = "finished"
    with Run(
        "predict",
        out=options.out,
        overwrite=options.overwrite,
        command=words,
        total=sources.total,
        options=options.to_json(),
        model=which,
    ) as record:
        reporter.message(which)
        if trained.covariance_scale is None:
            reporter.message("the model was trained without validation pictures, so its ellipses are not calibrated")
        try:
            for group in _groups(iter(sources), options.batch, record, reporter):
                predicted = predict_pictures(trained, [p.array for _, p in group], [box] * len(group) if box else None)
                for k, (item, picture) in enumerate(group):
                    reporter.check()
                    facts = described(trained, predicted[k : k + 1], options.px_per_cm)
                    points = Points(
                        predicted.xy[k], covariance=None if predicted.covariance is None else predicted.covariance[k]
                    )
                    if trained.ellipses is not None and points.covariance is not None:
                        points = scale_covariance(points, trained.ellipses.factor(options.level))
                    drawn = draw_points(
                        picture.array,
                        points,
                        names=trained.names,
                        lines=tuple(trained.lines.values()),
                        level=options.level,
                        title=_title(item.name, facts),
                    )
                    written = save_picture(drawn, record.fpath(item.name, ".jpg"), command=shell_line(words))
                    reporter.item(record.done(item.name, source=item.source, picture=written.name))
                    results.append({"picture": item.name, "source": item.source, **facts})
                    reporter.progress(
                        Progress(step=len(results), total=sources.total, text=item.name, stage="predicting")
                    )
        except JobCancelled:
            status = "cancelled"
        except KeyboardInterrupt:
            status = "interrupted"
        with atomic_write(record.dpath / "points.json") as file:
            file.write(
                json.dumps(
                    {
                        "model": which,
                        "command": shell_line(words),
                        "unit": "pixels from the picture's top left corner",
                        "pictures": results,
                    },
                    indent=1,
                    allow_nan=False,
                ).encode()
            )
        return record.finish(status)


def _groups(items: Iterator[Item], batch: int, record: Run, reporter: Reporter) -> Iterator[list[tuple[Item, Picture]]]:
    group: list[tuple[Item, Picture]] = []
    for item in items:
        reporter.check()
        try:
            group.append((item, item.load()))
        except InputError as error:
            reporter.item(record.failed(item.name, error, source=item.source))
            reporter.message(failure_line(item.name, error), "failure")
            reporter.error(error)
            continue
        if len(group) == batch:
            yield group
            group = []
    if group:
        yield group


def described(trained: TrainedKeypoints, predicted: Points, px_per_cm: float | None) -> dict[str, Any]:
    """Points of one picture (1, n) as JSON can hold them, and the lengths of the model's lines."""
    xy = predicted.xy[0].double()
    points: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(trained.names):
        points[name] = {"x": _number(xy[i, 0]), "y": _number(xy[i, 1])}
        if predicted.score is not None:
            points[name]["score"] = _number(predicted.score[0, i])
        if predicted.covariance is not None:
            points[name]["covariance"] = [[_number(v) for v in row] for row in predicted.covariance[0, i]]
    lines: dict[str, dict[str, float | None]] = {}
    for name, (a, b) in trained.lines.items():
        length = float(torch.linalg.vector_norm(xy[a] - xy[b]))
        if math.isfinite(length):
            lines[name] = {"px": round(length, 3), **({"cm": round(length / px_per_cm, 5)} if px_per_cm else {})}
        else:  # an end of it is nowhere
            lines[name] = {"px": None, **({"cm": None} if px_per_cm else {})}
    return {"points": points, **({"lines": lines} if lines else {})}


def _title(name: str, facts: dict[str, Any]) -> str:
    lines = [
        f"{line} {length['cm']:.3f} cm" if "cm" in length else f"{line} {length['px']:.1f} px"
        for line, length in facts.get("lines", {}).items()
        if length["px"] is not None
    ]
    return "  ·  ".join([name, *lines])


def _number(value: torch.Tensor) -> float | None:
    number = float(value)
    return round(number, 4) if math.isfinite(number) else None
