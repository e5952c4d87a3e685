"""Vision tokens of models that see squares: PaliGemma, Gemma 3 with its crops, LLaVA-1.5 with its centre crop."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import ShapeError
from isotherm.frame import Frame, Size
from isotherm.models.transformers.vlm.layouts.layout import VisionLayout
from isotherm.vlm.tokens import PictureTokens, TokenGrid


class SquareLayout(VisionLayout):
    """Abstract: every picture becomes one or more squares of ``side`` pixels, each of them tokens of ``stride`` pixels
    in reading order.
    """

    def __init__(self, *, side: int, stride: int) -> None:
        if side % stride:
            raise ShapeError(f"a side of {side} pixels is no multiple of the {stride} of a token")
        self.side, self.stride = side, stride

    @abstractmethod
    def squares(self, size: Size) -> list[Frame]:
        """The frames of a picture's squares, (side, side) pixels each, in the order of their tokens."""

    def pictures(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[PictureTokens]:
        n, pictures = self.side // self.stride, []
        for size in sizes:
            frames = self.squares(size)
            grids = tuple(
                TokenGrid(frame.to_grid(stride=self.stride), k * n * n + torch.arange(n * n).view(n, n))
                for k, frame in enumerate(frames)
            )
            pictures.append(PictureTokens(size, grids, len(frames) * n * n))
        return pictures

    def pixels(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[Float[Tensor, "n 3"]]:
        counts = [len(self.squares(size)) for size in sizes]
        values = inputs["pixel_values"]
        if values.ndim == 5:  # prompts x squares: one prompt at a time is laid out
            if len(values) != 1:
                raise ShapeError(f"these are the pictures of {len(values)} prompts; lay out one prompt at a time")
            values = values[0]
        if len(values) != sum(counts):
            raise ShapeError(
                f"the processor made {len(values)} squares; its layout says {sum(counts)}, {counts} of each picture"
            )
        means = F.avg_pool2d(values.float(), self.stride).flatten(2).transpose(1, 2)
        return [part.reshape(-1, 3) for part in means.split(counts)]


class SquashedLayout(SquareLayout):
    """The whole picture squashed into a square, as PaliGemma has it."""

    def squares(self, size: Size) -> list[Frame]:
        return [Frame.resize(size, (self.side, self.side))]


class PanAndScanLayout(SquareLayout):
    """The whole picture, and where it is long, crops of equal size beside each other, as Gemma 3 has it.

    Args:
        least: pixels of the source that a crop's shorter side has at least.
        most: crops.
        ratio: of the sides from which it is cut.

    Source: "Gemma 3 technical report" (2025), section 2.1; ``Gemma3ImageProcessor`` of transformers 5.
    """

    def __init__(self, *, side: int, stride: int, least: int = 256, most: int = 4, ratio: float = 1.2) -> None:
        super().__init__(side=side, stride=stride)
        self.least, self.most, self.ratio = least, most, ratio

    def squares(self, size: Size) -> list[Frame]:
        h, w = size
        whole = Frame.resize(size, (self.side, self.side))
        longer, shorter = max(h, w), min(h, w)
        if longer / shorter < self.ratio:
            return [whole]
        count = min(self.most, max(2, min(longer // self.least, int(longer / shorter + 0.5))))
        length = -(-longer // count)
        if min(length, shorter) < self.least:
            return [whole]
        starts = [length * i for i in range(count)]
        # the last crop ends with the picture, so it may be shorter, and is squashed less
        boxes = [(s, 0, min(s + length, w), h) if w >= h else (0, s, w, min(s + length, h)) for s in starts]
        return [whole, *(Frame.identity(size).cropped(box).resized((self.side, self.side)) for box in boxes)]


class CentreCropLayout(SquareLayout):
    """The shorter side resized to the square's, and its middle cut out, as CLIP's processor and so LLaVA-1.5 has it.

    What lies beyond is not seen; :meth:`isotherm.models.transformers.vlm.layouts.layout.PictureTokens.seen` says where.

    Source: Liu et al., "Improved baselines with visual instruction tuning" (CVPR 2024); ``CLIPImageProcessor`` of
        transformers 5.
    """

    def squares(self, size: Size) -> list[Frame]:
        h, w = size
        longer = int(self.side * max(h, w) / min(h, w))
        resized = (self.side, longer) if w >= h else (longer, self.side)
        top, left = (resized[0] - self.side) // 2, (resized[1] - self.side) // 2
        return [Frame.resize(size, resized).cropped((left, top, left + self.side, top + self.side))]
