"""A command's model options -> an opened view."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from rich.console import Console

from isotherm.cam.premises import Premise
from isotherm.cli.common_options import AUTO, ModelOptions
from isotherm.cli.default_model import open_default
from isotherm.errors import OptionError
from isotherm.models.choose import Opened, open_view

ALARM = "bold white on red"
"""How a line looks that nobody should overlook."""


def parse_size(text: str) -> int | tuple[int, int]:
    """``640`` or ``480x640`` (h, w)."""
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text.strip())
    if not match or not 16 <= int(match[1]) <= 8192 or (match[2] and not 16 <= int(match[2]) <= 8192):
        raise OptionError(
            f"--size {text}: expected one number such as 640, or HEIGHTxWIDTH such as 480x640, each from 16 to 8192"
        )
    return (int(match[1]), int(match[2])) if match[2] else int(match[1])


def parse_device(text: str) -> str:
    """The device asked for, or the best there is for ``auto``."""
    if text == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(text)
    except RuntimeError as error:
        raise OptionError(f"--device {text}: expected auto, cpu, cuda, cuda:N or mps") from error
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}.get(
        device.type
    )
    if not available or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise OptionError(f"--device {text}: there is no such device here; try --device auto")
    return text


def open_model(options: ModelOptions) -> Opened:
    """The model that a command names. Only options that were given are passed on, so an adapter can refuse them."""
    if options.confidence is not None and not 0 <= options.confidence <= 1:
        raise OptionError(f"--confidence {options.confidence}: expected a number from 0 to 1")
    given: dict[str, Any] = {
        "weights": options.weights,
        "classes": None if options.classes is None else split(options.classes, "--classes"),
        "confidence": options.confidence,
        "size": None if options.size is None else parse_size(options.size),
        "allow_code": options.allow_code,
        "dtype": options.dtype,
        "device": parse_device(options.device),
        "seed": options.seed,
    }
    return open_default(options, given) if options.model == AUTO else open_view(options.model, **given)


def tell_warnings(console: Console, premises: Sequence[Premise]) -> list[str]:
    """Print, where nobody can overlook it, what nobody should look at a result without knowing; returns the lines."""
    lines = [str(p) for p in premises if p.alarming]
    for line in lines:
        console.print(line, markup=False, style=ALARM, soft_wrap=True)
    return lines


def split(text: str, option: str) -> tuple[str, ...]:
    """A comma-separated list; brackets and empty entries are looked at."""
    parts = tuple(part.strip() for part in text.split(","))
    if not all(parts):
        raise OptionError(f"{option} {text!r}: there is an empty entry; separate entries by single commas")
    return parts
