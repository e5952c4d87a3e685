"""Options of a job, and of the model that it works with: frozen, checked, and the same as a command line, a web request
or a cluster task.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from numbers import Integral, Real
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from tyro.conf import arg

from isotherm.errors import OptionError
from isotherm.ops.names import known_word

Options = TypeVar("Options", bound="JobOptions")
AUTO = "auto"
DEVICE = re.compile(r"auto|(cpu|cuda|mps|xpu)(:[0-9]{1,4})?")
"""The model's name where none is given."""


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What a job is asked for. Everything in it is text, a number, a switch, a path, or a tuple of those.

    Attributes:
        words: how the command line calls the job.
        positional: the options that it takes without a name.
        names: options that it calls otherwise than Python does.

    Raises:
        OptionError: a word that an option does not know, or a value of another kind.
    """

    words: ClassVar[tuple[str, ...]] = ()
    positional: ClassVar[tuple[str, ...]] = ()
    names: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in fields(self):
            choices = _words_of(hints[field.name])
            value = getattr(self, field.name)
            if choices and value is not None:
                known_word(value, choices, self.flag(field.name))
            else:
                object.__setattr__(self, field.name, _fitting(value, hints[field.name], self.flag(field.name)))
        # whether the machine has it is known when torch is loaded
        device = getattr(self, "device", AUTO)
        if not DEVICE.fullmatch(device):
            raise OptionError(f"--device {device}: expected auto, cpu, cuda, cuda:N or mps")

    def at_least(self, low: int, *names: str) -> None:
        """Refuse options that are below a number, where they were given.

        Raises:
            OptionError: one of them is.
        """
        for name in names:
            value = getattr(self, name)
            if value is not None and value < low:
                raise OptionError(f"{self.flag(name)} {value}: expected a whole number of at least {low}")

    @classmethod
    def flag(cls, name: str) -> str:
        """An option's name on the command line, ``--max-frames``."""
        return f"--{cls.names.get(name, name).replace('_', '-')}"

    def to_json(self) -> dict[str, Any]:
        """The options that differ from their defaults, as JSON can hold them."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != _default(f)}

    @classmethod
    def from_json(cls: type[Options], data: Mapping[str, Any] | str) -> Options:
        """The options that :meth:`to_json` wrote, as a mapping or as text.

        Raises:
            OptionError: no JSON object, an option that there is not (the nearest one is named), or a value of a wrong
                kind.
        """
        from isotherm.train.recipe import from_plain

        if isinstance(data, str):
            try:
                data = json.loads(data)
            except (ValueError, RecursionError) as error:
                raise OptionError(f"the options of the job {' '.join(cls.words)} are no JSON ({error})") from error
        if not isinstance(data, Mapping):
            raise OptionError(
                f"the options of the job {' '.join(cls.words)} are a {type(data).__name__}; expected a JSON object"
            )
        return from_plain(cls, data, where=" ".join(cls.words))

    def command_line(self) -> list[str]:
        """The command that asks for the same, word by word."""
        line = ["isotherm", *self.words]
        for name in self.positional:
            value = getattr(self, name)
            several = value if isinstance(value, tuple) else (value,)
            # a file whose name begins like an option
            line += [f"./{v}" if str(v).startswith("-") else str(v) for v in several]
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in self.positional or value == _default(field) or value is None:
                continue
            flag = self.flag(field.name)
            if value is True:
                line.append(flag)
            elif value is False:
                line.append(f"--no-{flag[2:]}")
            else:
                for one in value if isinstance(value, tuple) else (value,):
                    line += [f"{flag}={one}"] if str(one).startswith("-") else [flag, str(one)]
        return line


@dataclass(frozen=True, kw_only=True)
class ModelOptions(JobOptions):
    """Which model a job works with."""

    names: ClassVar[Mapping[str, str]] = {"class_names": "names"}

    model: str
    """imagenet, resnet50, timm:NAME, yolo11n.pt, yoloe-11s-seg.pt, model.onnx, owner/name of a hub, a folder,
    package.module:factory for a network of your own (naming it lets its module run), or what ships with isotherm:
    scenes, detector, tiny-vlm, tiny-anticipation.
    """
    weights: str | None = None
    """A weights file, with #model_ema behind it where it holds several; or "none" for seeded random weights. Default:
    the package's pretrained weights."""
    classes: str | None = None
    """Open-vocabulary detectors: what to look for, separated by commas. CLIP and its kin: texts to compare the picture
    with.
    """
    gaze: str | None = None
    """Models that take gaze: where the person looks in the clip, as isotherm gaze import and convert write it."""
    instruction: str | None = None
    """Grounding models that were trained here, and tiny-grounding, which ships: what they are told to find, such as
    'put it left of the blue block'."""
    preprocess: str | None = None
    """How pictures become the model's input: package.module:name of a function, an object that is called with a
    picture, or a function without arguments that makes one. Naming it lets its module run."""
    class_names: Annotated[Path | None, arg(name="names")] = None
    """Class names, one in each line of a text file, or JSON. Default: those that the model declares."""
    activation: Literal["softmax", "sigmoid"] | None = None
    """Classifiers that do not say how they were trained: what makes a class's probability of its logit, one softmax of
    classes that exclude each other, or a sigmoid for each. The probability then stands beside the logit."""
    confidence: float | None = None
    """Detectors: least confidence of a finding, 0 to 1."""
    size: str | None = None
    """Model input size: 640, or 480x640 (height x width)."""
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    """Of a hub model's weights and sums. Default: float32."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    seed: int = 0
    """Of random weights, masks and orders."""
    allow_code: Path | None = None
    """A file that runs code while it is opened (a weights file that needs full unpickling, or a configuration that
    hands arguments on) and that you allow to: it can do anything, so name only one whose maker you know. Its SHA-256 is
    printed and remembered."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise OptionError(f"--confidence {self.confidence}: expected a number from 0 to 1")
        if self.size is not None:
            parse_size(self.size)
        if self.classes is not None:
            split(self.classes, "--classes")
        if not 0 <= self.seed < 2**63:
            raise OptionError(f"--seed {self.seed}: expected a whole number from 0 to 2^63 - 1")


def parse_size(text: str) -> int | tuple[int, int]:
    """``640`` or ``480x640`` (h, w)."""
    match = re.fullmatch(r"([0-9]{1,6})(?:x([0-9]{1,6}))?", text.strip())
    if not match or not 16 <= int(match[1]) <= 8192 or (match[2] and not 16 <= int(match[2]) <= 8192):
        raise OptionError(
            f"--size {text}: expected one number such as 640, or HEIGHTxWIDTH such as 480x640, each from 16 to 8192"
        )
    return (int(match[1]), int(match[2])) if match[2] else int(match[1])


def box_of(text: str, option: str) -> tuple[float, float, float, float]:
    """``x0,y0,x1,y1`` in picture pixels.

    Raises:
        OptionError: no four numbers, or no box.
    """
    try:
        x0, y0, x1, y1 = finite(split(text, option))
    except ValueError as error:
        raise OptionError(f"{option} {text}: expected four numbers x0,y0,x1,y1 in picture pixels") from error
    if not (x0 < x1 and y0 < y1):
        raise OptionError(f"{option} {text}: x0 must be less than x1 and y0 less than y1")
    return x0, y0, x1, y1


def finite(texts: Sequence[str]) -> list[float]:
    """The numbers in texts.

    Raises:
        ValueError: one is none, or nan or infinite, which are places of no picture.
    """
    numbers = [float(text) for text in texts]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("not finite")
    return numbers


def split(text: str, option: str) -> tuple[str, ...]:
    """The entries of an option that is a comma-separated list.

    Raises:
        OptionError: an entry is empty.
    """
    parts = tuple(part.strip() for part in text.split(","))
    if not all(parts):
        raise OptionError(f"{option} {text!r}: there is an empty entry; separate entries by single commas")
    return parts


def _default(field: Any) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _fitting(value: Any, hint: Any, flag: str) -> Any:
    """The value as the type that its option has: paths and names from either, tuples from lists, numbers from NumPy's.

    Raises:
        OptionError: it is of another kind; a name where several are expected would be taken for its letters.
    """
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if value is None and type(None) in kinds:
        return None
    kind = next(one for one in kinds if one is not type(None))
    if get_origin(kind) is tuple:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise OptionError(f"{flag} is {value!r}; expected several, such as ({str(value)!r},)")
        return tuple(_fitting(one, get_args(kind)[0], flag) for one in value)
    if kind is Path and isinstance(value, str | os.PathLike):
        return Path(value)
    if kind is str and isinstance(value, str | os.PathLike):
        return os.fspath(value)
    if kind is bool and isinstance(value, bool):
        return value
    if kind in (int, float) and isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool):
        return kind(value)
    word = {str: "text", int: "a whole number", float: "a number", bool: "True or False", Path: "a path"}.get(
        kind, kind
    )
    raise OptionError(f"{flag} is {value!r}; expected {word}")


def _words_of(hint: Any) -> tuple[str, ...]:
    """The words that a type admits: of ``Literal["a", "b"] | None`` a and b."""
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return tuple(word for part in parts if get_origin(part) is Literal for word in get_args(part))
