"""The job behind ``isotherm count``: counts of pictures, drawn and as JSON; one bad picture does not stop a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from isotherm.atomic import atomic_write
from isotherm.cam.premises import premises_of
from isotherm.data.pictures import read_picture
from isotherm.data.sources import Item, ReadPicture, expand
from isotherm.draw import save_picture
from isotherm.errors import InputError, JobCancelled, NonFiniteError, OptionError
from isotherm.jobs.count.choices import config_of, counting_view
from isotherm.jobs.count.options import CountJob
from isotherm.jobs.options import box_of
from isotherm.jobs.reporter import Reporter
from isotherm.models.choose import OpenModel
from isotherm.ops.hashing import state_hash
from isotherm.ops.shell import shell_line
from isotherm.progress import Progress, silent
from isotherm.runs.file import to_json
from isotherm.runs.record import Run, Summary, failure_line
from isotherm.systems.vlm_counting import CountResult, count
from isotherm.vlm.view import LanguageView


def run(
    options: CountJob,
    reporter: Reporter | None = None,
    *,
    opened: OpenModel | LanguageView | None = None,
    command: Sequence[str] | None = None,
    read: ReadPicture = read_picture,
) -> Summary:
    """Count in every source, and write a drawing, maps and numbers of each, and ``counts.json`` of all.

    Args, Returns: as of :func:`isotherm.jobs.explain.run.run`.

    Raises:
        OptionError, AdapterError: options that do not fit the model, or the only picture.
    """
    reporter = Reporter() if reporter is None else reporter
    words = options.command_line() if command is None else list(command)
    line = shell_line(words)
    config, crops = config_of(options), [box_of(text, "--crop") for text in options.crop]
    sources = expand(options.sources, recursive=options.recursive)
    view, reason = counting_view(options, opened)
    premises = premises_of(view)
    alarms = [str(p) for p in premises if p.alarming]
    for alarm in alarms:
        reporter.message(alarm, "alarm")
    results: list[dict[str, Any]] = []
    with Run(
        "count",
        out=options.out,
        overwrite=options.overwrite,
        command=words,
        total=sources.total,
        options=options.to_json(),
        model={
            "name": view.name,
            "asked_for": options.model,
            "chosen": reason,
            "premises": [asdict(p) for p in premises],
            "warnings": alarms,
            "hash": state_hash(view.model),
        },
        category=options.category,
        strategy=options.strategy,
    ) as record:
        reporter.message(f"model: {reason}")
        alone, status = sources.total == 1, "finished"
        for number, item in enumerate(sources, 1):
            try:
                reporter.check()
                answer = count(
                    view,
                    item.load(read),
                    options.category,
                    strategy=options.strategy,
                    config=config,
                    crops=crops,
                    say=reporter.say if alone else silent,
                )
            except (JobCancelled, KeyboardInterrupt) as stop:
                status = "cancelled" if isinstance(stop, JobCancelled) else "interrupted"
                break
            except (InputError, OptionError, NonFiniteError) as error:
                if alone and isinstance(error, OptionError):  # of several, a crop or a grid may not fit in one only
                    raise
                reason = error.on_command_line() if isinstance(error, NonFiniteError) else str(error)
                reporter.item(record.failed(item.name, reason, source=item.source))
                reporter.message(failure_line(item.name, reason), "failure")
                reporter.error(error)
            else:
                results.append(_write(answer, item, record, reporter, line, alarms))
            if not alone:
                reporter.progress(Progress(step=number, total=sources.total, text=item.name, stage="counting"))
        summed = {
            "model": view.name,
            "command": line,
            "counts": {of["picture"]: of["count"] for of in results},
            "estimates": {of["picture"]: of["estimate"] for of in results if of["estimate"]},
            "doubts": {of["picture"]: of["doubts"] for of in results if of["doubts"]},
        }
        with atomic_write(record.dpath / "counts.json") as file:
            file.write(json.dumps(to_json(summed), indent=1, allow_nan=False).encode())
        return record.finish(status)


def _write(
    answer: CountResult, item: Item, record: Run, reporter: Reporter, command: str, alarms: Sequence[str]
) -> dict[str, Any]:
    """The files and the line of one picture; its numbers. The model's alarms were told before."""
    title = f"{item.name}: {answer.headline()}"
    drawn = save_picture(answer.figure(title=title), record.fpath(item.name, ".jpg"), command=command)
    maps = [m.save(record.fpath(item.name, ".npz", part=str(m.meta["view"]))).name for m in answer.maps]
    facts = {"picture": item.name, "source": item.source, **answer.to_json(), "command": command}
    with atomic_write(record.fpath(item.name, ".json")) as file:
        file.write(json.dumps(to_json(facts), indent=1, allow_nan=False).encode())
    line = record.done(
        item.name,
        source=item.source,
        count=answer.count,
        exact=answer.exact,
        estimate=answer.estimate or None,
        doubts=list(answer.doubts),
        answers={one.view.name: {"question": one.prompt, "answer": one.answer} for one in answer.looks},
        files=[drawn.name, *maps],
        notes=list(answer.notes),
    )
    reporter.shown(line, answer.picture, answer.maps, [answer.line()])
    reporter.item(line)
    for question in dict.fromkeys(one.prompt for one in answer.looks):
        answers = ", ".join(f"{one.view.name} {one.answer!r}" for one in answer.looks if one.prompt == question)
        reporter.message(f"  question: {question!r}; answers: {answers}")
    for note in (note for note in answer.notes if note not in alarms):
        reporter.message(f"  note: {note}")
    reporter.message(f"{item.name}: {answer.line()}", "result")
    return facts
