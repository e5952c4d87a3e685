"""The job behind ``isotherm lift``: several calibrated views and an instruction to a point in space."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from isotherm.atomic import atomic_write
from isotherm.data.grounding.views import SceneView, SceneViews, read_views
from isotherm.decode.lift3d import Lifted
from isotherm.draw import save_picture
from isotherm.draw.text import clean
from isotherm.errors import OptionError
from isotherm.frame import Size
from isotherm.grounding.answer import UNFITTED, Calibration, GroundingAnswer, read_answers
from isotherm.grounding.space import DISAGREE, lift_heatmaps
from isotherm.heatmap import Heatmap
from isotherm.jobs.lift.options import LiftJob
from isotherm.jobs.predict.grounding import doubts
from isotherm.jobs.reporter import Reporter
from isotherm.ops.devices import chosen_device
from isotherm.ops.shell import shell_line
from isotherm.points import Points
from isotherm.runs.file import to_json
from isotherm.runs.record import Run
from isotherm.train.grounding.build import TrainedGrounding, open_grounding
from isotherm.train.grounding.pictures import MOST_LETTERS, draw_answer
from isotherm.train.grounding.predict import features_at, predict_grounding


@dataclass(frozen=True, eq=False)
class LiftedPlace:
    """A point in space and where it was written.

    Args:
        dpath: the run's folder.
        lifted: the point.
        facts: as ``point.json`` has them.
    """

    dpath: Path
    lifted: Lifted
    facts: dict[str, Any]

    def __str__(self) -> str:
        # two digits of the smallest deviation, wherever the world begins
        digits = min(12, max(0, 1 - math.floor(math.log10(min(self.facts["deviation"])))))
        place = ", ".join(f"{v:.{digits}f}" for v in self.facts["point"])
        deviation = " ".join(f"{v:.3g}" for v in self.facts["deviation"])
        return f"({place}), standard deviation {deviation}, disagreement {self.facts['disagreement_nats']:.2g} nats: {self.verdict}"

    @property
    def verdict(self) -> str:
        """Whether to believe it: do the views agree, and is each sure by itself."""
        if not self.facts["agree"]:
            return "the views mean different places: do not trust it"
        unsure = [f"{v['name']} ({v['confidence']:.0%})" for v in self.facts["views"] if not v["answered"]]
        if not unsure:
            return "the views agree"
        least = self.facts["least_confidence"]
        needed = "" if least is None else f" ({least:.0%} is needed)"
        return f"the views agree, but not all are sure enough by themselves{needed}: {', '.join(unsure)}"


def run(
    options: LiftJob,
    reporter: Reporter | None = None,
    *,
    opened: tuple[TrainedGrounding, str] | None = None,
    command: Sequence[str] | None = None,
) -> LiftedPlace:
    """Find the point, and write a drawing of every view and ``point.json``.

    Args:
        options: what is asked for.
        reporter: is told how it goes.
        opened: the trained model and what to call it, where it is open already.
        command: the command line, for the record.

    Raises:
        InputError: file and line of what is wrong with the views.
        OptionError: the model was trained on another number of views in one prompt.
        NonFiniteError: the model's map of a view, which is named, holds NaN or infinity.
        JobCancelled: it was cancelled before the point was there.
    """
    reporter = Reporter() if reporter is None else reporter
    words = options.command_line() if command is None else list(command)
    scene = read_views(options.views)
    for view in scene.views:
        if view.turned:
            reporter.message(
                f"note: the picture of {view.name} is turned upright, as the camera noted; its camera is taken for that of the upright picture"
            )
    text = options.text or scene.text
    ready = scene.ready and options.text is None
    if ready and options.features:
        raise OptionError("--features are what a model read, and all maps are ready; give pictures without maps")
    trained = None
    which = "no model: the maps of the views were ready"
    if not ready:
        missing = [view.name for view in scene.views if view.picture is None]
        if missing:
            raise OptionError(f"--text asks a model about pictures, and the view {missing[0]!r} has none")
        trained, which = open_grounding(options.run) if opened is None else opened
        trained.model.to(chosen_device(options.device))
    with Run(
        "lift", out=options.out, overwrite=options.overwrite, command=words, options=options.to_json(), model=which
    ) as record:
        for note in (which, *(doubts(trained) if trained is not None else [])):
            reporter.message(note)
        reporter.check()
        answers = _ready(scene, text) if trained is None else _by_model(trained, scene, text)
        reporter.check()
        lifted = lift_heatmaps(
            [a.heatmap for a in answers],
            [view.camera for view in scene.views],
            bounds=scene.bounds,
            resolution=options.resolution,
            fusion=options.fusion,
            names=[view.name for view in scene.views],
        )
        seen = [view.camera.project(lifted.xyz, _size(a)).float() for view, a in zip(scene.views, answers, strict=True)]
        facts = _described(scene, text, answers, lifted, seen, options)
        rule = None if trained is None else trained.calibration.abstention
        facts["least_confidence"] = None if rule is None or math.isinf(rule.threshold) else rule.threshold
        for view, answer, place in zip(scene.views, answers, seen, strict=True):
            title = f"{view.name}: {clean(text, MOST_LETTERS)}" if text else view.name
            drawn = draw_answer(answer, truth=place[None], title=title, footer="ring: where the lifted point is seen")
            written = save_picture(drawn, record.fpath(view.name, ".jpg"), command=shell_line(words))
            reporter.item(record.done(view.name, picture=written.name))
        if options.features and trained is not None:
            pictures = [view.picture for view in scene.views if view.picture is not None]
            read = _features(trained, pictures, text, seen)
            with atomic_write(record.dpath / "features.npz") as file:
                np.savez(file, features=read, views=np.array([view.name for view in scene.views]))
        whole = {"model": which, "command": shell_line(words), **facts}
        with atomic_write(record.dpath / "point.json") as file:
            file.write(json.dumps(to_json(whole), indent=1, allow_nan=False).encode())
        record.finish()
        place_in_space = LiftedPlace(record.dpath, lifted, whole)
        if not facts["answered"]:
            reporter.message(place_in_space.verdict, "alarm")
    return place_in_space


def _by_model(trained: TrainedGrounding, scene: SceneViews, text: str) -> list[GroundingAnswer]:
    """What the model says of every picture: all in one prompt where it was trained so, else each by itself."""
    pictures = [view.picture for view in scene.views if view.picture is not None]
    if trained.views == 1:
        apart = predict_grounding(trained, [[p] for p in pictures], [text] * len(pictures))
        answers = [several[0] for several in apart]
    else:
        answers = [answer for answer in predict_grounding(trained, [pictures], [text])[0] if answer.step == 0]
    for view, answer in zip(scene.views, answers, strict=True):
        answer.check(f"view {view.name!r}")
    return answers


def _ready(scene: SceneViews, text: str) -> list[GroundingAnswer]:
    """The maps of the file, read as they are."""
    return [_of_map(view, i, text) for i, view in enumerate(scene.views)]


def _of_map(view: SceneView, i: int, text: str, calibration: Calibration = UNFITTED) -> GroundingAnswer:
    heatmap = view.heatmap
    assert heatmap is not None
    values = heatmap.values.float()
    if heatmap.kind == "probability":
        values = values.clamp(min=torch.finfo(values.dtype).tiny).log()
    read = read_answers(values[None], heatmap.frame.expanded(1), calibration)
    size = [int(v) for v in heatmap.frame.source_size]
    picture = np.full((*size, 3), 236, np.uint8) if view.picture is None else view.picture
    there = torch.isfinite(read.peaks.xy[0]).all(-1)
    covariance, score = read.peaks.covariance, read.peaks.score
    assert covariance is not None
    assert score is not None
    return GroundingAnswer(
        text,
        Heatmap(values, heatmap.frame, "logits", label=text or view.name, picture=picture),
        Points(read.peaks.xy[0][there], covariance=covariance[0][there], score=score[0][there]),
        float(read.entropy[0]),
        float(read.confidence[0]),
        True,
        view=i,
    )


def _size(answer: GroundingAnswer) -> Size:
    h, w = (int(v) for v in answer.heatmap.frame.source_size)
    return h, w


def _described(
    scene: SceneViews,
    text: str,
    answers: Sequence[GroundingAnswer],
    lifted: Lifted,
    seen: Sequence[torch.Tensor],
    options: LiftJob,
) -> dict[str, Any]:
    covariance = lifted.covariance.double()
    disagreement = float(lifted.disagreement)
    views = []
    for view, answer, place in zip(scene.views, answers, seen, strict=True):
        own = answer.peaks.xy[0]
        views.append(
            {
                "name": view.name,
                "place": _numbers(own),
                "point_seen_at": _numbers(place),
                "off_px": _number(float((own - place).norm())),
                "confidence": _number(answer.confidence),
                "answered": answer.answered,
            }
        )
    return {
        "instruction": text,
        "point": _numbers(lifted.xyz),
        "mean": _numbers(lifted.mean),
        "covariance": [_numbers(row) for row in covariance],
        "deviation": _numbers(covariance.diagonal().clamp(min=0).sqrt()),
        "score": _number(float(lifted.score)),
        "disagreement_nats": _number(disagreement),
        "agree": disagreement <= DISAGREE,
        "answered": all(a.answered for a in answers) and disagreement <= DISAGREE,
        "unit": "that of the cameras",
        "bounds": scene.bounds,
        "resolution": options.resolution,
        "fusion": options.fusion,
        "views": views,
    }


def _features(
    trained: TrainedGrounding, pictures: list[np.ndarray], text: str, seen: Sequence[torch.Tensor]
) -> np.ndarray:
    if trained.views == 1:
        parts = [features_at(trained, [p], text, place[None]) for p, place in zip(pictures, seen, strict=True)]
        return torch.cat(parts).numpy()
    return features_at(trained, pictures, text, torch.stack(list(seen))).numpy()


def _numbers(values: torch.Tensor) -> list[float | None]:
    return [_number(float(v)) for v in values]


def _number(value: float) -> float | None:
    """Ten digits, wherever the point stands: a world may be measured in micrometres, or begin far away."""
    return float(f"{value:.10g}") if math.isfinite(value) else None
