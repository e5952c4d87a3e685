"""Which view reads a detector of torchvision, and what it is fed."""

from __future__ import annotations

import copy
from typing import Any

from isotherm.cam.premises import Premise
from isotherm.cam.view import View
from isotherm.errors import OptionError
from isotherm.models.shared.input_options import InputOptions
from isotherm.models.shared.preprocess import numbers, size_of
from isotherm.models.torchvision.anchors import AnchorView
from isotherm.models.torchvision.premises import OWN_TRANSFORM, names_of
from isotherm.models.torchvision.rcnn import RCNNView


def wrap_detector(model: Any, options: InputOptions, *, weights: Any, confidence: float | None) -> View:
    """The view of a detector; the arguments are those of :func:`isotherm.models.torchvision.view.wrap`.

    ``size`` as one number is the shorter side that pictures are scaled to, and the longest allowed side grows with
    it; as (h, w) pictures are stretched. Without it the model's own sizes hold.
    """
    from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights, RetinaNet_ResNet50_FPN_Weights
    from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

    if confidence is not None and not 0 <= confidence <= 1:
        raise OptionError(f"confidence is {confidence}; expected a number from 0 to 1")
    names, size, mean, std = options.names, options.size, options.mean, options.std
    transform = model.transform
    if any(value is not None for value in (size, mean, std)):
        transform = copy.copy(transform)  # the model's own stays as it is
        transform.image_mean = list(mean) if mean is not None else transform.image_mean
        transform.image_std = list(std) if std is not None else transform.image_std
        if isinstance(size, int):
            transform.max_size = round(transform.max_size * size / transform.min_size[-1])
            transform.min_size, transform.fixed_size = (size,), None
        elif size is not None:
            transform.fixed_size = size_of(size)[::-1]
    view = RCNNView if isinstance(model, GeneralizedRCNN) else AnchorView
    count = view.count_classes(model)
    if names is not None and len(names) != count:
        raise OptionError(
            f"{len(names)} class names were given for the {count} labels of this {type(model).__name__}; "
            "give one per label, with the background first where the model has one"
        )
    coco, people = RetinaNet_ResNet50_FPN_Weights.DEFAULT, KeypointRCNN_ResNet50_FPN_Weights.DEFAULT
    defaults = {len(coco.meta["categories"]): ("COCO", coco)}
    if type(model).__name__ == "KeypointRCNN":
        defaults[len(people.meta["categories"])] = ("COCO's people", people)
    premises = _premises(transform, size=size, mean=mean, std=std)
    if names is None:
        names, whose = names_of(count, weights, defaults)
        premises += whose
    detector = view(
        model,
        name=f"{type(model).__name__} (torchvision)",
        names=names or (),
        transform=transform,
        confidence=confidence,
    )
    detector.premises = premises
    return detector


def _premises(transform: Any, **own: Any) -> tuple[Premise, ...]:
    """What the detector is fed: its own transform says it, but for what the user gave."""
    scaled = (
        f"stretched to {transform.fixed_size[1]} x {transform.fixed_size[0]} pixels"
        if getattr(transform, "fixed_size", None)
        else f"shorter side {transform.min_size[-1]} pixels, the longer at most {transform.max_size}"
    )
    words = {
        "size": scaled,
        "mean": f"mean {numbers(transform.image_mean)}",
        "std": f"std {numbers(transform.image_std)}",
    }
    theirs = [words.pop(name) for name, value in own.items() if value is not None]
    premises = [Premise(about="input", value=", ".join(theirs), source="given")] if theirs else []
    if words:
        premises.append(Premise(about="input", value=", ".join(words.values()), source="declared", why=OWN_TRANSFORM))
    return tuple(premises)
