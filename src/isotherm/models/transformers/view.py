"""transformers' vision models as views: which view fits which model.

``wrap`` takes a model (and processor) that the user has, ``load`` the name of a hub repository or a folder.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from isotherm.cam.activation import Activation
from isotherm.cam.capture import original_module
from isotherm.cam.premises import RandomWeights, Source
from isotherm.cam.view import View
from isotherm.errors import AdapterError, OptionError, WeightsError
from isotherm.models.family import takes_options_of
from isotherm.models.shared.dtypes import dtype_of
from isotherm.models.shared.input_options import InputOptions
from isotherm.models.transformers.classify import EmbeddingView, ImageClassifierView, ZeroShotView, tokenise
from isotherm.models.transformers.depth import DepthView
from isotherm.models.transformers.detect import QueryDetectorView, label_names
from isotherm.models.transformers.detect_pages import PAGES, TEXT_MAPS, PageView, TextMapView
from isotherm.models.transformers.detect_text import GROUNDED, OWL, GroundedView, OwlView, prompts
from isotherm.models.transformers.layers import trained_size
from isotherm.models.transformers.load import (
    default_processor,
    need_transformers,
    open_config,
    open_model,
    open_processor,
)
from isotherm.models.transformers.naflex import PatchPreparer, cuts_patches
from isotherm.models.transformers.omdet import FAMILY as OMDET
from isotherm.models.transformers.omdet import OmDetView
from isotherm.models.transformers.other_jobs import AS_ONES_OWN, IN_A_MODULE
from isotherm.models.transformers.pose import PosePreparer, PoseView
from isotherm.models.transformers.prepare import Preparer, image_processor_of
from isotherm.models.transformers.segment import SegmenterView
from isotherm.models.transformers.universal import UniversalView
from isotherm.models.transformers.video import wrap_video
from isotherm.models.transformers.vlm.checks import sees, writes
from isotherm.models.transformers.vlm.open import vlm_view
from isotherm.models.weights.hub import hub_at_once
from isotherm.vlm.view import LanguageView

TEXTS: dict[str, type[GroundedView | OwlView | OmDetView]] = {
    **dict.fromkeys(GROUNDED, GroundedView),
    **dict.fromkeys(OWL, OwlView),
    OMDET: OmDetView,
}
"""Families of detectors whose classes are texts."""
READS = "classifiers of pictures and clips, segmenters, object detectors, models of depth and of keypoints (ViTPose), image-text encoders (CLIP, SigLIP), vision encoders and vision-language models"


def wrap(
    model: Any,
    *,
    processor: Any = None,
    names: Sequence[str] | None = None,
    size: int | Sequence[int] | None = None,
    classes: str | Sequence[str] | None = None,
    confidence: float | None = None,
    frames: int | None = None,
    person: tuple[float, float, float, float] | None = None,
    activation: Activation | None = None,
) -> View | LanguageView:
    """A view of a transformers vision model.

    Args:
        model: eager, compiled or data-parallel; on any device, in any floating-point type. Nothing in it changes.
        processor: what ``AutoProcessor`` or ``AutoImageProcessor`` gives for it. Without: the family's default, at
            the size that the model was made for; the view's name says so.
        names: class names by label number, in place of the configuration's.
        size: of the input, one side or (h, w), in place of the processor's;
            see :func:`isotherm.models.transformers.prepare.resized_settings`.
        classes: in words, of Grounding DINO, OWL-ViT, OWLv2 and OmDet-Turbo (needed), and of CLIP and SigLIP (without:
            the image embedding is explained). A list, or one string with full stops between.
        confidence: least confidence of a detector's findings; the processor's own default unless given.
        frames: how many frames of a clip a video classifier is fed, see
            :func:`isotherm.models.transformers.video.wrap_video`.
        person: x0, y0, x1, y1 in pixels of each picture, the box that a model of keypoints looks at, which adds a
            quarter; the whole picture unless given.
        activation: of classifiers, what makes a class's probability of its logit, ``softmax`` or ``sigmoid``; what the
            configuration's ``problem_type`` says unless given.

    Raises:
        AdapterError: a model of another job, or whose processor cannot be followed.
    """
    need_transformers()
    model = original_module(model)
    config, kind = model.config, type(model).__name__
    family = str(config.model_type)
    about_classes = InputOptions(activation=activation)
    if "Classification" not in kind:
        about_classes.refuse_activation(kind)
    about_classes.trained(len(names if names is not None else label_names(config)))
    if kind.endswith("ForVideoClassification"):
        _refuse_of_video(kind, classes=classes, confidence=confidence)
        own = _named(names, label_names(config), kind)
        clips = wrap_video(model, processor=processor, names=own, size=size, frames=frames)
        clips.activation = activation
        return clips
    if frames is not None:
        raise OptionError(f"frames is for video classifiers, and {kind} is none; leave it out")
    if kind.endswith("ForConditionalGeneration") or writes(model):
        return _language(model, processor, {"names": names, "size": size, "classes": classes, "confidence": confidence})
    label, by_user = f"{kind} (transformers", size is not None
    source: Source = "declared"
    why = ""
    if processor is None:
        source, why = (
            "assumed",
            f"no processor came with it, so it is the default of {family} models, at the size that its configuration names; a processor can be given",
        )
        processor = default_processor(config)
        label += f", default {type(processor).__name__}"
        size = size if size is not None or ("Detection" in kind and family not in OWL) else trained_size(config)
    label += ")"
    how: dict[str, Any] = {"size": size, "by_user": by_user, "source": source, "why": why}
    if kind.endswith("ForPoseEstimation"):
        preparer: Preparer = PosePreparer(image_processor_of(processor), person=person, **how)
    elif person is not None:
        raise OptionError(f"person is for models of keypoints, but {kind} is none; leave it out")
    else:
        kind_of_preparer = PatchPreparer if cuts_patches(image_processor_of(processor)) else Preparer
        preparer = kind_of_preparer(image_processor_of(processor), **how)
    paired = hasattr(model, "get_image_features") and hasattr(model, "get_text_features")
    if classes is not None and not paired and family not in TEXTS:
        raise OptionError(f"{kind} has learned its classes and takes no others; leave classes out")
    if confidence is not None and not (
        _finds_boxes(kind, family, processor) or kind.endswith(("ForUniversalSegmentation", "ForInstanceSegmentation"))
    ):
        raise OptionError(f"confidence is for detectors, but {kind} is none; leave it out")
    if family in TEXT_MAPS:
        return TextMapView(model, name=label, names=_named(names, label_names(config), kind), preparer=preparer)
    if _finds_boxes(kind, family, processor):
        if family in TEXTS:
            texts = prompts(classes, kind)
            view = TEXTS[family]
            if getattr(processor, "tokenizer", None) is None:
                raise AdapterError(
                    f"{kind} reads texts, but the processor has no tokeniser; pass processor=AutoProcessor.from_pretrained(...) of this model"
                )
            return view(model, name=label, texts=texts, preparer=preparer, processor=processor, confidence=confidence)
        own = label_names(config, _columns(model))
        reads = PageView if family in PAGES else QueryDetectorView
        return reads(
            model,
            name=label,
            names=_named(names, own, kind),
            preparer=preparer,
            processor=image_processor_of(processor),
            confidence=confidence,
        )
    if kind.endswith(("ForUniversalSegmentation", "ForInstanceSegmentation")):
        if not hasattr(image_processor_of(processor), "post_process_panoptic_segmentation"):
            raise AdapterError(
                f"{type(image_processor_of(processor)).__name__} has no post_process_panoptic_segmentation, so the segments of {kind} are not known; give the segmenter's own processor"
            )
        return UniversalView(
            model,
            name=label,
            names=_named(names, label_names(config), kind),
            preparer=preparer,
            processor=processor,
            confidence=confidence,
        )
    if kind.endswith("ForPoseEstimation"):
        return PoseView(model, name=label, names=_named(names, label_names(config), kind), preparer=preparer)
    if kind.endswith("ForDepthEstimation"):
        return DepthView(model, name=label, names=names or ("depth",), preparer=preparer)
    if kind.endswith("ForSemanticSegmentation"):
        return SegmenterView(model, name=label, names=_named(names, label_names(config), kind), preparer=preparer)
    if "ForImageClassification" in kind:
        own = _named(names, label_names(config), kind)
        classifier = ImageClassifierView(model, name=label, names=own, preparer=preparer)
        classifier.activation = activation
        return classifier
    if paired and classes is not None:
        texts = prompts(classes, kind)
        return ZeroShotView(
            model,
            name=label,
            names=_named(names, texts, kind),
            preparer=preparer,
            tokens=tokenise(processor, texts, family),
        )
    if paired or (kind.endswith("Model") and model.main_input_name == "pixel_values"):
        return EmbeddingView(model, name=label, names=names or (), preparer=preparer)
    what = f"{kind} is a model of another job; of transformers isotherm reads {READS}"
    raise AdapterError(f"{what}; {AS_ONES_OWN}", command_line=f"{what}; {IN_A_MODULE}")


@takes_options_of(wrap, but=("processor",))
def load(
    name: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] = "auto",
    seed: int = 0,
    device: str | torch.device = "cpu",
    allow_code: Any = None,
    dtype: str = "float32",
    **options: Any,
) -> View | LanguageView:
    """A view of a model by hub name (``facebook/detr-resnet-50``) or folder written by ``save_pretrained``.

    Weights are read from safetensors where there are any, else with ``weights_only``. Code from the hub is never run,
    and a ``config.json`` is checked before anything is built from it, see :mod:`isotherm.models.weights.configs`.

    Args:
        name: hub name or folder; a folder needs no network.
        weights: "auto" for the model's own; "none" leaves seeded random ones; or a file or folder with others.
        seed: of random weights.
        device: where the model goes.
        allow_code: a weights file that may run code while it is opened, or a ``config.json`` that may hand arguments
            on.
        dtype: float32, whatever the weights were saved in, bfloat16 or float16.
        options: names, size, classes, confidence, frames, person, as in :func:`wrap`.

    Raises:
        WeightsError: nothing there, no network, broken or incomplete weights.
        AdapterError: not a model that isotherm or this transformers reads.
    """
    need_transformers()
    name = os.fspath(name)
    with nullcontext(None) if Path(name).is_dir() else hub_at_once() as cut_off:
        try:
            config = open_config(name, allow_code=allow_code)
            how: dict[str, Any] = {"weights": weights, "seed": seed, "allow_code": allow_code, "dtype": dtype_of(dtype)}
            model = open_model(name, config, **how).to(device)
            processor = open_processor(name)
        except WeightsError as error:
            if cut_off is None:
                raise
            raise WeightsError(
                f"{name} is not here, neither as a folder nor in the cache, and {cut_off}; check the name and the network, or give a folder "
                "written by save_pretrained"
            ) from error
    view = wrap(model, processor=processor, **options)
    if weights == "none":
        view.random_weights = RandomWeights.of(view.model, seed)  # type: ignore[union-attr]
    view.name = f"{name}: {view.name}" + (" with random weights" if weights == "none" else "")
    return view


def _language(model: Any, processor: Any, options: dict[str, Any]) -> LanguageView:
    """A model that answers in words about pictures."""
    if not sees(model):
        raise AdapterError(f"{type(model).__name__} sees no pictures; of transformers isotherm reads {READS}")
    unfit = [name for name, value in options.items() if value is not None]
    if unfit:
        raise OptionError(f"{type(model).__name__} answers questions and takes no {', '.join(unfit)}; give a prompt")
    if getattr(processor, "tokenizer", None) is None:
        raise AdapterError(
            f"{type(model).__name__} reads words, but there is no processor with a tokeniser; pass processor=AutoProcessor.from_pretrained(...) of this model"
        )
    return vlm_view(model, processor)


def _refuse_of_video(kind: str, **options: Any) -> None:
    unfit = [name for name, value in options.items() if value is not None]
    if unfit:
        raise OptionError(f"{kind} has learned its classes and takes no {' or '.join(unfit)}; leave it out")


def _finds_boxes(kind: str, family: str, processor: Any) -> bool:
    """Whether a class of models is a detector, with masks or without."""
    if family in TEXT_MAPS:
        return False
    if kind.endswith("ForInstanceSegmentation"):
        return not hasattr(image_processor_of(processor), "post_process_panoptic_segmentation")
    return kind.endswith(("ForObjectDetection", "ForSegmentation"))


def _columns(model: Any) -> int | None:
    """How many logits a query has, by the last linear layer of the classifier."""
    tops = ("class_labels_classifier", "class_embed", "model.decoder.class_embed", "detr.class_labels_classifier")
    for top in tops:
        try:
            module = model.get_submodule(top)
        except AttributeError:
            continue
        linears = [m for m in module.modules() if isinstance(m, torch.nn.Linear)]
        if linears:
            return int(linears[-1].out_features)
    return None


def _named(names: Sequence[str] | None, own: Sequence[str], kind: str) -> list[str]:
    if names is None:
        return list(own)
    if len(names) == len(own) - 1 and own[-1] == "no object":
        return [*names, own[-1]]
    if len(names) != len(own):
        raise OptionError(
            f"{len(names)} class names were given for the {len(own)} classes of this {kind}; give one per class"
        )
    return list(names)
