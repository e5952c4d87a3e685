"""What a request may ask for: options of a job without a path in them, models from a list, names made harmless."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from isotherm.data.sources import LIST_SUFFIXES
from isotherm.errors import OptionError
from isotherm.jobs.count.options import CountJob
from isotherm.jobs.explain.like import parse_like
from isotherm.jobs.explain.options import ExplainJob
from isotherm.jobs.options import AUTO, JobOptions
from isotherm.runs.file import to_json
from isotherm.version import __version__

JOBS: Mapping[str, type[ExplainJob] | type[CountJob]] = {"explain": ExplainJob, "count": CountJob}
SHIPPED = (AUTO, "imagenet", "scenes", "detector", "tiny-vlm")
"""Models that need no file of the user's."""

MOST: Mapping[str, int] = {"top": 100, "max_findings": 100, "batch": 64, "every": 100_000, "max_frames": 100_000}
"""What a request may ask for, so that one cannot fill the machine; a run's pictures are numbered with five digits."""

OF_THE_MACHINE = frozenset(
    {
        "sources",
        "out",
        "overwrite",
        "recursive",
        "weights",
        "allow_code",
        "preprocess",
        "class_names",
        "max_pixels",
        "mask",
        "raw",
        "config",
        "gaze",
    }
)
"""Options that name files, or decide what this machine does; whoever starts the studio sets them, not who uses it."""


def options_of(
    job: str,
    data: Mapping[str, Any],
    names: Sequence[str],
    *,
    models: Sequence[str],
    devices: Sequence[str] = ("auto", "cpu"),
) -> JobOptions:
    """The options of a job, from a request.

    Args:
        job: one of :data:`JOBS`.
        data: the options that differ from their defaults.
        names: of the pictures.
        models: that may be asked for.
        devices: that may be asked for.

    Raises:
        OptionError: another job, model or device, an option that there is not, or that a request may not set.
    """
    if job not in JOBS:
        raise OptionError(f"there is no job {job!r}; expected {' or '.join(JOBS)}")
    refused = sorted(OF_THE_MACHINE & data.keys())
    if refused:
        open_ = sorted({field.name for field in fields(JOBS[job])} - OF_THE_MACHINE)
        raise OptionError(f"{', '.join(refused)} cannot be set here; what can be is {', '.join(open_)}")
    for name in MOST.keys() & data.keys():
        _check_number(name, data[name])
    model = data.get("model", AUTO)
    if not isinstance(model, str):
        kind = "null" if model is None else type(model).__name__
        raise OptionError(
            f"model is {kind}, no text; there is no model of that name here, there are {', '.join(models)}"
        )
    if model not in models:
        raise OptionError(f"there is no model {model!r} here; there are {', '.join(models)}")
    if data.get("device", AUTO) not in devices:
        raise OptionError(f"there is no device {data['device']!r} here; there are {', '.join(devices)}")
    if isinstance(like := data.get("like"), str):
        parse_like(like)  # boxes alone: on the command line it may be a file of this machine
    return JOBS[job].from_json({**data, "sources": list(names)})


def check_classes(options: JobOptions, models: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a question to a model that looks for nothing until it is told what, before it waits for its turn.

    Args:
        options: of a job.
        models: what is known of each model, as :func:`isotherm.studio.desk.facts.facts` has it.

    Raises:
        OptionError: it is not told.
    """
    name = getattr(options, "model", None)
    lacking = any(one["name"] == name and one.get("lacks_classes") for one in models)
    if lacking and getattr(options, "classes", None) is None and getattr(options, "like", None) is None:
        raise OptionError(
            f"the model {name} has no classes of its own; give it words to look for, as classes such as 'person,red cup', "
            "or boxes around such things, as like"
        )


def _check_number(name: str, value: Any) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value is not None and not (whole and 1 <= value <= MOST[name]):
        raise OptionError(f"{name} is {str(value)[:60]!r}; expected a whole number from 1 to {MOST[name]}")


def model_options(name: str, models: Sequence[str]) -> JobOptions:
    """The options of a job with a model that may be asked for.

    Raises:
        OptionError: another model.
    """
    return options_of("explain", {"model": name}, [], models=models)


def key_of(options: JobOptions, pictures: Sequence[str]) -> str:
    """A hash of everything that decides a run's results.

    Args:
        pictures: a hash of each picture's bytes, or an id that stands for them.
    """
    asks = {name: value for name, value in options.to_json().items() if name != "sources"}  # names decide nothing
    facts = [__version__, " ".join(options.words), asks, list(pictures)]
    return hashlib.sha256(json.dumps(to_json(facts), sort_keys=True, allow_nan=False).encode()).hexdigest()


def file_names(names: Sequence[str]) -> list[str]:
    """File names without anything that a path, a shell, a page or a job could take for more than a name; each once.

    A job takes what ends like a list of paths and addresses for one, whatever its bytes are.

    Example:
        >>> file_names(["../../etc/passwd", "a b.jpg", "a b.jpg", ".", "é.png", "paths.txt"])
        ['passwd', 'a b.jpg', 'a b-2.jpg', 'picture', 'é.png', 'paths_txt']
    """
    taken: set[str] = set()
    made = []
    for name in names:
        plain = re.sub(r"[^\w .()+-]", "_", re.split(r"[/\\]", name)[-1]).strip(". ")[-120:] or "picture"
        stem, dot, suffix = plain.rpartition(".")
        if f"{dot}{suffix}".lower() in LIST_SUFFIXES:
            stem, plain = "", f"{stem}_{suffix}"
        if not stem:
            stem, dot, suffix = plain, "", ""
        one, number = plain, 1
        while one.lower() in taken:
            number += 1
            one = f"{stem}-{number}{dot}{suffix}"
        taken.add(one.lower())
        made.append(one)
    return made
