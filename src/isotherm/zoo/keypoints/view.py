"""Keypoint models that were trained here, as views: which part of the picture speaks for a point's peak."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.cam.maps import Maps
from isotherm.cam.premises import Premise, RandomWeights
from isotherm.cam.view import Inputs, LayerChoice, Layout, Pins
from isotherm.data.keypoint_cache import picture_at, region
from isotherm.data.keypoints import KeypointRecord
from isotherm.errors import AdapterError, OptionError
from isotherm.frame import Frame
from isotherm.heads.coordinates import CoordinateHead
from isotherm.models.own.trained_here import file_of
from isotherm.models.shared.classifier import where_it_lives
from isotherm.models.shared.grids import layout_of
from isotherm.models.shared.noise import noise_inputs
from isotherm.models.shared.preprocess import check_picture
from isotherm.models.shared.probe import Candidate, Places, settled
from isotherm.relevance.modules import resolve
from isotherm.train.keypoint_build import TrainedKeypoints, open_keypoints

Box = tuple[float, float, float, float]


class KeypointsView:
    """Fulfils :class:`isotherm.cam.view.View` for a :class:`isotherm.train.keypoint_build.TrainedKeypoints`: one map of
    each point, the head's own (logits of a softmax over the map, or a peak map), at its own places.

    Args:
        trained: the model and what its maps mean.
        name: one line for people.
        object_box: x0, y0, x1, y1 in pixels of each picture, around the object; the whole picture if None.

    Raises:
        AdapterError: a model with the head 'coordinates', which makes no maps.
    """

    default_method = "hirescam"
    random_weights: RandomWeights | None = None

    def __init__(
        self, trained: TrainedKeypoints, *, name: str = "keypoint model", object_box: Box | None = None
    ) -> None:
        if isinstance(trained.model.head, CoordinateHead):
            raise AdapterError(
                f"{name} has the head 'coordinates', which makes places without a map, so no peak can be explained; train with another head"
            )
        if object_box is not None and not (object_box[0] < object_box[2] and object_box[1] < object_box[3]):
            raise OptionError(f"object_box is {object_box}; expected x0, y0, x1, y1 in pixels of the picture")
        self.trained, self.name = trained, name
        self.model: nn.Module = trained.model.eval()
        self.names: Sequence[str] = trained.names
        self.object_box = object_box
        self.premises = (
            Premise(
                about="input",
                value=f"{trained.size[0]} x {trained.size[1]} pixels, {trained.fit}",
                source="declared",
                why="its training",
            ),
        )
        self.places = Places(self.model, self.run, self._declared)
        self._choice: LayerChoice | None = None

    def prepare(self, pictures: Sequence[np.ndarray]) -> Inputs:
        """Pictures of any sizes -> one batch, as prediction prepares them."""
        device, dtype = where_it_lives(self.model)
        side = max(self.trained.size)
        frames, small = [], []
        for picture in pictures:
            check_picture(picture)
            record = KeypointRecord(
                picture=picture, points=torch.zeros(0, 2), state=torch.zeros(0, dtype=torch.long), box=self.object_box
            )
            frame = region(record, (picture.shape[0], picture.shape[1]), side, self.trained.margin, self.trained.fit)
            frames.append(frame)
            small.append(torch.from_numpy(picture_at(picture, frame)).permute(2, 0, 1))
        shown = torch.stack(small).to(device).float() / 255
        if tuple(shown.shape[-2:]) != self.trained.size:
            shown = torch.nn.functional.interpolate(
                shown, self.trained.size, mode="bilinear", align_corners=False, antialias=True
            )
        frame = Frame.stack(frames).resized(self.trained.size)
        return Inputs(shown.to(dtype), frame, {}, self.trained.model.backbone.mean.flatten().to(device, dtype))

    def run(self, inputs: Inputs) -> Float[Tensor, "b n h w"]:
        """The maps."""
        maps: Tensor = self.model(inputs.tensor)
        return maps

    def find(self, raw: Any, inputs: Inputs) -> Maps:
        """The maps by the points' names."""
        return Maps(raw, self.names, self.trained.model.output_frame(inputs.frame), peaked=True)

    def refind(self, raw: Any, inputs: Inputs, pins: Pins) -> Maps:
        """The same as :meth:`find`: maps cannot be reordered."""
        return self.find(raw, inputs)

    def layout(self, layer: str, output: Tensor, inputs: Inputs) -> Layout:
        """How a layer's output lies over the input; refuses what it cannot place."""
        (ref,) = resolve(self.model, layer)
        return self.places.layout(ref.name, output, inputs)

    def auto_layers(self) -> LayerChoice:
        """The end of the backbone: what the head puts out is read at single places."""
        if self._choice is None:
            self._choice = settled(self.places, _sums, self._noise, None, key=type(self).__name__, among=_of_backbone)
        return self._choice

    def _declared(self, layer: str, output: Tensor, inputs: Inputs) -> Layout:
        return layout_of(layer, self.model.get_submodule(layer), output, inputs)

    def _noise(self) -> Inputs:
        return noise_inputs(self.prepare([np.zeros((*self.trained.size, 3), np.uint8)]))


def _sums(raw: Float[Tensor, "b n h w"]) -> Float[Tensor, "b n"]:
    return raw.sum((2, 3))


def _of_backbone(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    return [c for c in candidates if c[0].name.startswith("backbone")]


def load(
    name: str | os.PathLike[str], *, object_box: Box | None = None, device: str | torch.device | None = None
) -> KeypointsView:
    """A view of the model in a training's folder, or in its file.

    Args:
        name: of the folder or of its ``model.safetensors``.
        object_box: see :class:`KeypointsView`.
        device: where it goes.

    Raises:
        WeightsError: the file is damaged, or does not fit its own description.
    """
    fpath = file_of(name)
    trained = open_keypoints(Path(name) if fpath is None else fpath)
    view = KeypointsView(trained, name=f"{name}: keypoint model of {len(trained.names)} points", object_box=object_box)
    if device is not None:
        view.model.to(device)
    return view
