"""Which adapter reads a model: by the package that its class comes from, or by what its name looks like.

Every choice comes back with a line that says what was chosen and why, because the same name may exist in
several packages.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from isotherm.cam.capture import original_module
from isotherm.cam.scores.naming import class_names
from isotherm.cam.view import View
from isotherm.errors import AdapterError, MissingExtraError, OptionError
from isotherm.ops.names import near_names
from isotherm.vlm.view import LanguageView

PREFIXES = {
    "torchvision": "torchvision",
    "timm": "timm",
    "hf": "transformers",
    "transformers": "transformers",
    "yolo": "ultralytics",
    "scenes": "embedded",
    "detector": "embedded_detector",
    "tiny-vlm": "embedded_vlm",
    "imagenet": "imagenet",
}
SHIPPED = {package: name for name, package in PREFIXES.items() if package.startswith("embedded")}
EXTRA = {"torchvision": "models", "timm": "models", "transformers": "models", "ultralytics": "yolo"}
YOLO_NAME = re.compile(r"^(yolo|yoloe|rtdetr|yolov)[\w.\-]*\.(pt|ya?ml)$", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Opened:
    """A view and the line that says how it was chosen."""

    view: View | LanguageView
    reason: str


def adapter(package: str) -> Any:
    """The adapter module of a package, or MissingExtraError where the package is not installed."""
    if package in EXTRA and importlib.util.find_spec(package) is None:
        raise MissingExtraError(
            package if package != "ultralytics" else "ultralytics-opencv-headless",
            EXTRA[package],
            f"opening a model of {package}",
        )
    return importlib.import_module(f"isotherm.adapters.{package}")


def open_view(model: str | Path | nn.Module | View | LanguageView | Any, **options: Any) -> Opened:
    """A view of a model given by name, by file, or as an object.

    Args:
        model: a name (``resnet50``, ``yolo11n.pt``, ``timm:vit_small_patch16_224``, ``org/name`` of a hub or a
            local folder, ``imagenet`` for a network that was really trained, ``scenes``, ``detector`` and ``tiny-vlm`` for the models that ship with isotherm), a module, a YOLO object, or a View.
        options: what the adapter takes: weights, trust, classes/text, confidence, size, names, device, seed, ...
            An option that the adapter does not know is an error.

    Raises:
        AdapterError: nothing fits; the message has the nearest names.
    """
    return open_with(model, options)


def open_with(model: Any, options: Mapping[str, Any], *, seed: int | None = None, also: Sequence[str] = ()) -> Opened:
    """:func:`open_view` for a front door that has options of its own.

    Args:
        model: as there, or one that is open already. seed: of random weights, for adapters that make any; not an option
            that the others refuse. also: the front door's own options, which a misspelt one may have meant.
    """
    if isinstance(model, str | Path):
        package, name, reason = by_name(str(model))
        load = adapter(package).load
        if seed is not None and "seed" in inspect.signature(load).parameters:
            options = {**options, "seed": seed}
        return Opened(_call(load, name, options, also), reason)
    if isinstance(model, Opened) or (isinstance(model, View | LanguageView) and not isinstance(model, nn.Module)):
        if options:
            raise OptionError(
                f"a ready view takes no options ({', '.join(options)}){near_names(list(options), also)}; set them where the view is made"
            )
        if isinstance(model, Opened):
            return model
        return Opened(model, f"view {type(model).__name__} as given")
    inner = model if not isinstance(model, nn.Module) else original_module(model)
    package, reason = by_class(inner)
    return Opened(_call(adapter(package).wrap, inner, options, also), reason)


def _call(function: Any, first: Any, options: Mapping[str, Any], also: Sequence[str] = ()) -> View | LanguageView:
    given = {k: v for k, v in options.items() if v is not None}
    known = list(inspect.signature(function).parameters)[1:]
    unknown = sorted(set(given) - set(known))
    if unknown:
        package = function.__module__.rpartition(".")[2]
        who = (
            f"{SHIPPED[package]}, which ships with isotherm, takes" if package in SHIPPED else f"{package} models take"
        )
        raise OptionError(
            f"{who} no option {', '.join(unknown)}{near_names(unknown, [*known, *also])}; known are {', '.join(sorted(known))}"
        )
    if "names" in given:
        given["names"] = class_names(given["names"])
    return function(first, **given)


def by_class(model: Any) -> tuple[str, str]:
    """(adapter, reason) for a model object, from the packages its class and base classes come from."""
    kind = type(model).__name__
    for package in ("ultralytics", "transformers", "timm", "torchvision"):
        for base in type(model).__mro__:
            if base.__module__.partition(".")[0] == package:
                whose = (
                    f"{kind} is a class of {package}"
                    if base is type(model)
                    else f"{kind} is a subclass of {package}'s {base.__name__}"
                )
                return package, f"{whose}, so the {package} adapter reads it"
    for module, package in (("embedded", "embedded"), ("heatmap_detector", "embedded_detector")):
        if any(base.__module__ == f"isotherm.adapters.{module}" for base in type(model).__mro__):
            return package, f"{kind} is a network of isotherm's own"
    if isinstance(model, nn.Module):  # the torchvision adapter reads any module that maps pictures to logits
        return (
            "torchvision",
            f"{kind}, a module of {type(model).__module__}, comes from no package that isotherm knows, so it is read as one that maps (pictures, channels, rows, columns) to logits",
        )
    raise AdapterError(
        f"a {type(model).__name__} is not a model that isotherm can read; give a torch.nn.Module, a YOLO object, a model's name, "
        "or an object that fulfils isotherm.cam.view.View"
    )


def by_name(name: str) -> tuple[str, str, str]:
    """(package, name within it, reason) of a model's name or path."""
    prefix, colon, rest = name.partition(":")
    if colon and prefix in PREFIXES:
        return PREFIXES[prefix], rest, f"{rest} from {PREFIXES[prefix]}, as the prefix says"
    if name == "scenes" or re.fullmatch(r"scenes-?\d+", name):
        return "embedded", name, "the small classifier of generated scenes that ships with isotherm"
    if name == "detector" or re.fullmatch(r"detector-?\d+", name):
        return "embedded_detector", name, "the small heatmap detector of generated scenes that ships with isotherm"
    if re.fullmatch(r"tiny-vlm(-\d+)?", name):
        return "embedded_vlm", name, "the small vision-language model of generated shapes that ships with isotherm"
    if name == "imagenet":
        return (
            "imagenet",
            name,
            "EfficientNet-Lite0, trained on ImageNet's photographs, with the weights of an installed package",
        )
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise AdapterError(
                f"the folder {name} has no config.json, so it is not a saved transformers model; give its folder or a model's name"
            )
        return "transformers", str(path), "a folder with config.json is a saved transformers model"
    if YOLO_NAME.match(path.name) or (path.is_file() and path.suffix == ".pt"):
        return "ultralytics", name, "a .pt or .yaml file is an ultralytics model"
    if path.suffix in {".safetensors", ".pth", ".bin", ".onnx", ".engine", ".tflite", ".ckpt"}:
        raise AdapterError(
            f"{name} holds weights, not a model; name the model and give the file as its weights, such as --model resnet50 --weights {name}"
        )
    if path.suffix in {".pt", ".yaml", ".yml"}:
        raise AdapterError(
            f"there is no file {name}, and it is not the name of an ultralytics model such as yolo11n.pt or yoloe-11s-seg.pt"
        )
    for package in ("torchvision", "timm"):
        if importlib.util.find_spec(package) is not None and name in adapter(package).model_names():
            return package, name, f"{name} is a {package} model"
    if "/" in name:
        return "transformers", name, "owner/name is a model of the transformers hub"
    raise _unknown(name)


def _unknown(name: str) -> AdapterError | MissingExtraError:
    """The error for a name that nothing here knows: the nearest names, or the package that might know it and is missing."""
    known = ["imagenet", "scenes", "detector", "tiny-vlm", "yolo11n.pt", "yoloe-11s-seg.pt"]
    missing = [package for package in ("torchvision", "timm") if importlib.util.find_spec(package) is None]
    for package in ("torchvision", "timm"):
        if package not in missing:
            known += adapter(package).model_names()
    # where a package cannot be asked, only what is clearly a slip is taken for one
    near = difflib.get_close_matches(name, dict.fromkeys(known), n=5, cutoff=0.75 if missing else 0.5)
    if missing and not near:
        return MissingExtraError(
            missing[0],
            EXTRA[missing[0]],
            f"{name!r} is not a file or folder, nor a model that ships with isotherm; looking it up among {missing[0]}'s models",
        )
    return AdapterError(
        f"there is no model {name!r}: not a file or folder, nor a name in torchvision or timm"
        + (
            f" (but {', '.join(missing)} could not be asked, not being installed: pip install 'isotherm[models]')"
            if missing
            else ""
        )
        + "; "
        + (f"did you mean {', '.join(near)}? " if near else "")
        + "Examples: imagenet, resnet50, timm:vit_small_patch16_224, yolo11n.pt, facebook/detr-resnet-50, scenes, detector, tiny-vlm"
    )
