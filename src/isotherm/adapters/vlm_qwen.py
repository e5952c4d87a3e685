"""Vision tokens of Qwen2-VL, Qwen2.5-VL and Qwen3-VL: one grid per picture, of merged blocks of patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.adapters.vlm_tokens import PictureTokens, TokenGrid, VisionLayout
from isotherm.errors import ShapeError
from isotherm.frame import Frame, Size


class QwenLayout(VisionLayout):
    """Pictures resized to whole blocks of ``merge`` x ``merge`` patches, width and height each by its own factor.

    The patches are listed block by block, not in reading order; the merged tokens are in reading order. The blocks and the last
    hidden state of Qwen2.5-VL's vision tower are in the order of its attention windows, but what its merger gives is not.

    Args:
        patch: pixels per patch and side. merge: patches per token and side. temporal: frames per patch.

    Source: Wang et al., "Qwen2-VL" (2024), section 2.1; ``Qwen2VLImageProcessor`` of transformers 5.
    """

    def __init__(self, *, patch: int, merge: int, temporal: int = 2) -> None:
        self.patch, self.merge, self.temporal = patch, merge, temporal

    @classmethod
    def of(cls, image_processor: Any) -> QwenLayout:
        """The layout of an image processor of transformers."""
        return cls(patch=image_processor.patch_size, merge=image_processor.merge_size, temporal=image_processor.temporal_patch_size)

    def pictures(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[PictureTokens]:
        found = []
        for (t, h, w), size in zip(self._grids(inputs, sizes), sizes, strict=True):
            if t != 1:
                raise ShapeError(f"a picture has {t} temporal patches; this is a video")
            rows, columns = h // self.merge, w // self.merge
            frame = Frame.resize(size, (h * self.patch, w * self.patch)).to_grid(stride=self.patch * self.merge)
            found.append(PictureTokens(size, (TokenGrid(frame, torch.arange(rows * columns).view(rows, columns)),), rows * columns))
        return found

    def pixels(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[Float[Tensor, "n 3"]]:
        grids = self._grids(inputs, sizes)
        patches = inputs["pixel_values"].view(-1, 3, self.temporal * self.patch**2).mean(-1)
        split = patches.split([t * h * w for t, h, w in grids])
        # a token is made of merge x merge patches that stand next to each other in the list
        return [part.view(-1, self.merge**2, 3).mean(1) for part in split]

    def _grids(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[tuple[int, int, int]]:
        grids = [(int(t), int(h), int(w)) for t, h, w in inputs["image_grid_thw"].tolist()]
        if len(grids) != len(sizes):
            raise ShapeError(f"the prompt holds {len(grids)} pictures; {len(sizes)} sizes were given")
        return grids


def raster_order(h: int, w: int, merge: int) -> Int[Tensor, " n"]:
    """For each patch in reading order, its place in the list that the vision tower gets: ``listed[raster_order(h, w, m)]`` is in reading order.

    Example:
        >>> raster_order(2, 4, 2).tolist()   # two blocks of four
        [0, 1, 4, 5, 2, 3, 6, 7]
    """
    listed = torch.arange(h * w).view(h // merge, merge, w // merge, merge).permute(0, 2, 1, 3).flatten()
    return listed.argsort()
