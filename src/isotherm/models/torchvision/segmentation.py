"""torchvision's semantic segmenters (DeepLabV3, FCN, LR-ASPP) as views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from isotherm.cam.premises import Premise, RandomWeights
from isotherm.cam.view import Inputs, LayerChoice, Layout, Pins, Segmentation
from isotherm.models.shared.classifier import where_it_lives
from isotherm.models.shared.grids import layout_of
from isotherm.models.shared.input_options import InputOptions
from isotherm.models.shared.own_transform import Preparation
from isotherm.models.shared.preprocess import CAN_BE_GIVEN, Pictures, Preprocess
from isotherm.models.torchvision.premises import names_of
from isotherm.relevance.modules import resolve

SHORTER_SIDE = 520
"""What torchvision's segmentation weights are evaluated at (references/segmentation)."""


class SegmenterView:
    """Fulfils :class:`isotherm.cam.view.View` for torchvision's segmenters."""

    default_method = "gradcam"
    eats_tensors = True
    random_weights: RandomWeights | None = None

    def __init__(
        self, model: Any, *, name: str, names: Sequence[str], preprocess: Preparation, premises: Sequence[Premise] = ()
    ) -> None:
        self.model = model
        self.premises = tuple(premises)
        self.name = name
        self.names: Sequence[str] = tuple(names)
        self.preprocess = preprocess

    def prepare(self, pictures: Pictures) -> Inputs:
        """Pictures of any sizes -> one batch; of different shapes the smaller are padded with the mean colour."""
        device, dtype = where_it_lives(self.model)
        return self.preprocess.batch(pictures, device=device, dtype=dtype)

    def run(self, inputs: Inputs) -> Float[Tensor, "b k h w"]:
        """The forward pass: (b, k, h, w) logits over the whole input."""
        return self.model(inputs.tensor)["out"]

    def find(self, raw: Float[Tensor, "b k h w"], inputs: Inputs) -> Segmentation:
        """The logits with their names."""
        return Segmentation(raw, self.names)

    def refind(self, raw: Float[Tensor, "b k h w"], inputs: Inputs, pins: Pins) -> Segmentation:
        """The same as :meth:`find`: a segmenter's answers cannot be reordered."""
        return self.find(raw, inputs)

    def auto_layers(self) -> LayerChoice:
        """The end of the backbone."""
        last = list(dict(self.model.backbone.named_children()))[-1]
        return LayerChoice(
            (f"backbone.{last}",),
            "the end of the backbone: behind it the decoder's last layers look at each pixel by itself, "
            "so a map of them would only repeat the mask (Vinogradova et al., Seg-Grad-CAM, 2020)",
        )

    def layout(self, layer: str, output: Tensor, inputs: Inputs) -> Layout:
        """How a layer's output lies over the input; refuses what it cannot place."""
        (ref,) = resolve(self.model, layer)
        return replace(
            layout_of(ref.name, ref.module, output, inputs), spans=True
        )  # the model stretches its answer over the input


def wrap_segmenter(model: nn.Module, options: InputOptions, *, weights: Any) -> SegmenterView:
    """The view of a segmenter; the arguments are those of :func:`isotherm.models.torchvision.view.wrap`.

    ``size`` as one number is the shorter side of the input; ``geometry`` is "shorter" unless given.
    """
    from torchvision.models.segmentation import FCN_ResNet50_Weights

    side, interpolation = SHORTER_SIDE, "bilinear"
    declared_way = Preprocess(size=(side, side), geometry="shorter")
    if weights is not None:
        preset = weights.transforms()
        side, interpolation = int(preset.resize_size[0]), preset.interpolation.value
        declared_way = replace(
            declared_way, size=(side, side), interpolation=interpolation, mean=tuple(preset.mean), std=tuple(preset.std)
        )
    preprocess = options.preprocess(declared_way)
    count = _count(model)
    options.check_names(count, what=f"classes of this {type(model).__name__}", one="class")
    voc = FCN_ResNet50_Weights.DEFAULT
    declared = weights is not None
    premises = options.premises(
        preprocess,
        source="declared" if declared else "assumed",
        why=f"the transforms of {weights}"
        if declared
        else f"a module of torchvision does not say which weights it holds; it is what torchvision's are fed; {CAN_BE_GIVEN}",
    )
    names = options.names
    if names is None:
        names, whose = names_of(count, weights, {len(voc.meta["categories"]): ("VOC", voc)})
        premises += whose
    return SegmenterView(
        model, name=f"{type(model).__name__} (torchvision)", names=names or (), preprocess=preprocess, premises=premises
    )


def _count(model: Any) -> int:
    convolutions = [m for m in model.classifier.modules() if isinstance(m, nn.Conv2d)]
    return int(convolutions[-1].out_channels)
