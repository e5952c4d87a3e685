"""torchvision's video classifiers as views: VideoResNets (r3d_18, mc3_18, r2plus1d_18), S3D and Video Swin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isotherm.cam.premises import Premise
from isotherm.cam.view import Inputs, LayerChoice
from isotherm.errors import AdapterError, OptionError
from isotherm.frame import Frame, Size
from isotherm.models.shared.classifier import numbered
from isotherm.models.shared.clip_classifier import ClipClassifierView
from isotherm.models.shared.input_options import InputOptions
from isotherm.models.shared.premises import names_premise
from isotherm.models.shared.preprocess import CAN_BE_GIVEN, Geometry, Preprocess, cut_centre, scaled_size

KINETICS = 400
KINETICS_MEAN, KINETICS_STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
FED = {"VideoResNet": 16, "S3D": 128, "SwinTransformer3d": 32}
"""Frames that torchvision evaluates each kind with (the ``clip_len`` in the documentation of its weights)."""
LAYERS = {
    "VideoResNet": LayerChoice(
        ("layer4",),
        "the last stage before pooling: the deepest features that still have one cell per image region and moment",
    ),
    "S3D": LayerChoice(("features",), "the features before pooling, one cell per image region and moment"),
    "SwinTransformer3d": LayerChoice(
        ("norm",), "the last norm in front of average pooling: every cell reaches the answer by the same linear map"
    ),
}


class VideoClassifierView(ClipClassifierView):
    """A view of a module that maps (b, 3, t, h, w) to (b, k) logits."""

    def fed(self, inputs: Inputs) -> Tensor:
        """What the model is called with: channels in front of time."""
        return inputs.tensor.transpose(1, 2)

    def prepared(self, frames: Sequence[Any]) -> tuple[Tensor, Frame, Tensor]:
        """Frames as torchvision's VideoClassification transform makes them of uint8 tensors, to the bit: resized
        without antialiasing.
        """
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms import functional as F

        p = self.preprocess
        assert isinstance(p, Preprocess)  # a transform of one's own makes an input of one picture, so it is refused
        source = (int(frames[0].shape[0]), int(frames[0].shape[1]))
        scaled = scaled_size(source, p.resize or p.size, p.geometry)
        pixels = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)
        pixels = F.resize(pixels, list(scaled), InterpolationMode(p.interpolation), antialias=False)
        array, box = cut_centre(pixels.permute(2, 3, 0, 1).flatten(2).numpy(), p.size, [0] * (3 * len(frames)))
        cut = torch.from_numpy(np.ascontiguousarray(array)).unflatten(2, (len(frames), 3)).permute(2, 3, 0, 1)
        tensor = F.normalize(F.convert_image_dtype(cut.contiguous(), torch.float), list(p.mean), list(p.std))
        return tensor, Frame.identity(source).resized(scaled).cropped(box), torch.zeros(3)


def is_video_model(model: nn.Module) -> bool:
    """Whether a model is one of torchvision's video classifiers."""
    return type(model).__module__.startswith("torchvision.models.video")


def wrap_video(model: nn.Module, options: InputOptions, *, frames: int | None, weights: Any) -> VideoClassifierView:
    """The view of one of torchvision's video classifiers; the arguments are those of
    :func:`isotherm.models.torchvision.view.wrap`.
    """
    kind = type(model).__name__
    if kind not in LAYERS:
        raise AdapterError(
            f"{kind} is a video model whose tokens nobody has described to isotherm; of torchvision's it reads "
            f"{', '.join(LAYERS)}: r3d_18, mc3_18, r2plus1d_18, s3d, swin3d_t and its like"
        )
    if options.geometry in ("letterbox", "shorter"):
        raise OptionError(f"geometry={options.geometry!r} is for pictures; video models take crop or squash")
    preprocess = options.preprocess(preprocess_of(kind, weights))
    linear = [m for m in model.modules() if isinstance(m, nn.Linear)]
    count = int(linear[-1].out_features) if linear else KINETICS
    names, whose = _names(options, kind, count, weights)
    if weights is not None:
        of_input = options.premises(preprocess, source="declared", why=f"the transforms of {weights}")
    else:
        why = f"a module of torchvision does not say which weights it holds; it is what its own of this kind are fed; weights, {CAN_BE_GIVEN}"
        of_input = options.premises(preprocess, source="assumed", why=why)
    return VideoClassifierView(
        model,
        **options.trained(count),
        name=f"{kind} (torchvision)",
        names=names,
        preprocess=preprocess,
        heads=linear[-1:],
        known=LAYERS[kind],
        fed_frames=FED[kind] if frames is None else frames,
        premises=(*of_input, frames_premise(FED[kind] if frames is None else frames, frames is not None), *whose),
    )


def frames_premise(
    count: int, by_user: bool, why: str = "torchvision evaluates models of this kind so; frames can be given"
) -> Premise:
    """How many frames the model is fed, and whether the user said it."""
    value = f"{count} frames"
    return (
        Premise(about="input", value=value, source="given")
        if by_user
        else Premise(about="input", value=value, source="default", why=why)
    )


def preprocess_of(kind: str, weights: Any) -> Preprocess:
    """The evaluation transform of the weights, or of torchvision's own weights for models of this kind."""
    if weights is None:
        size, resize, geometry = _usual(kind)
        return Preprocess(size=size, resize=resize, geometry=geometry, mean=KINETICS_MEAN, std=KINETICS_STD)
    preset = weights.transforms()
    resize = tuple(preset.resize_size)
    return Preprocess(
        size=tuple(preset.crop_size),
        resize=resize if len(resize) == 2 else resize * 2,
        # two lengths stretch the frame, one is that of its shorter side
        geometry="squash" if len(resize) == 2 else "crop",
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


def _usual(kind: str) -> tuple[Size, Size, Geometry]:
    if kind == "VideoResNet":
        return (112, 112), (128, 171), "squash"
    return ((224, 224), (256, 256), "squash") if kind == "S3D" else ((224, 224), (256, 256), "crop")


def _names(options: InputOptions, kind: str, count: int, weights: Any) -> tuple[Sequence[str], tuple[Premise, ...]]:
    """Class names, and whose they are."""
    options.check_names(count, what=f"logits of this {kind}", one="logit")
    if options.names is not None:
        return options.names, ()
    categories = None if weights is None else weights.meta.get("categories")
    if categories is not None and len(categories) == count:
        value = f"the {count} of {weights}"
        return categories, (Premise(about="class names", value=value, source="declared", why="these weights"),)
    if count == KINETICS:
        from torchvision.models.video import R3D_18_Weights

        return R3D_18_Weights.DEFAULT.meta["categories"], (names_premise("Kinetics-400", count),)
    return numbered(count), ()
