"""Descriptions of YOLO architectures (.yaml), read as plain data and checked before the package sees them.

The package evaluates ``activation`` as Python, calls whatever name it has for a layer, and opens the file that
``text_model`` names. So a description is opened only where every value is one that a description needs: numbers,
names of layers that exist, and calls of torch's activations with plain arguments.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from torch import nn

from isotherm import limits
from isotherm.errors import WeightsError

MAX_BYTES = limits.DESCRIPTION_BYTES
"""Largest file that is read as a description; the package's own have up to 4 kB."""
MAX_LAYERS = limits.DESCRIPTION_LAYERS
MAX_VALUES = limits.DESCRIPTION_VALUES
"""Most values of one layer's arguments, lists in lists counted through (anchors can repeat a list within itself)."""
WORD = re.compile(r"[A-Za-z][\w\-]{0,63}")
"""A name of a class, an option or a local of the package's parser: nothing that can be evaluated to more than
itself.
"""
LAYER = re.compile(r"(nn\.)?[A-Za-z][A-Za-z0-9_]{0,63}")
TEXT_MODEL = re.compile(r"mobileclip2?:[a-z0-9]{1,8}|clip:(RN50(x4|x16|x64)?|RN101|ViT-[BL]/\d\d(@336px)?)")
"""Text encoders that the package publishes; any other name after ``clip:`` is a file that it would open."""
TEXT_MODELS = "a text encoder that the package publishes, such as mobileclip:blt or clip:ViT-B/32"
NUMBERS = {
    "nc",
    "ch",
    "channels",
    "depth_multiple",
    "width_multiple",
    "max_channels",
    "reg_max",
    "kpt_shape",
    "end2end",
    "inplace",
    "strides",
}
WORDS = {"scale", "task"}
PARTS = {"scales", "activation", "text_model", "backbone", "head"}
NOTES = {"yaml_file", "names"}
"""Written into a checkpoint's description by the package, and read by nobody as anything but text."""


class RefusedDescriptionError(WeightsError):
    """A description holds something that the package would run, open or misread."""


def read_description(content: bytes, named: object) -> dict[str, Any]:
    """A description as plain data, checked.

    Args:
        content: of the .yaml file.
        named: the file, for messages.

    Raises:
        WeightsError: no YAML, or no description; the subclass RefusedDescriptionError where a value is none that a
            description needs.

    Example:
        >>> layer = "[[-1, 1, Conv, [16, 3, 2]], [-1, 1, Classify, [nc]]]"
        >>> read_description(f"nc: 2\\nactivation: nn.ReLU()\\nbackbone: []\\nhead: {layer}".encode(), "small.yaml")["nc"]
        2
        >>> read_description(b"nc: 2\\nactivation: print(1)\\nbackbone: []\\nhead: []", "small.yaml")
        Traceback (most recent call last):
        isotherm.models.ultralytics.description.RefusedDescriptionError: small.yaml has activation 'print(1)'; ...
    """
    if len(content) > MAX_BYTES:
        raise WeightsError(
            f"{named} has {len(content)} bytes; a description of an architecture has a few thousand, and {MAX_BYTES} at most"
        )
    try:
        description = yaml.safe_load(content.decode("utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        first = " ".join(str(error).split())[:200]
        raise WeightsError(
            f"{named} cannot be read as YAML ({type(error).__name__}: {first}); correct it, or copy it again"
        ) from error
    if not isinstance(description, dict) or not {"backbone", "head"} <= description.keys():
        keys = (
            ", ".join(str(k)[:40] for k in list(description)[:5])
            if isinstance(description, dict)
            else type(description).__name__
        )
        raise WeightsError(
            f"{named} describes no architecture (it holds {keys or 'nothing'}); expected nc, backbone and head, as in yolo11n.yaml"
        )
    check_description(description, named)
    return description


def check_description(description: Any, named: object, *, saved: bool = False) -> None:
    """Raise unless every value is one that a description needs.

    Args:
        description: the description as plain data.
        named: its file, for messages.
        saved: it comes with a checkpoint, whose layers exist already: keys and layers of older versions of the package
            are let through where their values are plain.

    Raises:
        RefusedDescriptionError: something else; the message says what, where, and what was expected.
    """
    if not isinstance(description, Mapping):
        raise _refused(named, "the description", description, "keys with values, such as nc, backbone and head")
    for key, value in description.items():
        if key in NUMBERS:
            _check(named, key, value, _is_numbers(value), "a number, true, false, or a list of them")
        elif key in WORDS:
            # of an unknown file the package says "", which stands for the first scale
            _check(
                named,
                key,
                value,
                (isinstance(value, str) and (not value or _is_word(value))) or value is None,
                "one word",
            )
        elif key == "scales":
            plain = isinstance(value, Mapping) and all(
                isinstance(k, str) and _is_word(k) and _is_numbers(v) for k, v in value.items()
            )
            _check(named, key, value, value is None or plain, "names with [depth, width, most channels]")
        elif key == "activation":
            _check(
                named,
                key,
                value,
                value is None or is_activation(value),
                "an activation of torch.nn with plain arguments, such as nn.SiLU() or nn.LeakyReLU(0.1)",
            )
        elif key == "text_model":
            _check(named, key, value, is_text_model(value), TEXT_MODELS)
        elif key in ("backbone", "head"):
            _check_layers(named, key, value, saved)
        elif not (saved and (key in NOTES or _is_arguments(value))):
            known = ", ".join(sorted(NUMBERS | WORDS | PARTS))
            raise RefusedDescriptionError(
                f"{named} has the key {_shown(key)}, which a description of an architecture does not need; expected only {known}"
            )


def is_activation(value: Any) -> bool:
    """True for a text that calls an activation of torch.nn with plain arguments; nothing is evaluated to find out."""
    if not isinstance(value, str) or len(value) > 200:
        return False
    try:
        call = ast.parse(value.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    if not isinstance(call, ast.Call):
        return False
    module, _, name = ast.unparse(call.func).rpartition(".")
    known = getattr(nn, name, None) if module in ("nn", "torch.nn") and name.isidentifier() else None
    if not isinstance(known, type) or not (known is nn.Identity or known.__module__ == "torch.nn.modules.activation"):
        return False
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    try:
        return all(keyword.arg is not None for keyword in call.keywords) and all(
            _is_arguments(ast.literal_eval(a)) for a in arguments
        )
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return False


def is_text_model(value: Any) -> bool:
    """True for a text encoder that the package publishes, by name."""
    return isinstance(value, str) and TEXT_MODEL.fullmatch(value) is not None


def check_text_model(model: nn.Module, named: object) -> None:
    """Raise RefusedDescriptionError unless the text encoder that a model names is one that the package publishes."""
    value = getattr(model, "text_model", None)
    if value is not None:
        _check(named, "text_model", value, is_text_model(value), TEXT_MODELS)


def not_allowed(refused: RefusedDescriptionError, source: Path) -> WeightsError:
    """The error for a description that was refused: what was found, why it matters, and how to allow it."""
    what = f"{refused}. ultralytics would evaluate or open it, so nothing was built. If you know who made the file"
    return WeightsError(f'{what}, pass allow_code="{source}"', command_line=f"{what}, pass --allow-code {source}")


def modern_stem(stem: str) -> str:
    """``yolov5n6`` as ``yolov5n-p6``, its newer spelling; every other name as it is."""
    return re.sub(r"^(yolov[58])([nslmx])6$", r"\1\2-p6", stem)


def find_description(name: str) -> Path:
    """The file of a description: a path, or the name of one that the package ships, with or without its scale.

    ``yolo11n.yaml`` and ``yolo11.yaml`` are the same file; the letter says which of its scales is built.

    Raises:
        WeightsError: there is none; an address.
    """
    from ultralytics.utils import ROOT

    if "://" in name or name.lower().startswith(("http:", "https:", "ul:", "gs:")):
        raise WeightsError(f"{name} is an address; download the file and give its path")
    shipped = ROOT / "cfg" / "models"
    path = Path(name)
    newer = path.with_stem(modern_stem(path.stem))
    for candidate in (path, newer, newer.with_name(re.sub(r"(\d+)([nslmx])(.+)?$", r"\1\3", newer.name))):
        if candidate.is_file():
            return candidate
        if candidate.is_absolute() or ".." in candidate.parts:
            continue
        files = sorted(f for f in shipped.rglob(candidate.name) if f.as_posix().endswith(f"/{candidate.as_posix()}"))
        if files:
            return files[0]
    raise WeightsError(
        f"there is no architecture {name}; expected a file, or a name such as yolo11n.yaml, yolo26n-seg.yaml or rtdetr-l.yaml"
    )


def _check_layers(named: object, key: str, layers: Any, saved: bool) -> None:
    if not isinstance(layers, list) or len(layers) > MAX_LAYERS or (key == "head" and not layers):
        raise _refused(
            named, key, layers, f"a list of 1 to {MAX_LAYERS} layers, each [from, repeats, layer, arguments]"
        )
    for number, layer in enumerate(layers):
        where = f"{key}[{number}]"
        if not isinstance(layer, list) or len(layer) != 4:
            raise _refused(named, where, layer, "[from, repeats, layer, arguments]")
        source, repeats, name, arguments = layer
        sources = source if isinstance(source, list) else [source]
        _check(
            named,
            f"{where} from",
            source,
            all(_is_whole(s) for s in sources),
            "the number of a layer, or a list of numbers",
        )
        _check(named, f"{where} repeats", repeats, _is_whole(repeats), "a whole number")
        _check(
            named,
            f"{where} layer",
            name,
            _is_layer(name, saved),
            "the name of a layer of ultralytics, or nn. and that of one of torch.nn",
        )
        plain = isinstance(arguments, list) and _is_arguments(arguments)
        _check(
            named,
            f"{where} arguments",
            arguments,
            plain,
            "numbers, true, false, None, single words such as nearest, or lists of those",
        )


def _is_layer(name: Any, saved: bool) -> bool:
    """True for a class of layers by its name; of a checkpoint also for a name that this version does not have."""
    if not isinstance(name, str) or LAYER.fullmatch(name) is None:
        return False
    if name == "Silence":  # an older name, which the package still reads
        return True
    from ultralytics.nn import tasks

    prefix, _, last = name.rpartition(".")
    layer = getattr(nn if prefix else tasks, last, None)
    if layer is None:
        return saved
    # a whole model as a layer would read a description of its own, which nobody has checked
    return (
        isinstance(layer, type)
        and issubclass(layer, nn.Module)
        and not issubclass(layer, tasks.BaseModel | tasks.Ensemble)
    )


def _is_word(value: str) -> bool:
    return WORD.fullmatch(value) is not None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_numbers(value: Any) -> bool:
    """True for a number, a truth value, nothing, and lists of those."""
    return all(v is None or isinstance(v, int | float) for v in _leaves(value))


def _is_arguments(value: Any) -> bool:
    """True for a number, a truth value, nothing, a single word, and lists of those."""
    return all(v is None or isinstance(v, int | float) or (isinstance(v, str) and _is_word(v)) for v in _leaves(value))


def _leaves(value: Any) -> Iterator[Any]:
    """What is in lists of lists, up to one value and one level more than is ever allowed (then: an object that nothing
    allows).
    """
    waiting, seen = [(value, 0)], 0
    while waiting:
        one, depth = waiting.pop()
        seen += 1
        if seen > MAX_VALUES or depth > 4:
            yield object()
            return
        if isinstance(one, list | tuple):
            waiting += [(v, depth + 1) for v in one[: MAX_VALUES + 1]]
        else:
            yield one


def _check(named: object, where: str, value: Any, fine: bool, expected: str) -> None:
    if not fine:
        raise _refused(named, where, value, expected)


def _refused(named: object, where: str, value: Any, expected: str) -> RefusedDescriptionError:
    return RefusedDescriptionError(f"{named} has {where} {_shown(value)}; expected {expected}")


def _shown(value: Any) -> str:
    if isinstance(value, str | int | float | bool | None):
        text = repr(value)
    elif isinstance(value, list | dict):
        text = f"a {type(value).__name__} of {len(value)}" if len(value) > 8 else _outline(value)
    else:
        text = f"of type {type(value).__name__}"
    return text if len(text) <= 120 else text[:117] + "..."


def _outline(value: list[Any] | dict[Any, Any]) -> str:
    """One level of a list or mapping; what is deeper is named by its type, since anchors can nest it without end."""

    def inner(one: Any) -> str:
        return repr(one) if isinstance(one, str | int | float | bool | None) else f"a {type(one).__name__}"

    if isinstance(value, dict):
        return "{" + ", ".join(f"{inner(k)}: {inner(v)}" for k, v in value.items()) + "}"
    return "[" + ", ".join(inner(v) for v in value) + "]"
