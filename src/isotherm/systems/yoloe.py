"""The generator of the YOLOE heatmap web app: the names and defaults of its users, by a call of
:func:`isotherm.explain`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch

from isotherm.api import explain, open_model
from isotherm.cam.explanation import Explanation
from isotherm.cam.methods import ALL
from isotherm.cam.scores import Detection, Score, Targets
from isotherm.cam.view import Detections, Inputs, Prediction
from isotherm.draw import overlay, renormalise_in_boxes, save_picture
from isotherm.errors import InputError, IsothermError, OptionError, TargetError
from isotherm.heatmap import Heatmap
from isotherm.ops.devices import chosen_device
from isotherm.ops.names import known_word

PARTS = {"class": "class", "box": "box", "segment": "mask", "all": "all"}
"""What of a detection is explained, by the app's word: its class logit, its box, its mask, or all that it has."""

_log = logging.getLogger(__name__)


def get_default_params() -> dict[str, Any]:
    """The parameters of :class:`YoloEHeatmapGenerator` as the app has them."""
    return {
        "weight": "yoloe-11s-seg.pt",
        "device": "auto",
        "method": "HiResCAM",
        "layer": [10, 12, 14, 16, 18],
        "backward_type": "class",
        "conf_threshold": 0.2,
        "ratio": 0.02,
        "show_box": False,
        "renormalize": True,
    }


class YoloEHeatmapGenerator:
    """Heatmaps of what speaks for the detections of a YOLO or YOLOE model, drawn into files.

    Args:
        weight: a file of weights, a name that ultralytics publishes, or a model that is open already.
        device: "auto" (the first accelerator, else the processor), "cpu", "cuda:0", ... A model that is open already
            stays where it is.
        method: as pytorch-grad-cam or isotherm spell it: HiResCAM, GradCAMPlusPlus, gradcampp, ...
        layer: numbers in the model's list of layers, or names such as "model.16"; "auto": the inputs of the head,
            which lists that circulate miss in part.
        backward_type: what of a detection is explained: class, box, segment or all.
        conf_threshold: least confidence of a detection, above 0 and below 1.
        ratio: share of the detections that is explained, above 0 and up to 1: the most confident ones, at least one.
        show_box: draw the boxes and labels of the detections that are explained.
        renormalize: within the boxes of these detections alone, each scaled by its own maximum.
        options: for the model: classes (of YOLOE: what to look for), size, iou, allow_code, ...

    Attributes:
        error: why the last :meth:`generate` returned False; None after one that returned True.
        heatmap: the map that was drawn last, before it was renormalised; None before the first.

    Raises:
        IsothermError: a parameter that is none, or weights that cannot be opened; nothing is explained then.
    """

    def __init__(
        self,
        weight: str | os.PathLike[str] | Any = "yoloe-11s-seg.pt",
        device: str = "auto",
        method: str = "HiResCAM",
        layer: Sequence[int | str] | str = (10, 12, 14, 16, 18),
        backward_type: str = "class",
        conf_threshold: float = 0.2,
        ratio: float = 0.02,
        show_box: bool = False,
        renormalize: bool = True,
        **options: Any,
    ) -> None:
        known_word(backward_type, tuple(PARTS), "backward_type")
        if not _is_number(ratio) or not 0 < ratio <= 1:
            raise OptionError(f"ratio is {ratio!r}; expected a share of the detections, above 0 and up to 1")
        if not _is_number(conf_threshold) or not 0 < conf_threshold < 1:
            raise OptionError(f"conf_threshold is {conf_threshold!r}; expected a number above 0 and below 1")
        for name, switch in (("show_box", show_box), ("renormalize", renormalize)):
            if not isinstance(switch, bool | np.bool_):
                raise OptionError(f"{name} is {switch!r}; expected True or False")
        for name, value in (("device", device), ("method", method)):
            if not isinstance(value, str):
                raise OptionError(f"{name} is {value!r}; expected text, such as {get_default_params()[name]!r}")
        if not isinstance(layer, Sequence) or not layer:
            raise OptionError(f"layer is {layer!r}; expected several numbers or names, such as [10, 12], or 'auto'")
        self.method = method_of(method)
        self.layers = layer if isinstance(layer, str) else tuple(layer_name(one) for one in layer)
        self.target = MostConfident(PARTS[backward_type], ratio)
        self.show_box, self.renormalize = show_box, renormalize
        place = chosen_device(device)
        where = {"device": place} if isinstance(weight, str | os.PathLike) else {}
        self.view = open_model(weight, confidence=conf_threshold, **where, **options)
        self.conf_threshold = conf_threshold
        self.error: str | None = None
        self.heatmap: Heatmap | None = None

    def generate(self, image_bgr: Any, out_path: str | os.PathLike[str]) -> bool:
        """Explain a picture and write the drawn map.

        Args:
            image_bgr: (H, W, 3) uint8, blue first, as OpenCV reads it.
            out_path: ends in .png, .jpg or .webp.

        Returns:
            True where the file was written. False where it was not: no detection, a picture or path that is none, an
            explanation that failed. The reason is logged and kept in ``error``, and a file that was there stays.
        """
        try:
            self._generate(image_bgr, out_path)
        except (IsothermError, OSError) as error:
            self.error = str(error)
            _log.error("no heatmap for %s: %s", os.fspath(out_path), self.error)
            return False
        self.error = None
        return True

    def _generate(self, image_bgr: Any, out_path: str | os.PathLike[str]) -> None:
        if not isinstance(image_bgr, np.ndarray) or image_bgr.dtype != np.uint8 or image_bgr.shape[2:] != (3,):
            kind = (
                f"{image_bgr.dtype} {image_bgr.shape}"
                if isinstance(image_bgr, np.ndarray)
                else type(image_bgr).__name__
            )
            raise InputError(
                f"the picture is {kind}; expected (H, W, 3) uint8, blue first (cv2.imread gives None for a file that it cannot read)"
            )
        picture = np.ascontiguousarray(image_bgr[..., ::-1])
        explained = explain(self.view, picture, target=self.target, method=self.method, layers=self.layers, trust="off")
        if not len(explained):
            raise TargetError(f"the model finds nothing with a confidence of {self.conf_threshold} or more")
        self.heatmap = together(explained)
        detections = explained.findings[: self.target.number(len(explained.findings))]
        boxes = [detection.box for detection in detections]
        drawn = overlay(
            renormalise_in_boxes(self.heatmap, boxes) if self.renormalize else self.heatmap,
            picture,
            boxes=boxes if self.show_box else None,
            labels=[f"{one.label} {one.confidence:.2f}" for one in detections] if self.show_box else None,
        )
        save_picture(drawn, out_path)


@dataclass(frozen=True)
class MostConfident(Score):
    """A share of a picture's detections, at least one, from the most confident one on; a target for each of them.

    Args:
        of: what of a detection is explained, as of :class:`isotherm.cam.scores.Detection`.
        ratio: above 0 and up to 1; what it gives is rounded down.
    """

    of: Any
    ratio: float

    def number(self, detections: int) -> int:
        """How many of so many detections are explained."""
        return min(detections, max(1, int(detections * self.ratio)))

    def __call__(self, prediction: Prediction, inputs: Inputs) -> Targets:
        if not isinstance(prediction, Detections):
            raise TargetError(f"the model gives {type(prediction).__name__}; expected a detector")
        return Detection(tuple(range(self.number(len(prediction)))) or None, of=self.of)(prediction, inputs)


def together(explanation: Explanation) -> Heatmap:
    """One map of all targets: the sum of their maps.

    Of one layer that is the map of their summed scores, where the method is linear in the gradient. Several layers were
    brought to one scale for each target before, so that there every detection counts as much as any other.
    """
    values = torch.stack([heatmap.values for heatmap in explanation]).sum(0)
    return explanation[0].with_(values=values, label=", ".join(dict.fromkeys(m.label for m in explanation)))


def method_of(name: str) -> str:
    """isotherm's name of a method, from pytorch-grad-cam's or its own.

    Example:
        >>> method_of("GradCAMPlusPlus"), method_of("HiResCAM")
        ('gradcampp', 'hirescam')
    """
    plain = name.lower().replace("plusplus", "pp").replace("++", "pp")
    if plain not in ALL:
        raise OptionError(f"there is no method {name!r}; expected one of {', '.join(ALL)}")
    return plain


def layer_name(layer: int | str) -> str:
    """The name of a layer, from its number in the model's list.

    Raises:
        OptionError: it is neither.

    Example:
        >>> layer_name(16), layer_name("model.22")
        ('model.16', 'model.22')
    """
    if not isinstance(layer, str | Integral) or isinstance(layer, bool):
        raise OptionError(f"layer has {layer!r}; expected a number in the model's list, or a name such as 'model.16'")
    return layer if isinstance(layer, str) else f"model.{layer}"


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
