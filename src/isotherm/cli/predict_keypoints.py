"""``isotherm predict keypoints``: points of pictures, drawn and as JSON; one bad picture does not stop a folder."""

from __future__ import annotations

import json
import math
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from rich.console import Console

from isotherm.atomic import atomic_write
from isotherm.cli.keypoint_options import PredictKeypoints
from isotherm.cli.models import split
from isotherm.cli.progress import progress_lines
from isotherm.data.pictures import Picture
from isotherm.data.sources import Item, expand
from isotherm.draw import draw_points, save_picture
from isotherm.errors import InputError, OptionError
from isotherm.points import Points
from isotherm.runs.record import Run
from isotherm.train.devices import chosen_device
from isotherm.train.keypoint_build import TrainedKeypoints
from isotherm.train.keypoint_predict import predict_pictures
from isotherm.train.keypoint_run import open_run

Box = tuple[float, float, float, float]


def run(options: PredictKeypoints, arguments: Sequence[str]) -> int:
    box = _box(options.box)
    if not 0 < options.level < 1:
        raise OptionError(f"--level {options.level}: expected a probability between 0 and 1, such as 0.95")
    if options.batch < 1:
        raise OptionError(f"--batch {options.batch}: expected at least 1")
    if options.px_per_cm is not None and not 0 < options.px_per_cm < math.inf:
        raise OptionError(f"--px-per-cm {options.px_per_cm}: expected a number above 0")
    sources = expand(options.sources, recursive=options.recursive)
    trained, which = open_run(options.run)
    trained.model.to(chosen_device(options.device))
    console, command = Console(stderr=True, quiet=options.quiet, highlight=False), shlex.join(["isotherm", *arguments])
    told: list[dict[str, Any]] = []
    with (
        progress_lines(console) as say,
        Run(
            "predict", out=options.out, overwrite=options.overwrite, command=["isotherm", *arguments], model=which
        ) as record,
    ):
        say(which)
        if trained.covariance_scale is None:
            say("the model was trained without validation pictures, so its ellipses are not calibrated")
        for group in _groups(iter(sources), options.batch, record):
            found = predict_pictures(trained, [p.array for _, p in group], [box] * len(group) if box else None)
            for k, (item, picture) in enumerate(group):
                facts = described(trained, found[k : k + 1], options.px_per_cm)
                points = Points(found.xy[k], covariance=None if found.covariance is None else found.covariance[k])
                drawn = draw_points(
                    picture.array,
                    points,
                    names=trained.names,
                    lines=tuple(trained.lines.values()),
                    level=options.level,
                    title=_title(item.name, facts),
                )
                written = save_picture(drawn, record.fpath(item.name, ".jpg"), command=command)
                record.done(item.name, source=item.source, picture=written.name)
                told.append({"picture": item.name, "source": item.source, **facts})
                say(f"step {len(told)} of {sources.total or len(told)}: {item.name}")
        with atomic_write(record.dpath / "points.json") as file:
            file.write(
                json.dumps(
                    {
                        "model": which,
                        "command": command,
                        "unit": "pixels from the picture's top left corner",
                        "pictures": told,
                    },
                    indent=1,
                ).encode()
            )
        summary = record.finish()
    print(summary)
    print(f"look at {record.dpath}/*.jpg; the numbers are in {record.dpath / 'points.json'}")
    if summary.done == 0:
        raise InputError("none of the pictures could be read; the reasons stand above")
    return 1 if summary.failed else 0


def described(trained: TrainedKeypoints, found: Points, px_per_cm: float | None) -> dict[str, Any]:
    """Points of one picture (1, n) as JSON can hold them, and the lengths of the model's lines."""
    xy = found.xy[0].double()
    points: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(trained.names):
        points[name] = {"x": _number(xy[i, 0]), "y": _number(xy[i, 1])}
        if found.score is not None:
            points[name]["score"] = _number(found.score[0, i])
        if found.covariance is not None:
            points[name]["covariance"] = [[_number(v) for v in row] for row in found.covariance[0, i]]
    lines = {}
    for name, (a, b) in trained.lines.items():
        length = float(torch.linalg.vector_norm(xy[a] - xy[b]))
        lines[name] = {"px": round(length, 3), **({"cm": round(length / px_per_cm, 5)} if px_per_cm else {})}
    return {"points": points, **({"lines": lines} if lines else {})}


def _title(name: str, facts: dict[str, Any]) -> str:
    lines = [
        f"{line} {length['cm']:.3f} cm" if "cm" in length else f"{line} {length['px']:.1f} px"
        for line, length in facts.get("lines", {}).items()
    ]
    return "  ·  ".join([name, *lines])


def _groups(items: Iterator[Item], batch: int, record: Run) -> Iterator[list[tuple[Item, Picture]]]:
    group: list[tuple[Item, Picture]] = []
    for item in items:
        try:
            group.append((item, item.load()))
        except InputError as error:
            record.failed(item.name, error, source=item.source)
            print(f"isotherm: {item.name}: {error}", file=sys.stderr)
            continue
        if len(group) == batch:
            yield group
            group = []
    if group:
        yield group


def _box(text: str | None) -> Box | None:
    if text is None:
        return None
    try:
        x0, y0, x1, y1 = (float(n) for n in split(text, "--box"))
    except ValueError as error:
        raise OptionError(f"--box {text}: expected four numbers x0,y0,x1,y1 in picture pixels") from error
    if not (x0 < x1 and y0 < y1):
        raise OptionError(f"--box {text}: x0 must be less than x1 and y0 less than y1")
    return x0, y0, x1, y1


def _number(value: torch.Tensor) -> float | None:
    number = float(value)
    return round(number, 4) if math.isfinite(number) else None
