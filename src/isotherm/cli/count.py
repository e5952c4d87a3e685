"""``isotherm count``: counts of pictures, drawn and as JSON; one bad picture does not stop a folder."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from isotherm.atomic import atomic_write
from isotherm.cam.premises import premises_of
from isotherm.cli.models import open_model, split, tell_warnings
from isotherm.cli.progress import progress_lines
from isotherm.cli.vlm_options import Count, CountingOptions
from isotherm.data.sources import expand
from isotherm.draw import save_picture
from isotherm.errors import AdapterError, InputError, NonFiniteError, OptionError
from isotherm.ops.hashing import state_hash
from isotherm.runs.record import Run
from isotherm.systems.counting_config import CountingConfig, CountPrompts
from isotherm.systems.vlm_counting import count
from isotherm.train.recipe import from_plain, read_recipe
from isotherm.vlm.choose import token_methods
from isotherm.vlm.view import LanguageView


def run(options: Count, arguments: Sequence[str]) -> int:
    config, crops = config_of(options), [crop_of(text) for text in options.crop]
    if options.strategy == "custom" and not crops:
        raise OptionError("--strategy custom counts in crops of yours; give at least one with --crop x0,y0,x1,y1")
    sources = expand(options.sources, recursive=options.recursive)
    view, reason = counting_view(options)
    premises = premises_of(view)
    console, command = Console(stderr=True, quiet=options.quiet, highlight=False), shlex.join(["isotherm", *arguments])
    alarms = tell_warnings(console, premises)
    told: list[dict[str, Any]] = []
    with (
        progress_lines(console) as say,
        Run(
            "count",
            out=options.out,
            overwrite=options.overwrite,
            command=["isotherm", *arguments],
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
        ) as record,
    ):
        say(f"model: {reason}")
        alone = sources.total == 1
        for item in sources:
            try:
                found = count(
                    view,
                    item.load(),
                    options.category,
                    strategy=options.strategy,
                    config=config,
                    crops=crops,
                    say=say if alone else lambda line: None,
                )
            except (InputError, OptionError, NonFiniteError) as error:
                if alone and isinstance(error, OptionError):  # of several, a crop or a grid may not fit in one only
                    raise
                said = error.on_command_line() if isinstance(error, NonFiniteError) else error
                record.failed(item.name, said, source=item.source)
                print(f"isotherm: {item.name}: {said}", file=sys.stderr)
                continue
            files = [
                save_picture(
                    found.figure(title=f"{item.name}: {found.headline()}"),
                    record.fpath(item.name, ".jpg"),
                    command=command,
                ).name
            ]
            files += [m.save(record.fpath(item.name, ".npz", part=str(m.meta["view"]))).name for m in found.maps]
            facts = {"picture": item.name, "source": item.source, **found.to_json(), "command": command}
            with atomic_write(record.fpath(item.name, ".json")) as file:
                file.write(json.dumps(facts, indent=1).encode())
            record.done(
                item.name,
                source=item.source,
                count=found.count,
                exact=found.exact,
                estimate=found.estimate or None,
                doubts=list(found.doubts),
                answers={one.view.name: {"question": one.prompt, "answer": one.answer} for one in found.looks},
                files=files,
                notes=list(found.notes),
            )
            told.append(facts)
            for question in dict.fromkeys(one.prompt for one in found.looks):
                answers = ", ".join(f"{one.view.name} {one.answer!r}" for one in found.looks if one.prompt == question)
                console.print(f"  question: {question!r}; answers: {answers}", markup=False, soft_wrap=True)
            for note in found.notes:
                console.print(f"  note: {note}", markup=False, soft_wrap=True)
            if not alone:
                say(f"step {len(told)} of {sources.total or len(told)}: {item.name}: {found.line()}")
            print(f"{item.name}: {found.line()}")
        summed = {
            "model": view.name,
            "command": command,
            "counts": {t["picture"]: t["count"] for t in told},
            "estimates": {t["picture"]: t["estimate"] for t in told if t["estimate"]},
            "doubts": {t["picture"]: t["doubts"] for t in told if t["doubts"]},
        }
        with atomic_write(record.dpath / "counts.json") as file:
            file.write(json.dumps(summed, indent=1).encode())
        summary = record.finish()
    print("\n".join([*alarms, str(summary)]))
    print(f"look at {record.dpath}/*.jpg; dots, answers and expected numbers are in the .json beside each")
    if summary.done == 0:
        raise InputError("none of the pictures could be counted; the reasons stand above")
    return 1 if summary.failed else 0


def counting_view(options: CountingOptions) -> tuple[LanguageView, str]:
    """The model, if it answers questions, and why it was chosen."""
    opened = open_model(options)
    if not isinstance(opened.view, LanguageView):
        raise AdapterError(
            f"{opened.view.name} answers no questions; counting needs a vision-language model, such as Qwen/Qwen3-VL-2B-Instruct"
        )
    return opened.view, opened.reason


def config_of(options: CountingOptions) -> CountingConfig:
    """The file's configuration, and what the options change in it; all checked before the model is loaded."""
    plain = {} if options.config is None else read_recipe(options.config)
    if options.prompt is not None:
        plain["prompts"] = CountPrompts(whole=options.prompt)
    if options.grid is not None:
        plain["grid"] = _grid(options.grid)
    plain |= {
        name: value
        for name, value in {"overlap": options.overlap, "crop_side": options.crop_side}.items()
        if value is not None
    }
    config = from_plain(CountingConfig, plain, where="" if options.config is None else str(options.config))
    if not 0 <= config.overlap < 1:
        raise OptionError(f"--overlap {config.overlap:g}: expected a share of a cell's side, from 0 to less than 1")
    token_methods(config.method)
    return config


def crop_of(text: str) -> tuple[float, float, float, float]:
    """``x0,y0,x1,y1``."""
    try:
        x0, y0, x1, y1 = (float(n) for n in split(text, "--crop"))
    except ValueError as error:
        raise OptionError(f"--crop {text}: expected four numbers x0,y0,x1,y1 in picture pixels") from error
    return x0, y0, x1, y1


def _grid(text: str) -> tuple[int, int]:
    rows, cross, columns = text.lower().partition("x")
    if not (cross and rows.strip().isdigit() and columns.strip().isdigit()):
        raise OptionError(f"--grid {text}: expected rows x columns, such as 3x3")
    return int(rows), int(columns)
