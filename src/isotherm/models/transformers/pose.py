"""transformers' models of keypoints from a box around a person (ViTPose) as views."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.maps import Maps
from isotherm.cam.premises import Premise
from isotherm.cam.view import Inputs, LayerChoice, Pins, Prediction
from isotherm.errors import OptionError
from isotherm.frame import Frame, Size
from isotherm.models.shared.preprocess import numbers
from isotherm.models.transformers.classify import EncoderView, model_type
from isotherm.models.transformers.layers import known_choice
from isotherm.models.transformers.prepare import Preparer

Box = tuple[float, float, float, float]


class PosePreparer(Preparer):
    """From decoded pictures to inputs of the part around a person, by the processor's own affine map.

    Args:
        processor: has ``size``, and takes boxes.
        person: x0, y0, x1, y1 in pixels of each picture; the whole picture if None.
        options: as :class:`isotherm.models.transformers.prepare.Preparer` has them; size is refused.
    """

    def __init__(
        self, processor: Any, *, person: Box | None = None, size: int | Sequence[int] | None = None, **options: Any
    ) -> None:
        super().__init__(processor, **options)
        height, width = int(processor.size["height"]), int(processor.size["width"])
        if size is not None and size != (height, width):
            raise OptionError(f"this model of keypoints takes {height} x {width} pixels only; leave size out")
        if person is not None and not (person[0] < person[2] and person[1] < person[3]):
            raise OptionError(f"person is {person}; expected x0, y0, x1, y1 in pixels of the picture")
        self.person = person
        self.input_size: Size = (height, width)

    @property
    def premises(self) -> tuple[Premise, ...]:
        """What the processor feeds the model, and around whom."""
        around = "the whole picture" if self.person is None else "the box {:g},{:g},{:g},{:g}".format(*self.person)
        where = Premise(
            about="person",
            value=f"{around}, and a quarter more",
            source="assumed" if self.person is None else "given",
            why="no person was given, and a model of keypoints looks at one" if self.person is None else "",
        )
        mean, std = (numbers(list(getattr(self.processor, f"image_{name}"))) for name in ("mean", "std"))
        words = f"{self.input_size[0]} x {self.input_size[1]} pixels, mean {mean}, std {std}"
        return Premise(about="input", value=words, source=self._sources[1], why=self._why), where

    def _box(self, picture: np.ndarray) -> list[float]:
        x0, y0, x1, y1 = self.person or (0, 0, picture.shape[1], picture.shape[0])
        return [x0, y0, x1 - x0, y1 - y0]

    def _process(self, pictures: Sequence[np.ndarray]) -> dict[str, Tensor]:
        out = self.processor(
            images=[np.array(p) for p in pictures],
            boxes=[[self._box(p)] for p in pictures],
            return_tensors="pt",
            input_data_format="channels_last",
        )
        return {k: v for k, v in out.items() if isinstance(v, Tensor)}

    def _place(self, pictures: Sequence[np.ndarray]) -> tuple[list[Frame], list[Size]]:
        module = sys.modules[type(self.processor).__module__]
        frames = []
        h, w = self.input_size
        for picture in pictures:
            centre, scale = module.box_to_center_and_scale(self._box(picture), image_width=w, image_height=h)
            # corners of the box lie on the centres of the outermost pixels (Huang et al., unbiased data processing,
            # 2020), counted from the centre of the picture's first pixel
            extent = (float(scale[1]) * 200.0, float(scale[0]) * 200.0)
            first = (float(centre[1]) - extent[0] / 2 + 0.5, float(centre[0]) - extent[1] / 2 + 0.5)
            stride = (extent[0] / (h - 1), extent[1] / (w - 1))
            whole = Frame.identity((int(picture.shape[0]), int(picture.shape[1])))
            frames.append(whole.to_cells(first, stride, (h, w)))
        return frames, [self.input_size] * len(frames)


class PoseView(EncoderView):
    """Fulfils :class:`isotherm.cam.view.View`: a heatmap of each keypoint."""

    def __init__(self, model: Any, **arguments: Any) -> None:
        super().__init__(model, **arguments)
        self.default_method = "hirescam"

    def run(self, inputs: Inputs) -> Float[Tensor, "b k h w"]:
        """The forward pass: the model's own heatmaps."""
        return self.call(inputs).heatmaps

    def answer(self, raw: Float[Tensor, "b k h w"]) -> Tensor:
        """The sum of each heatmap: their peaks are read at single places."""
        return raw.sum((2, 3))

    def find(self, raw: Any, inputs: Inputs) -> Prediction:
        """The heatmaps, whose outermost cells' centres are those of the outermost pixels, as the processor reads
        them.
        """
        h, w = (int(n) for n in raw.shape[-2:])
        stride = tuple((have - 1) / (n - 1) for have, n in zip(inputs.frame.size, (h, w), strict=True))
        frame = inputs.frame.to_cells((0.5, 0.5), (stride[0], stride[1]), (h, w))
        return Maps(raw, self.names, frame, peaked=True)

    def refind(self, raw: Any, inputs: Inputs, pins: Pins) -> Prediction:
        """The same as :meth:`find`: heatmaps cannot be reordered."""
        return self.find(raw, inputs)

    def auto_layers(self) -> LayerChoice:
        """The normalisation in front of the last attention, since later layers look at the peak's surroundings."""
        if self._choice is None:
            self._choice = self.settle(known_choice(self.model, self.rules, model_type(self.model)))
        return self._choice
