"""Ultralytics models as views: YOLOv8, 11, 12, 26 (detect, segment, pose, obb, classify), YOLOE, RT-DETR.

The package's ``predict`` runs in inference mode on a fused, frozen copy, and returns findings without a graph. Here
the module itself is run, and what predict would report is read from its raw output with the graph attached: same
pixels in, same findings out, in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from isotherm.cam.locality import Refused
from isotherm.cam.patches import PatchPlan
from isotherm.cam.premises import Premise, RandomWeights
from isotherm.cam.trace import Targets
from isotherm.cam.view import Classification, Detections, Inputs, LayerChoice, Layout, Pins, Prediction
from isotherm.errors import AdapterError, LayerError, OptionError
from isotherm.frame import Size
from isotherm.models.family import takes_options_of
from isotherm.models.ultralytics.findings import Thresholds, find_anchors, find_queries, refind_anchors, refind_queries
from isotherm.models.ultralytics.head import (
    AnchorOutput,
    ClassifyOutput,
    QueryOutput,
    head_of,
    run_anchors,
    run_classify,
    run_queries,
)
from isotherm.models.ultralytics.input import input_size, letterbox, middle, stretch
from isotherm.models.ultralytics.models import (
    check_count,
    chosen_branch,
    class_names,
    class_number,
    inner_model,
    is_description,
    kind_of,
    open_model,
    task_of,
    variant,
)
from isotherm.models.ultralytics.patches import plan_patches
from isotherm.models.ultralytics.prompts import (
    EmbeddingPrompt,
    Prompt,
    TextPrompt,
    VisualPrompt,
    check_promptable,
    is_promptable,
    resolve_prompt,
    visual_embeddings,
)

__all__ = ["EmbeddingPrompt", "TextPrompt", "UltralyticsView", "VisualPrompt", "load", "wrap"]

AnyPicture = UInt8[np.ndarray, "_ _ 3"]
"""A picture of a batch whose pictures may differ in size."""
STRIDE = 32
"""Coarsest stride that predict rounds inputs to, whatever the model's own."""


@dataclass(frozen=True, eq=False)
class UltralyticsView:
    """Fulfils :class:`isotherm.cam.view.View` for one ultralytics model; made by :func:`wrap` or :func:`load`.

    Args:
        model: the package's model (what ``YOLO(...).model`` is); layers are named as in it, ``model.16``.
        kind: ``anchors``, ``queries`` (RT-DETR) or ``classify``.
        size: (h, w) asked for.
        thresholds: what counts as a finding.
        end_to_end: read the one-to-one branch.
        embeddings: (1, k, d) class embeddings of a YOLOE.
        visual: a prompt that is drawn on each picture.
        premises: what is taken for granted of its input.
        random_weights: set where isotherm made the weights.
    """

    model: nn.Module
    name: str
    names: Sequence[str]
    kind: str
    size: Size
    stride: int
    thresholds: Thresholds
    end_to_end: bool = False
    embeddings: Float[Tensor, "1 k d"] | None = None
    visual: VisualPrompt | None = None
    default_method: str = "hirescam"
    premises: tuple[Premise, ...] = ()
    random_weights: RandomWeights | None = None

    def prepare(self, pictures: Sequence[AnyPicture]) -> Inputs:
        """Pictures as predict feeds them: letterboxed, stretched (RT-DETR) or cropped (classify)."""
        like = next(self.model.parameters())
        if self.kind == "classify":
            return middle(pictures, self.size, transforms=getattr(self.model, "transforms", None), like=like)
        if self.kind == "queries":
            return stretch(pictures, self.size, stride=self.stride, like=like)
        inputs = letterbox(pictures, self.size, stride=self.stride, like=like)
        if self.visual is None:
            return inputs
        return replace(inputs, extra={"prompt": visual_embeddings(self.model, inputs, self.visual)})

    def shown(self, picture: AnyPicture, like: Mapping[str, Sequence[Sequence[float]]]) -> UltralyticsView:
        """This view of the same module, looking for what boxes on a picture show.

        Args:
            like: (x0, y0, x1, y1) in pixels of the picture, by the names of what they show.

        Raises:
            AdapterError: the model takes no prompts.
        """
        prompt = VisualPrompt.of(like)
        check_promptable(self.model, tuple(self.names))
        inputs = replace(self, visual=None).prepare([picture])
        return replace(
            self, names=prompt.class_names(), embeddings=visual_embeddings(self.model, inputs, prompt), visual=None
        )

    def with_confidence(self, confidence: float) -> UltralyticsView | None:
        """This view of the same module with another least confidence; None of a classifier."""
        if self.kind == "classify":
            return None
        return replace(self, thresholds=replace(self.thresholds, confidence=confidence))

    def run(self, inputs: Inputs) -> AnchorOutput | QueryOutput | ClassifyOutput:
        """The forward pass, in whatever grad mode is on; the head's state is put back afterwards."""
        if self.kind == "classify":
            return run_classify(self.model, inputs.tensor)
        if self.kind == "queries":
            return run_queries(self.model, inputs.tensor)
        return run_anchors(self.model, inputs.tensor, end_to_end=self.end_to_end, prompt=self._prompt(inputs))

    def find(self, raw: AnchorOutput | QueryOutput | ClassifyOutput, inputs: Inputs) -> Prediction:
        """What predict reports, in its order."""
        if isinstance(raw, ClassifyOutput):
            # their classifiers are trained by cross-entropy, and predict reports the softmax
            return Classification(
                raw.logits.float(), self.names, None if raw.embedding is None else raw.embedding, exclusive=True
            )
        if isinstance(raw, QueryOutput):
            return find_queries(raw, inputs, self.thresholds, self.names)
        return find_anchors(raw, head_of(self.model), inputs, self.thresholds, self.names)

    def refind(self, raw: AnchorOutput | QueryOutput | ClassifyOutput, inputs: Inputs, pins: Pins) -> Prediction:
        """The pinned anchors again; of RT-DETR the query of best IoU x class probability; of classifiers
        :meth:`find`.
        """
        if isinstance(raw, ClassifyOutput):
            return self.find(raw, inputs)
        if isinstance(raw, QueryOutput):
            return refind_queries(raw, inputs, pins, self.names)
        return refind_anchors(raw, head_of(self.model), inputs, pins, self.names)

    def auto_layers(self) -> LayerChoice:
        """The layers that the head reads."""
        head = head_of(self.model)
        layers = self.head_inputs
        if self.kind == "classify":
            return LayerChoice(
                layers, f"{layers[0]} is the last feature map, which the {type(head).__name__} head pools"
            )
        what = f"the {len(layers)} levels that the {type(head).__name__} head (model.{head.i}) reads, fine to coarse"
        return LayerChoice(layers, f"{', '.join(layers)} are {what}: every finding is computed from them")

    @property
    def head_inputs(self) -> tuple[str, ...]:
        """Names of the layers whose outputs the head reads, in the head's order."""
        head = head_of(self.model)
        sources = [head.f] if isinstance(head.f, int) else list(head.f)
        return tuple(f"model.{head.i + f if f < 0 else f}" for f in sources)

    def layout(self, layer: str, output: Tensor, inputs: Inputs) -> Layout:
        """Feature maps, (b, c, h, w); those that findings come from over the whole input, as the anchors lie."""
        if output.ndim != 4:
            raise LayerError(
                f"layer {layer} puts out {tuple(output.shape)}, which has no cells over the picture; choose a feature map, such as {self.head_inputs[0]}"
            )
        return Layout(spans=self.kind != "classify")

    @property
    def constants(self) -> tuple[str, ...]:
        """Modules whose weights are no result of training: the integral over a box side's distribution (DFL), whose
        weights are 0 to 15.

        Randomising them would ask about another way of reading boxes, not about other weights.
        """
        return tuple(name for name, module in self.model.named_modules() if type(module).__name__ == "DFL")

    def patch_plan(self, raw: Any, findings: Prediction, targets: Targets) -> PatchPlan | Refused:
        """How :mod:`isotherm.cam.patches` explains targets of ``findings`` in one small pass, or why it cannot."""
        if not isinstance(raw, AnchorOutput) or not isinstance(findings, Detections):
            what = (
                "queries of RT-DETR look at the whole picture"
                if isinstance(raw, QueryOutput)
                else "a classifier pools the whole picture"
            )
            return Refused(f"{what}, so no score is local")
        return plan_patches(self.model, raw, findings, targets, self.head_inputs)

    def _prompt(self, inputs: Inputs) -> Tensor | None:
        return inputs.extra.get("prompt", self.embeddings)


def wrap(
    model: Any,
    *,
    names: Sequence[str] | Mapping[int, str] | None = None,
    classes: Sequence[str] | str | None = None,
    class_prompt: Prompt | None = None,
    like: Mapping[str, Sequence[Sequence[float]]] | None = None,
    size: int | Sequence[int] | None = None,
    confidence: float = 0.25,
    iou: float = 0.7,
    max_detections: int = 300,
    agnostic: bool | None = None,
    end_to_end: bool | None = None,
) -> UltralyticsView:
    """A view of a YOLO, YOLOE or RT-DETR object of the package, or of its inner module.

    Args:
        model: ``YOLO(...)``, its ``.model``, or the model in its predictor. It is not changed. Predict runs a fused
            copy, whose scores differ from the unfused module's by about 1e-3; to get predict's very numbers, call
            ``model.fuse()`` before, or give ``yolo.predictor.model`` after a predict.
        names: class names instead of the model's own.
        classes: of a YOLOE, what to look for, in words; of other detectors, which of their classes to report.
        class_prompt: what a YOLOE looks for, as :class:`TextPrompt`, :class:`EmbeddingPrompt` or :class:`VisualPrompt`.
        like: what a YOLOE looks for, shown by boxes (x0, y0, x1, y1) on every picture that is explained, by their
            names.
        size: side or (h, w) of the input, multiples of 32; 640 if None, 224 for classifiers.
        confidence, iou, max_detections: predict's ``conf``, ``iou`` and ``max_det``.
        agnostic: boxes of different classes suppress one another; predict's default, True for YOLOE, if None.
        end_to_end: read the one-to-one branch without suppression (YOLO26, YOLOv10); the model's own setting if None.

    Raises:
        AdapterError: not a model of this kind, or one that lacks a prompt.
        OptionError: a value out of range.

    Example:
        >>> from isotherm.models.ultralytics import view as ultralytics
        >>> view = ultralytics.load("yolo11n.yaml", size=320, seed=0)
        >>> view.auto_layers().layers
        ('model.16', 'model.19', 'model.22')
    """
    inner = inner_model(model)
    head = head_of(inner)
    kind = kind_of(inner, head)
    if not 0 <= confidence <= 1 or not 0 <= iou <= 1 or max_detections < 1:
        raise OptionError(
            f"confidence {confidence} and iou {iou} must be from 0 to 1, max_detections {max_detections} at least 1"
        )
    stride = STRIDE if kind != "anchors" else max(int(head.stride.max()), STRIDE)
    shape = input_size(size or (224 if kind == "classify" else 640), 1 if kind == "classify" else stride)
    named = class_names(inner, names)
    words = (
        tuple(c.strip() for c in classes.split(","))
        if isinstance(classes, str)
        else None
        if classes is None
        else tuple(classes)
    )
    if like is not None:
        if words is not None or class_prompt is not None:
            raise OptionError("like, classes and class_prompt all say what to look for; give one of them")
        class_prompt = VisualPrompt.of(like)
    only = None
    if words is not None:
        if is_promptable(inner) and not head.is_fused:
            if class_prompt is not None:
                raise OptionError("both classes and class_prompt say what to look for; give one of them")
            class_prompt = TextPrompt(words)
        elif kind == "classify":
            raise OptionError(
                "a classifier weighs all of its classes against one another; choose the one to explain with ClassLogit instead of classes"
            )
        else:
            only = tuple(class_number(w, named) for w in words)
    embeddings = None
    if kind == "anchors":
        embeddings, named = resolve_prompt(inner, class_prompt, named, size=shape, stride=stride)
        if names is not None:
            named = class_names(inner, names)
    elif class_prompt is not None:
        raise AdapterError(f"a {type(head).__name__} takes no prompts; use a YOLOE, such as yoloe-11s-seg.pt")
    check_count(inner, named, embeddings, class_prompt)
    promptable = hasattr(head, "reprta") or hasattr(head, "savpe")
    return UltralyticsView(
        model=inner,
        name=f"{variant(inner)} ({task_of(inner, head)})",
        names=named,
        kind=kind,
        size=shape,
        stride=stride,
        thresholds=Thresholds(confidence, iou, max_detections, promptable if agnostic is None else agnostic, only),
        end_to_end=chosen_branch(head, end_to_end),
        embeddings=embeddings,
        visual=class_prompt if isinstance(class_prompt, VisualPrompt) and class_prompt.picture is None else None,
        premises=_premises(inner, kind, shape, by_user=size is not None),
    )


@takes_options_of(wrap)
def load(
    name: str | os.PathLike[str],
    *,
    weights: str = "auto",
    allow_code: str | os.PathLike[str] | None = None,
    seed: int = 0,
    fuse_batchnorm: bool = True,
    device: str | torch.device | None = None,
    **options: Any,
) -> UltralyticsView:
    """A view of a model by name or file.

    Args:
        name: ``yolo11n.pt`` (a file, or a released model that the package downloads) or ``yolo11n.yaml`` (the
            architecture with random weights).
        weights: "auto" for those in the file; "none" leaves the architecture's seeded random ones.
        allow_code: a file that may be unpickled in full; others are opened in safe mode.
        seed: of random weights.
        fuse_batchnorm: merge convolutions with their batch norms, as predict does.
        device: where to put the model.
        options: those of :func:`wrap`.

    Raises:
        MissingExtraError: the package is not installed.
        WeightsError: the file cannot be opened safely.
    """
    file = _architecture(name, weights)
    yolo = open_model(file, allow_code, seed)
    model = inner_model(yolo)
    if device is not None:
        model.to(device)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    model.eval()
    end_to_end = options.get("end_to_end")
    if end_to_end is not None and hasattr(head_of(model), "end2end"):
        chosen_branch(head_of(model), end_to_end)
        head_of(model).end2end = end_to_end  # before fusing, which removes the other branch
    if fuse_batchnorm and hasattr(model, "fuse"):
        model.fuse(verbose=False)
    view = wrap(model, **options)
    if is_description(file):
        return replace(view, name=f"{view.name}, random weights", random_weights=RandomWeights.of(model, seed))
    return view


def _premises(model: Any, kind: str, size: Size, *, by_user: bool) -> tuple[Premise, ...]:
    """What the model is fed: as predict does; the size that it was trained at is in its file, where predict reads it
    too.
    """
    own = getattr(model, "args", None)
    trained = own.get("imgsz") if isinstance(own, Mapping) else getattr(own, "imgsz", None)
    how = {"anchors": "letterboxed", "queries": "stretched", "classify": "cut in the centre"}[kind]
    pixels = f"{size[0]} x {size[1]} pixels"
    rest = Premise(
        about="input",
        value=f"{how}, pixels from 0 to 1" if kind != "classify" else how,
        source="declared",
        why="ultralytics' predict",
    )
    if by_user:
        return Premise(about="input", value=pixels, source="given"), rest
    if trained is not None and trained not in (size[0], [*size]):
        return Premise(
            about="input", value=pixels, source="default", why=f"it was trained at {trained}; size can be given"
        ), rest
    return (replace(rest, value=f"{pixels}, {rest.value}"),)


def _architecture(name: str | os.PathLike[str], weights: str) -> str:
    """What to open: the file or released model itself, or the description of its architecture."""
    if weights == "auto":
        return os.fspath(name)
    if weights == "none":
        return Path(name).with_suffix(".yaml").name if Path(name).suffix == ".pt" else os.fspath(name)
    raise OptionError(
        f"weights is {weights!r}: a model of ultralytics is one file with its weights; name that file as the model ('none' leaves random weights)"
    )
