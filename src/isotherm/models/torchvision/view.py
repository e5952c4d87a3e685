"""torchvision's models as views: classifiers here; segmentation models and detectors by their own files.

``wrap`` takes a model that the user has, ``load`` a name from torchvision's list. Any other module is read as
:mod:`isotherm.models.own` reads it, with what weights of torchvision say of its input and names.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from isotherm.cam.activation import Activation
from isotherm.cam.capture import original_module
from isotherm.cam.premises import Premise, Source
from isotherm.cam.view import View
from isotherm.errors import AdapterError, MissingExtraError, OptionError, WeightsError
from isotherm.models.family import class_match, takes_options_of
from isotherm.models.own.answer import answer_of
from isotherm.models.own.trial import black
from isotherm.models.own.view import run_once, view_of_module
from isotherm.models.shared.classifier import ClassifierView, TransformerView
from isotherm.models.shared.declaring_part import DeclaringPart, declaring_part
from isotherm.models.shared.input_options import InputOptions
from isotherm.models.shared.own_transform import Preparation
from isotherm.models.shared.premises import NAMES_CAN_BE_GIVEN, assumed, why_assumed, with_weights_named
from isotherm.models.shared.preprocess import CAN_BE_GIVEN, Geometry, Preprocess, fed_as_imagenet, size_of
from isotherm.models.torchvision.build import build, fitted
from isotherm.models.torchvision.premises import OWN_TRANSFORM, names_of
from isotherm.models.torchvision.video import is_video_model, wrap_video
from isotherm.models.weights.files import open_weights, unfetched

IMAGENET_CLASSES = 1000


def wrap(
    model: nn.Module,
    *,
    names: Sequence[str] | None = None,
    size: int | Sequence[int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    geometry: Geometry | None = None,
    preprocess: Any = None,
    confidence: float | None = None,
    frames: int | None = None,
    weights: Any = None,
    activation: Activation | None = None,
) -> View:
    """A view of a torchvision model, or of any module of one's own, which is read by what it puts out.

    Args:
        model: eager, compiled or data-parallel; on any device, in any floating-point type. Nothing in it changes.
        names: class names, one per logit. Without: those of ``weights``; ImageNet's for a classifier of 1000
            classes that is fed as ImageNet's networks are (VOC's and COCO's for segmenters and detectors of their
            number), which is an assumption and called one; otherwise "class 0", ...
        size: one side or (h, w) of the input; that of ``weights``, of the model where it is fixed, or 224.
        mean, std: of pixels in [0, 1]; ImageNet's unless ``weights`` say otherwise. What of the input nobody says is an
            assumption, and is called one in the view's ``premises``.
        geometry: how a picture of another aspect ratio is fitted, see
            :data:`isotherm.models.shared.preprocess.Geometry`; "crop" for classifiers and "shorter" for segmenters
            unless given; detectors scale by themselves.
        preprocess: a callable from a picture to the model's input, in place of size, mean, std and geometry:
            torchvision's or timm's transforms, an image processor, albumentations, a function. Where its pixels come
            from is measured.
        confidence: least confidence of a detector's findings, on top of its own threshold.
        frames: how many frames of a clip a video classifier is fed; as many as torchvision evaluates it with unless
            given.
        weights: a member of one of torchvision's weights enums, whose evaluation transform is then used to the bit.
        activation: what makes a class's probability of its logit, ``softmax`` or ``sigmoid``, where the model was
            trained so and does not say it: the probability then stands beside the logit.

    Raises:
        AdapterError: a model of another job (optical flow), traced or quantised.
    """
    _need_torchvision()
    from torchvision.models.detection.fcos import FCOS
    from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
    from torchvision.models.detection.retinanet import RetinaNet
    from torchvision.models.detection.ssd import SSD
    from torchvision.models.segmentation import LRASPP
    from torchvision.models.segmentation._utils import _SimpleSegmentationModel

    model = original_module(model)
    options = InputOptions(
        names=names, size=size, mean=mean, std=std, geometry=geometry, transform=preprocess, activation=activation
    )
    if isinstance(model, GeneralizedRCNN | SSD | RetinaNet | FCOS):
        from isotherm.models.torchvision.detect import wrap_detector

        if preprocess is not None:
            raise OptionError(
                "torchvision's detectors prepare pictures by themselves, so preprocess= does not apply; leave it out"
            )
        if geometry is not None:
            raise OptionError(
                "torchvision's detectors scale pictures by themselves, so geometry= does not apply; leave it out"
            )
        options.refuse_activation(f"this {type(model).__name__}")
        return wrap_detector(model, options, weights=weights, confidence=confidence)
    if confidence is not None:
        raise OptionError(
            "confidence= is a threshold for a detector's findings; leave it out for classifiers and segmenters"
        )
    if is_video_model(model):
        if preprocess is not None:
            raise OptionError(
                "preprocess= makes an input of one picture, and this is a model of clips; give size=, mean= and std="
            )
        return wrap_video(model, options, frames=frames, weights=weights)
    if frames is not None:
        raise OptionError(
            f"frames= is for video models, and this {type(model).__name__} sees one picture; leave it out"
        )
    if isinstance(model, _SimpleSegmentationModel | LRASPP):
        from isotherm.models.torchvision.segmentation import wrap_segmenter

        options.refuse_activation(f"this {type(model).__name__}")
        return wrap_segmenter(model, options, weights=weights)
    return wrap_classifier(model, options, weights=weights)


def wrap_classifier(model: nn.Module, options: InputOptions, *, weights: Any) -> View:
    """The view of a classifier, or of a module of one's own; the arguments are those of :func:`wrap`."""
    from torchvision.models import VisionTransformer

    from isotherm.models.torchvision.layers import known_layer, order_of, token_head, token_rule

    if type(model).__module__.startswith("torchvision.models.optical_flow"):
        raise AdapterError(
            f"{type(model).__name__} does not map one picture to class logits; isotherm explains classifiers of pictures and clips, segmenters and detectors"
        )
    part = None if weights is not None else declaring_part(model)
    preprocess = options.preprocess(preprocess_of(model, weights) if part is None else part.preprocess)
    if isinstance(model, VisionTransformer) and preprocess.size != (model.image_size, model.image_size):
        raise OptionError(
            f"this VisionTransformer reads {model.image_size} x {model.image_size} pixels only, but size is {preprocess.size}; leave size= out"
        )
    source, why = _source_of_input(model, weights, part)
    premises = options.premises(preprocess, source=source, why=why)
    count = _count_of_classes(model)
    if count is None:
        # only running a module that torchvision has not made tells what it puts out
        raw, fed = run_once(model, black(model, preprocess), type(model).__name__)
        answer = answer_of(raw, fed)
        if answer.kind != "classes" or class_match(model, "torchvision") is None:
            return view_of_module(
                model,
                options,
                preprocess,
                premises=premises,
                names=lambda count, prepared: _names(count, weights, prepared),
            )
        count = int(answer.logits(raw).shape[1])
    names = options.names
    if names is None:
        names, whose = _names(count, weights, preprocess)
        premises += whose
    else:
        options.check_names(count, what=f"logits of this {type(model).__name__}", one="logit")
    linear = _last_linear(model)
    arguments: dict[str, Any] = dict(
        name=f"{type(model).__name__} (torchvision)"
        if type(model).__module__.startswith("torchvision.")
        else type(model).__name__,
        names=names,
        preprocess=preprocess,
        heads=() if linear is None else (linear,),
        known=known_layer(model),
        tokens=token_rule(model),
        four=order_of(model),
        premises=premises,
        **options.trained(count),
    )
    if isinstance(model, VisionTransformer):
        return TransformerView(model, **arguments, **token_head(model))
    return ClassifierView(model, **arguments)


@takes_options_of(wrap)
def load(
    name: str,
    *,
    weights: str | os.PathLike[str] = "auto",
    seed: int = 0,
    device: str | torch.device = "cpu",
    allow_code: Any = None,
    **options: Any,
) -> View:
    """A view of one of torchvision's models, by name.

    Args:
        name: as in ``torchvision.models.list_models()``, such as ``resnet50``.
        weights: "auto" downloads torchvision's best ones (or takes them from its cache); "none" leaves seeded random
            ones; anything else is the path of a state dict, whose number of classes the model then gets.
        seed: of random weights.
        device: where the model goes.
        allow_code: passed on to the weights reader.
        options: names, size, mean, std, geometry, confidence, frames, as in :func:`wrap`.

    Raises:
        AdapterError: no such model; the message has the nearest names.
        WeightsError: the weights cannot be downloaded, read, or do not fit.
    """
    _need_torchvision()
    from torchvision.models import get_model, get_model_weights, list_models

    if name.lower() not in list_models():
        near = difflib.get_close_matches(name.lower(), list_models(), n=5, cutoff=0.4)
        raise AdapterError(
            f"torchvision has no model {name!r}; "
            + (f"did you mean {', '.join(near)}?" if near else "see torchvision.models.list_models()")
        )
    members = list(get_model_weights(name))
    best = get_model_weights(name).DEFAULT if members else None
    if weights == "auto":
        if best is None:
            raise WeightsError(
                f"torchvision offers no weights for {name}; pass the path of a state dict, or weights='none' for random ones",
                command_line=f"torchvision offers no weights for {name}; give a file as --weights, or --weights none for random ones",
            )
        try:
            model = get_model(name, weights=best)
        except (OSError, RuntimeError) as error:  # no network, full disk, broken download
            raise unfetched(f"{name}", f"{best.url}: {type(error).__name__}: {error}") from error
    elif weights == "none":
        model = build(name, seed)
    else:
        model = fitted(
            name,
            open_weights(Path(weights), allow_code=allow_code),
            Path(weights),
            seed,
            len(best.meta["categories"]) if best is not None else IMAGENET_CLASSES,
        )
    # a fine-tuned file keeps the geometry and colours of the family, but not the names of its classes
    view = wrap(model.to(device).eval(), weights=best, **options)
    if weights != "auto" and best is not None:
        _assume(view, why_assumed(weights, f"those of {best} are", f"{best} is"))
    if weights == "auto" and isinstance(view, ClassifierView) and not view.independent:
        view.exclusive = True  # all of torchvision's own weights of classifiers come from cross-entropy
    return with_weights_named(view, name, weights, seed, package="torchvision", own=best)


def preprocess_of(model: nn.Module, weights: Any) -> Preprocess:
    """The evaluation transform of the weights; without weights the one that torchvision's first ImageNet weights
    share.
    """
    if weights is not None:
        preset = weights.transforms()
        mean, std = tuple(preset.mean), tuple(preset.std)
        if hasattr(preset, "crop_size"):
            crop, scaled = (_pair(preset.crop_size), _pair(preset.resize_size))
            return Preprocess(size=crop, resize=scaled, interpolation=preset.interpolation.value, mean=mean, std=std)
    side = int(getattr(model, "image_size", 0)) or (299 if type(model).__name__ == "Inception3" else 224)
    # 256 : 224 is the share that torchvision's V1 weights are evaluated with
    return Preprocess(size=(side, side), resize=(round(side * 256 / 224),) * 2)


def _source_of_input(model: nn.Module, weights: Any, part: DeclaringPart | None) -> tuple[Source, str]:
    """Where the input of a classifier comes from, and why so: weights say what they are fed, modules do not."""
    if weights is not None:
        return "declared", f"the transforms of {weights}"
    kind = type(model).__name__
    if part is not None and not part.name:
        return "declared", f"its own configuration, {part.label}"
    if part is not None:
        return (
            "assumed",
            f"this {kind} does not say it, but its part {part.name} ({part.label}) declares it for itself; {CAN_BE_GIVEN}",
        )
    if type(model).__module__.startswith("torchvision."):
        return (
            "assumed",
            f"a module of torchvision does not say which weights it holds; it is what torchvision's first ImageNet weights are fed; weights, {CAN_BE_GIVEN}",
        )
    return (
        "assumed",
        f"this {kind} does not say what it was trained on; it is what most networks of ImageNet are fed; {CAN_BE_GIVEN}",
    )


def _assume(view: Any, why: str) -> None:
    """Call an assumption what the view says that weights declare which it does not have."""
    named = assumed(view.premises, "class names", f"the model has as many outputs; {NAMES_CAN_BE_GIVEN}")
    view.premises = assumed(named, "input", why, unless=OWN_TRANSFORM)


def _names(count: int, weights: Any, preprocess: Preparation) -> tuple[list[str], tuple[Premise, ...]]:
    from torchvision.models import ResNet18_Weights

    # a network that is fed otherwise is hardly one of ImageNet, whatever the number of its classes
    return names_of(
        count,
        weights,
        {IMAGENET_CLASSES: ("ImageNet-1k", ResNet18_Weights.DEFAULT)}
        if fed_as_imagenet(preprocess.mean, preprocess.std)
        else {},
    )


def _pair(length: Any) -> tuple[int, int]:
    values = [length] if isinstance(length, int) else list(length)
    return size_of(values[0] if len(values) == 1 else values)


def _last_linear(model: nn.Module) -> nn.Module | None:
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    return linears[-1] if linears else None


def _count_of_classes(model: nn.Module) -> int | None:
    """How many logits the model puts out, where its structure says it."""
    from torchvision.models import SqueezeNet

    if not type(model).__module__.startswith("torchvision."):
        return None
    if isinstance(model, SqueezeNet):
        return int(model.classifier[1].out_channels)
    linear = _last_linear(model)
    return None if linear is None else int(linear.out_features)  # type: ignore[arg-type]


def _need_torchvision() -> None:
    try:
        import torchvision  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("torchvision", "models", "reading a torchvision model") from error
