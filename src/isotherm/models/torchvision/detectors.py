"""torchvision's detectors as views: what two-stage and anchor-based ones have in common.

A detector's own ``model([picture])`` answers in source pixels and gives no way back from a finding to the
candidate it came from. Here its parts run one after the other on the tensor that its own transform makes; the
selection (threshold, top k, non-maximum suppression) is repeated with torchvision's own functions on the same
numbers, so the findings are the model's own to the bit, each with its candidate's logits and graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.cam.capture import evaluating
from isotherm.cam.premises import Premise, RandomWeights
from isotherm.cam.view import Detections, Inputs, LayerChoice, Layout
from isotherm.errors import AdapterError, InputError
from isotherm.frame import Frame
from isotherm.models.shared.classifier import where_it_lives
from isotherm.models.shared.grids import layout_of
from isotherm.models.shared.preprocess import Pictures, check_picture
from isotherm.relevance.modules import resolve


class DetectorView:
    """What all of torchvision's detectors share: preparing pictures, the layers that the head reads, layouts.

    Args:
        model: the detector.
        name: one line for people.
        names: class names by the model's own label numbers.
        transform: the model's own, or a copy of it with another size.
        confidence: least confidence of a finding, on top of the model's own threshold.
    """

    default_method = "hirescam"
    premises: tuple[Premise, ...] = ()
    random_weights: RandomWeights | None = None

    def __init__(
        self, model: Any, *, name: str, names: Sequence[str], transform: Any, confidence: float | None = None
    ) -> None:
        self.model = model
        self.name = name
        self.names: Sequence[str] = tuple(names)
        self.transform = transform
        self.confidence = confidence

    def prepare(self, pictures: Pictures) -> Inputs:
        """Pictures of any sizes -> one batch by the model's own transform: scaled, padded right and below.

        ``extra["image_sizes"]`` holds the (h, w) of each picture inside of its padded input.
        """
        if not len(pictures):
            raise InputError("there are no pictures to prepare: the list is empty")
        device, dtype = where_it_lives(self.model)
        images = []
        for picture in pictures:
            check_picture(picture)
            pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1).to(device)
            images.append((pixels.to(torch.float32) / 255).to(dtype))
        with evaluating(self.transform):  # in training mode it would draw its size at random
            batch, _ = self.transform(images)
        height, width = batch.tensors.shape[-2:]
        frames = [
            Frame.identity(picture.shape[:2]).resized(inner).padded(0, 0, width - inner[1], height - inner[0])
            for picture, inner in zip(pictures, batch.image_sizes, strict=True)
        ]
        sizes = torch.tensor([list(s) for s in batch.image_sizes], device=device)
        # the transform pads with 0 after normalisation, the mean colour
        blank = torch.zeros(batch.tensors.shape[1], device=device, dtype=dtype)
        return Inputs(batch.tensors, Frame.stack(frames), {"image_sizes": sizes}, blank)

    def layout(self, layer: str, output: Tensor, inputs: Inputs) -> Layout:
        """How a layer's output lies over the input; refuses what it cannot place.

        What the head reads lies where its anchors do: SSD's half a cell in, the pyramids' at multiples of the stride,
        where ROIAlign reads them as well.
        """
        from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator

        (ref,) = resolve(self.model, layer)
        layout = layout_of(ref.name, ref.module, output, inputs)
        anchors = self.model.rpn.anchor_generator if hasattr(self.model, "rpn") else self.model.anchor_generator
        if isinstance(anchors, DefaultBoxGenerator):
            return replace(layout, spans=True)
        if isinstance(anchors, AnchorGenerator) and ref.name.startswith("backbone.fpn."):
            (h, w), (rows, columns) = inputs.tensor.shape[-2:], output.shape[-2:]
            return replace(layout, stride=(h // rows, w // columns), first=(0.0, 0.0))
        return layout

    def _sure(self, findings: Detections) -> Detections:
        """The findings that are confident enough; suppression never lets a weaker one remove a stronger, so the rest is
        the same.
        """
        if self.confidence is None:
            return findings
        return findings.take(torch.where(findings.confidence >= self.confidence)[0])

    def _features(self, inputs: Inputs) -> dict[str, Tensor]:
        features = self.model.backbone(inputs.tensor)
        return {"0": features} if isinstance(features, Tensor) else features

    def _image_list(self, inputs: Inputs) -> Any:
        from torchvision.models.detection.image_list import ImageList

        return ImageList(inputs.tensor, image_sizes(inputs))

    def auto_layers(self) -> LayerChoice:
        """The layers that put out the very features that the head reads, all levels of them."""
        from torchvision.models.detection.backbone_utils import BackboneWithFPN
        from torchvision.models.detection.ssd import SSDFeatureExtractorVGG
        from torchvision.models.detection.ssdlite import SSDLiteFeatureExtractorMobileNet

        backbone = self.model.backbone
        if isinstance(backbone, BackboneWithFPN):
            levels = [f"backbone.fpn.layer_blocks.{i}" for i in range(len(backbone.fpn.layer_blocks))]
            # P6 and P7 are convolutions; the pooled level of R-CNNs only proposes boxes, without gradient to a finding
            levels += [f"backbone.fpn.extra_blocks.{name}" for name, _ in backbone.fpn.extra_blocks.named_children()]
            what = "all levels of the feature pyramid that the head reads"
        elif isinstance(backbone, SSDFeatureExtractorVGG | SSDLiteFeatureExtractorMobileNet):
            # the mobile one puts out each of its two stacks, the other its one stack (rescaled)
            mobile = isinstance(backbone, SSDLiteFeatureExtractorMobileNet)
            levels = (
                [f"backbone.features.{i}" for i in range(len(backbone.features))] if mobile else ["backbone.features"]
            )
            levels += [f"backbone.extra.{i}" for i in range(len(backbone.extra))]
            what = "all feature maps that the head reads"
        else:
            return self._single_backbone()
        return LayerChoice(
            tuple(levels),
            f"{what}; a finding has gradient on the level of its size (and on those computed from it), the others add nothing",
        )

    def _single_backbone(self) -> LayerChoice:
        return LayerChoice(("backbone",), "the backbone's output: the features that the head reads")


def image_sizes(inputs: Inputs) -> list[tuple[int, int]]:
    """(h, w) of each picture inside of its padded input."""
    return [(int(h), int(w)) for h, w in inputs.extra["image_sizes"].tolist()]


def own_method(model: Any, method: str, owner: type) -> None:
    """Raises AdapterError where a subclass replaced a step that is repeated here: its findings could differ
    silently.
    """
    if getattr(type(model), method) is not getattr(owner, method):
        raise AdapterError(
            f"{type(model).__name__} replaces torchvision's {method}, so its findings cannot be traced to their candidates; "
            f"use torchvision's {owner.__name__}, or write a view for your model (isotherm.cam.view)"
        )


def batch_rows(counts: Sequence[int], device: torch.device) -> Int[Tensor, " n"]:
    """Row of the batch of each of ``counts[i]`` findings of picture i."""
    return torch.repeat_interleave(torch.arange(len(counts), device=device), torch.tensor(counts, device=device))


def suppress(
    boxes: Float[Tensor, "n 4"], scores: Float[Tensor, " n"], groups: Int[Tensor, " n"], threshold: float
) -> Int[Tensor, " m"]:
    """torchvision's non-maximum suppression within groups; in float32 where its kernel lacks the type."""
    from torchvision.ops import batched_nms

    lacking = boxes.dtype == torch.bfloat16 or (boxes.dtype == torch.float16 and boxes.device.type == "cpu")
    boxes, scores = boxes.detach(), scores.detach()
    return batched_nms(boxes.float() if lacking else boxes, scores.float() if lacking else scores, groups, threshold)


def clip_one_each(boxes: Float[Tensor, "n 4"], sizes: Sequence[tuple[int, int]]) -> Float[Tensor, "n 4"]:
    """Boxes, one per picture, cut to the (h, w) of their pictures."""
    limits = torch.tensor([[w, h, w, h] for h, w in sizes], device=boxes.device).to(boxes)
    return torch.minimum(boxes.clamp_min(0), limits)
