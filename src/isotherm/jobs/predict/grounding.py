"""The job behind ``isotherm predict grounding``: what an instruction means in pictures, drawn, as JSON and as raw maps;
one bad picture does not stop a folder.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from isotherm.atomic import atomic_write
from isotherm.data.pictures import Picture
from isotherm.data.sources import Item, expand
from isotherm.draw import save_picture
from isotherm.errors import InputError, IsothermError, JobCancelled, NonFiniteError, OptionError
from isotherm.grounding.answer import GroundingAnswer
from isotherm.jobs.predict.grounding_options import PredictGroundingJob
from isotherm.jobs.reporter import Reporter
from isotherm.ops.devices import chosen_device
from isotherm.ops.shell import shell_line
from isotherm.progress import Progress
from isotherm.runs.file import to_json
from isotherm.runs.record import Run, Summary, failure_line
from isotherm.train.grounding.build import TrainedGrounding, open_grounding
from isotherm.train.grounding.pictures import describe, draw_answer
from isotherm.train.grounding.predict import features_at, predict_grounding


def run(
    options: PredictGroundingJob,
    reporter: Reporter | None = None,
    *,
    opened: tuple[TrainedGrounding, str] | None = None,
    command: Sequence[str] | None = None,
) -> Summary:
    """Find what the instruction means in every source; write a drawing and a map of each and ``places.json`` of all.

    Args:
        opened: the trained model and what to call it, where it is open already. Others, and what is returned: as of
            :func:`isotherm.jobs.explain.run.run`.

    Raises:
        OptionError: the instruction is missing or too long, or pictures do not make whole prompts of the model.
    """
    reporter = Reporter() if reporter is None else reporter
    words = options.command_line() if command is None else list(command)
    text = options.instruction
    if options.text is None and os.path.lexists(text):
        raise OptionError(
            f"{text} is a file, and stands where the instruction belongs; write the instruction last, in quotes, or give it as --text"
        )
    sources = expand(options.pictures, recursive=options.recursive)
    trained, which = open_grounding(options.run) if opened is None else opened
    if sources.total is not None and sources.total % trained.views:
        raise OptionError(
            f"the model is asked about {trained.views} pictures at once, and {sources.total % trained.views} are left over of {sources.total}; give the views of each instruction one after the other"
        )
    trained.model.to(chosen_device(options.device))
    results: list[dict[str, Any]] = []
    features: dict[str, np.ndarray] = {}
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
        for note in (which, *doubts(trained)):
            reporter.message(note)
        try:
            for prompts in _prompts(iter(sources), trained.views, options.batch, record, reporter):
                pictures = [[picture.array for _, picture in several] for several in prompts]
                answers = predict_grounding(trained, pictures, [text] * len(prompts), most=options.most)
                for k, (several, own_answers) in enumerate(zip(prompts, answers, strict=True)):
                    reporter.check()
                    try:
                        for answer in own_answers:
                            answer.check()
                    except NonFiniteError as error:
                        for item, _ in several:
                            _left_out(item, error, record, reporter)
                        continue
                    if options.features:
                        places = torch.stack([a.peaks.xy[0] for a in own_answers if a.step == 0])
                        features[record.fpath(several[0][0].name, "").name] = features_at(
                            trained, pictures[k], text, places
                        ).numpy()
                    for item, picture in several:
                        own = [a for a in own_answers if several[a.view][0] is item]
                        facts = [described(a, always=options.always) for a in own]
                        files = _write(own, item, picture, options, record, shell_line(words))
                        reporter.item(record.done(item.name, source=item.source, **files))
                        results.append({"picture": item.name, "source": item.source, "steps": facts})
                        for answer in own:
                            reporter.message(f"{item.name}: {describe(answer)}", "result")
                        reporter.progress(
                            Progress(step=len(results), total=sources.total, text=item.name, stage="predicting")
                        )
        except JobCancelled:
            status = "cancelled"
        except KeyboardInterrupt:
            status = "interrupted"
        whole = {
            "model": which,
            "instruction": text,
            "command": shell_line(words),
            "unit": "pixels from the picture's top left corner",
            "pictures": results,
        }
        with atomic_write(record.dpath / "places.json") as file:
            file.write(json.dumps(to_json(whole), indent=1, allow_nan=False).encode())
        if features:
            with atomic_write(record.dpath / "features.npz") as file:
                np.savez(file, **features)  # type: ignore[arg-type]
        return record.finish(status)


def doubts(trained: TrainedGrounding) -> list[str]:
    """What a person should know of a model before its answers are believed."""
    lines = []
    rule = trained.calibration.abstention
    if rule is None:
        lines.append(
            "the model was trained without held-out instructions, so it answers everything and nothing says how sure it is"
        )
    elif math.isinf(rule.threshold):
        lines.append(
            "on its held-out instructions the model was never sure enough to promise anything, so it answers nothing; --always shows what it would say"
        )
    else:
        lines.append(
            f"it answers where its confidence is at least {rule.threshold:.0%}: then at most {rule.bound:.0%} of its answers are wrong, as far as its held-out instructions tell"
        )
    change = trained.model.instruction_change
    if change is not None and change < 1e-5 and trained.model.query is None:
        lines.append("its maps do not depend on the instruction: its image states never see the words")
    return lines


def _prompts(
    items: Iterator[Item], views: int, batch: int, record: Run, reporter: Reporter
) -> Iterator[list[list[tuple[Item, Picture]]]]:
    """Batches of prompts, each of as many pictures as the model is asked about at once."""
    group: list[list[tuple[Item, Picture]]] = []

    for several in _tuples(items, views):
        reporter.check()
        prompt, unread = list[tuple[Item, Picture]](), list[str]()
        for item in several:
            try:
                prompt.append((item, item.load()))
            except InputError as error:
                unread.append(item.name)
                _left_out(item, error, record, reporter)
        if len(prompt) == views:
            group.append(prompt)
        else:
            # an answer about some of the views would be one to another question
            why = (
                f"{unread[0]} could not be read" if unread else f"no more pictures came than {len(several)} of {views}"
            )
            for item, _ in prompt:
                reason = InputError(f"left out: the model is asked about {views} pictures at once, and {why}")
                _left_out(item, reason, record, reporter)
        if len(group) == batch:
            yield group
            group = []
    if group:
        yield group


def _left_out(item: Item, reason: IsothermError, record: Run, reporter: Reporter) -> None:
    reporter.item(record.failed(item.name, reason, source=item.source))
    reporter.message(failure_line(item.name, reason), "failure")
    reporter.error(reason)


def _tuples(items: Iterator[Item], views: int) -> Iterator[list[Item]]:
    several: list[Item] = []
    for item in items:
        several.append(item)
        if len(several) == views:
            yield several
            several = []
    if several:  # of a stream or a camera, whose pictures cannot be counted before
        yield several


def _write(
    answers: Sequence[GroundingAnswer],
    item: Item,
    picture: Picture,
    options: PredictGroundingJob,
    record: Run,
    command: str,
) -> dict[str, Any]:
    """The drawing and the map of every step of a picture; their names."""
    names: dict[str, Any] = {"pictures": [], "maps": []}
    for answer in answers:
        part = "" if len(answers) == 1 else f"step{answer.step + 1}"
        drawn = draw_answer(answer, level=options.level)
        names["pictures"].append(save_picture(drawn, record.fpath(item.name, ".jpg", part=part), command=command).name)
        names["maps"].append(answer.heatmap.save(record.fpath(item.name, ".npz", part=part)).name)
    return names


def described(answer: GroundingAnswer, *, always: bool = False) -> dict[str, Any]:
    """An answer as JSON can hold it; places are left out where the model is not sure enough, unless ``always``."""
    peaks = answer.peaks
    assert peaks.score is not None
    assert peaks.covariance is not None
    places = [
        {
            "x": round(float(xy[0]), 3),
            "y": round(float(xy[1]), 3),
            "share": round(float(share), 5),
            "covariance": [[_number(v) for v in row] for row in covariance],
        }
        for xy, share, covariance in zip(peaks.xy, peaks.score, peaks.covariance, strict=True)
    ]
    facts: dict[str, Any] = {
        "answered": answer.answered,
        "confidence": round(answer.confidence, 5),
        "entropy_nats": round(answer.entropy, 4),
        "places": places if answer.answered or always else [],
    }
    if answer.grasp is not None and (answer.answered or always):
        facts["grasp"] = {"angle_deg": round(math.degrees(answer.grasp[0]), 2), "width_px": round(answer.grasp[1], 2)}
    return facts


def _number(value: torch.Tensor) -> float | None:
    number = float(value)
    return round(number, 4) if math.isfinite(number) else None
