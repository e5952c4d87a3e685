"""A job's model options -> an opened view."""

from __future__ import annotations

import inspect
from typing import Any

from isotherm.cam.view import View
from isotherm.data.class_names import read_class_names
from isotherm.errors import MissingExtraError, OptionError
from isotherm.jobs.explain.like import parse_like, picture_of_like
from isotherm.jobs.options import AUTO, ModelOptions, parse_size, split
from isotherm.models.choose import OpenModel, open_with
from isotherm.models.weights.importing import is_import, named_object
from isotherm.ops.devices import chosen_device
from isotherm.vlm.view import LanguageView

DEFAULT = "imagenet"
DETECTORS = "is for detectors; name one with --model, such as yolo11n.pt, or detector, which ships with isotherm"
NEEDS: dict[str, str] = {
    "prompt": "--prompt asks a vision-language model; name one with --model, such as Qwen/Qwen3-VL-2B-Instruct, or tiny-vlm, which ships with isotherm",
    "preprocess": "--preprocess goes with --model, which names the network that is fed so",
    "class_names": "--names goes with --model, which names the network whose classes they are",
    "activation": "--activation goes with --model, which names the network whose probabilities they are",
    "weights": "--weights goes with --model, which names the network that they are of",
    "classes": f"--classes {DETECTORS}",
    "like": "--like is for models that can be shown what to look for; name one with --model, such as yoloe-11s-seg.pt",
    "confidence": f"--confidence {DETECTORS}",
    "gaze": "--gaze is for models that take gaze; name one with --model, such as tiny-anticipation, which ships with isotherm",
    "instruction": "--instruction is for models that find what words mean; name one with --model, such as a run of isotherm train grounding, or tiny-grounding, which ships with isotherm",
    "box": f"--box {DETECTORS}",
}
"""Options that ask for a model of another kind than the default one, which is a classifier with its own weights."""


def boxes_of(options: ModelOptions) -> str | None:
    """The boxes of ``--like``, which the model's family takes; a picture to be like is no affair of its."""
    like: str | None = getattr(options, "like", None)
    return None if like is None or picture_of_like(like) is not None else like


def open_model(options: ModelOptions) -> OpenModel:
    """The model that a job names. Only options that were given are passed on, so that a family can refuse them.

    One that will be shown what to look for is opened with what it will be shown, since without it has no classes.
    """
    if options.allow_code is not None and not options.allow_code.is_file():
        raise OptionError(f"--allow-code {options.allow_code}: there is no such file; check the path")
    like = boxes_of(options)
    of_family: dict[str, Any] = {
        "weights": options.weights,
        "preprocess": None if options.preprocess is None else _preprocess(options.preprocess),
        "names": None if options.class_names is None else read_class_names(options.class_names),
        "classes": None if options.classes is None else split(options.classes, "--classes"),
        "like": None if like is None else parse_like(like),
        "activation": options.activation,
        "confidence": options.confidence,
        "gaze": options.gaze,
        "instruction": options.instruction,
        "size": None if options.size is None else parse_size(options.size),
        "allow_code": options.allow_code,
        "dtype": options.dtype,
    }
    # what every job gives: a family that does not take it does without, but is not left on another device than was
    # asked for
    device = str(chosen_device(options.device))
    where_taken: dict[str, Any] = {"seed": options.seed}
    if device == "cpu":
        where_taken["device"] = device
    else:
        of_family["device"] = device
    if options.model == AUTO:
        return _default(options, of_family, where_taken)
    return open_with(options.model, of_family, where_taken=where_taken)


def _preprocess(name: str) -> Any:
    """What ``--preprocess`` names, or what it makes where it is a class, or a function that takes nothing."""
    if not is_import(name):
        raise OptionError(f"--preprocess {name}: expected package.module:name, such as mypackage.models:transform")
    value = named_object(name, "--preprocess")
    if not callable(value):
        raise OptionError(f"--preprocess {name} is a {type(value).__name__}; expected what is called with a picture")
    makes = isinstance(value, type) or (inspect.isfunction(value) and not inspect.signature(value).parameters)
    try:
        return value() if makes else value
    except Exception as error:  # code of the user's raises anything at all
        first = (str(error).strip().splitlines() or [""])[0][:200]
        raise OptionError(f"--preprocess {name}() failed ({type(error).__name__}: {first})") from error


def opened_model(options: ModelOptions, opened: OpenModel | View | LanguageView | None) -> OpenModel:
    """The model that a job was given open, or else the one that its options name.

    Raises:
        OptionError: something that is no open model.
    """
    if opened is None:
        return open_model(options)
    view = opened.view if isinstance(opened, OpenModel) else opened
    if not isinstance(view, View | LanguageView):
        raise OptionError(
            f"opened is a {type(view).__name__}; expected what isotherm.open_model gives, such as isotherm.open_model('scenes')"
        )
    return opened if isinstance(opened, OpenModel) else OpenModel(view, "it was given open")


def _default(options: ModelOptions, of_family: dict[str, Any], where_taken: dict[str, Any]) -> OpenModel:
    """The default model, with a reason that says that it is the default.

    Args:
        of_family: the options as the model's family takes them.
        where_taken: those that it may do without.

    Raises:
        OptionError: an option asks for another kind of model.
        MissingExtraError: the model's package is not installed.
    """
    for name, why in NEEDS.items():
        value = boxes_of(options) if name == "like" else getattr(options, name, None)
        if value is not None:
            raise OptionError(why)
    try:
        opened = open_with(DEFAULT, of_family, where_taken=where_taken)
    except MissingExtraError as error:
        raise MissingExtraError(error.package, error.extra, "explaining pictures without --model") from error
    return OpenModel(opened.view, f"{opened.reason}; it is the default, since no --model was given")
