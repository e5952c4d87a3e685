"""The model that explains pictures where none is named: the one that was really trained."""

from __future__ import annotations

from typing import Any

from isotherm.errors import OptionError
from isotherm.jobs.model_options import ModelOptions
from isotherm.models.choose import Opened, open_with
from isotherm.zoo.imagenet.view import need_imagenet

DEFAULT = "imagenet"
DETECTORS = "is for detectors; name one with --model, such as yolo11n.pt, or detector, which ships with isotherm"
NEEDS: dict[str, str] = {
    "prompt": "--prompt asks a vision-language model; name one with --model, such as Qwen/Qwen3-VL-2B-Instruct, or tiny-vlm, which ships with isotherm",
    "weights": "--weights goes with --model, which names the network that they are of",
    "classes": f"--classes {DETECTORS}",
    "confidence": f"--confidence {DETECTORS}",
    "box": f"--box {DETECTORS}",
}
"""Options that ask for a model of another kind than the default one, which is a classifier with its own weights."""


def open_default(options: ModelOptions, given: dict[str, Any], where_taken: dict[str, Any]) -> Opened:
    """The default model, with a reason that says that it is the default.

    Args:
        given: the options as the model's family takes them. where_taken: those that it may do without.

    Raises:
        OptionError: an option asks for another kind of model. MissingExtraError: the model's package is not installed.
    """
    for name, why in NEEDS.items():
        if getattr(options, name, None) is not None:
            raise OptionError(why)
    need_imagenet("explaining pictures without --model")
    opened = open_with(DEFAULT, given, where_taken=where_taken)
    return Opened(opened.view, f"{opened.reason}; it is the default, since no --model was given")
