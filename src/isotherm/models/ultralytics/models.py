"""Which of the package's modules is meant, what kind of model it is, and how its files are opened."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from isotherm.cam.capture import original_module
from isotherm.errors import AdapterError, OptionError, WeightsError
from isotherm.models.ultralytics.bare import check_size
from isotherm.models.ultralytics.description import (
    MAX_BYTES,
    RefusedDescriptionError,
    find_description,
    modern_stem,
    not_allowed,
    read_description,
)
from isotherm.models.ultralytics.head import head_of
from isotherm.models.ultralytics.prompts import Prompt
from isotherm.models.ultralytics.weights import need_ultralytics, open_yolo, package_modes
from isotherm.models.weights.permission import authorise


def inner_model(model: Any) -> Any:
    """The package's nn.Module inside YOLO objects, predictors' backends and wrappers."""
    kind = type(model).__name__
    for _ in range(4):
        if isinstance(model, nn.Module):
            model = original_module(model)
        if isinstance(getattr(model, "model", None), nn.Sequential) and hasattr(model, "yaml"):
            return model
        # a YOLO object holds its model, a predictor's backend holds one in its own backend
        holder = getattr(model, "backend", None) or model
        model = getattr(holder, "model", None)
        if isinstance(model, str | Path):
            raise AdapterError(
                f"this model is the exported file {model}, which has no Python modules to look into; load the .pt it was exported from"
            )
        if model is None:
            break
    raise AdapterError(f"a {kind} is not an ultralytics model; give YOLO(...), YOLOE(...), RTDETR(...) or their .model")


def kind_of(model: nn.Module, head: Any) -> str:
    """``anchors``, ``queries`` (RT-DETR) or ``classify``; AdapterError for other heads."""
    kinds = {base.__name__ for base in type(head).__mro__}
    channels = getattr(model, "yaml", {}).get("channels", 3)
    if channels != 3:
        raise AdapterError(f"this model reads {channels} channels; only models of colour pictures can be explained")
    if "Detect" in kinds:
        return "anchors"
    if "RTDETRDecoder" in kinds:
        return "queries"
    if "Classify" in kinds:
        return "classify"
    raise AdapterError(
        f"a {type(head).__name__} head is not one that can be explained; expected detect, segment, pose, obb, classify, YOLOE or RT-DETR"
    )


def class_names(model: Any, names: Sequence[str] | Mapping[int, str] | None) -> tuple[str, ...]:
    """Class names in the order of their numbers: those given, or the model's own."""
    own = names if names is not None else getattr(model, "names", ())
    return tuple(str(own[k]) for k in sorted(own)) if isinstance(own, Mapping) else tuple(str(n) for n in own)


def check_count(model: Any, names: tuple[str, ...], embeddings: Tensor | None, prompt: Prompt | None) -> None:
    """OptionError where there are more or fewer class names than classes."""
    head = head_of(model)
    count = embeddings.shape[1] if embeddings is not None else None if prompt is not None else getattr(head, "nc", None)
    if count is None and hasattr(head, "linear"):
        count = head.linear.out_features
    if count is not None and len(names) != count:
        raise OptionError(
            f"{len(names)} class names were given for a model of {count} classes; give one name per class"
        )


def class_number(word: str, names: tuple[str, ...]) -> int:
    """The number of a class by its name, whatever its case."""
    lower = [n.lower() for n in names]
    if word.lower() not in lower:
        raise OptionError(
            f"this model has no class {word!r}; it has {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
        )
    return lower.index(word.lower())


def chosen_branch(head: Any, end_to_end: bool | None) -> bool:
    """True where findings are read from the one-to-one branch: as asked, or as the model is set."""
    own = bool(getattr(head, "end2end", False))
    if end_to_end and getattr(head, "one2one_cv2", None) is None:
        raise AdapterError(
            f"this {type(head).__name__} head has no one-to-one branch, so it cannot answer end to end; leave end_to_end out"
        )
    if end_to_end is False and getattr(head, "cv2", True) is None:
        raise AdapterError(
            "this model was fused for end-to-end use, which removed its one-to-many branch; load the file again"
        )
    return own if end_to_end is None else end_to_end


def variant(model: Any) -> str:
    """The name of the file or architecture that the model came from."""
    source = getattr(model, "pt_path", None) or model.yaml.get("yaml_file") or type(model).__name__
    return Path(str(source)).stem


def task_of(model: Any, head: Any) -> str:
    """What the model does, in the package's word."""
    return getattr(model, "task", None) or type(head).__name__


def is_description(name: str | os.PathLike[str]) -> bool:
    """True for the description of an architecture, whose weights are random."""
    return Path(name).suffix.lower() in {".yaml", ".yml"}


def open_model(name: str, allow_code: str | os.PathLike[str] | None, seed: int) -> Any:
    """The package's object for a name or file: random weights for an architecture, safe mode for a file."""
    if not is_description(name):
        return open_yolo(name, allow_code=allow_code)
    package = need_ultralytics()
    source = find_description(name)
    content = _content(source)
    # the package drops blanks and quotes and renames older models, and would open another file
    stem = re.sub(r"[^\w.\-]", "_", modern_stem(Path(name).stem))
    with tempfile.TemporaryDirectory(prefix="isotherm-") as dpath:
        copy = Path(dpath) / f"{stem}.yaml"  # what was checked is what the package reads
        try:
            description = read_description(content, source)
            check_size(description, stem, source)
            copy.write_text(yaml.safe_dump(description, sort_keys=False), "utf-8")
            safe = True
        except RefusedDescriptionError as refused:
            if not authorise(source, hashlib.sha256(content).hexdigest(), allow_code):
                raise not_allowed(refused, source) from refused
            copy.write_bytes(content)
            safe = False
        with torch.random.fork_rng(devices=[]), package_modes(safe=safe):
            torch.manual_seed(seed)
            try:
                yolo = (package.RTDETR if "rtdetr" in stem.lower() else package.YOLO)(str(copy))
            except Exception as error:  # whatever its layers raise at sizes that do not fit
                first = (str(error).strip().splitlines() or [""])[0][:200]
                raise AdapterError(
                    f"the architecture {source} cannot be built ({type(error).__name__}: {first}); correct its layers"
                ) from error
    yolo.cfg = yolo.model_name = yolo.overrides["model"] = yolo.model.args["model"] = yolo.model.yaml["yaml_file"] = (
        name
    )
    return yolo


def _content(source: Path) -> bytes:
    try:
        with source.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise WeightsError(f"{source} cannot be read ({error.strerror or error}); check its permissions") from error
