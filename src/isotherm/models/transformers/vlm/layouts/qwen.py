"""Vision tokens of Qwen2-VL, Qwen2.5-VL and Qwen3-VL: one grid per picture or moment, of merged blocks of patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.errors import ShapeError
from isotherm.frame import Frame, Size
from isotherm.models.transformers.vlm.layouts.layout import VideoTokens, VisionLayout, moment_times
from isotherm.vlm.tokens import PictureTokens, TokenGrid


class QwenLayout(VisionLayout):
    """Pictures resized to whole blocks of ``merge`` x ``merge`` patches, width and height each by its own factor.

    The patches are listed block by block, not in reading order; the merged tokens are in reading order. The blocks and
    the last hidden state of Qwen2.5-VL's vision tower are in the order of its attention windows, but what its merger
    gives is not: :func:`reading_order` undoes both. A video is a picture per ``temporal`` frames.

    Args:
        patch: pixels per patch and side.
        merge: patches per token and side.
        temporal: frames per patch.

    Source: Wang et al., "Qwen2-VL" (2024), section 2.1; ``Qwen2VLImageProcessor`` of transformers 5.
    """

    def __init__(self, *, patch: int, merge: int, temporal: int = 2) -> None:
        self.patch, self.merge, self.temporal = patch, merge, temporal

    @classmethod
    def of(cls, image_processor: Any) -> QwenLayout:
        """The layout of an image processor of transformers."""
        return cls(
            patch=image_processor.patch_size,
            merge=image_processor.merge_size,
            temporal=image_processor.temporal_patch_size,
        )

    def pictures(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[PictureTokens]:
        pictures = []
        for (t, h, w), size in zip(self._grids(inputs, sizes), sizes, strict=True):
            if t != 1:
                raise ShapeError(f"a picture has {t} temporal patches; this is a video")
            pictures.append(self._moment(size, h, w, 0))
        return pictures

    def pixels(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[Float[Tensor, "n 3"]]:
        return self._means(inputs["pixel_values"], self._grids(inputs, sizes))

    def videos(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[VideoTokens]:
        """The tokens of every video, moment by moment; their times from ``video_metadata`` or ``second_per_grid_ts``
        where inputs have them.
        """
        videos = []
        for k, ((t, h, w), size) in enumerate(zip(self._grids(inputs, sizes, "video"), sizes, strict=True)):
            count = h * w // self.merge**2
            moments = tuple(self._moment(size, h, w, i * count) for i in range(t))
            times, frames = moment_times(inputs, k, t, self.temporal)
            videos.append(VideoTokens(size, moments, t * count, times, frames))
        return videos

    def video_pixels(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[Float[Tensor, "n 3"]]:
        return self._means(inputs["pixel_values_videos"], self._grids(inputs, sizes, "video"))

    def _moment(self, size: Size, h: int, w: int, first: int) -> PictureTokens:
        rows, columns = h // self.merge, w // self.merge
        frame = Frame.resize(size, (h * self.patch, w * self.patch)).to_grid(stride=self.patch * self.merge)
        token = first + torch.arange(rows * columns).view(rows, columns)
        return PictureTokens(size, (TokenGrid(frame, token),), rows * columns)

    def _means(self, values: Tensor, grids: list[tuple[int, int, int]]) -> list[Tensor]:
        patches = values.view(-1, 3, self.temporal * self.patch**2).mean(-1)
        split = patches.split([t * h * w for t, h, w in grids])
        # a token is made of merge x merge patches that stand next to each other in the list
        return [part.view(-1, self.merge**2, 3).mean(1) for part in split]

    def _grids(
        self, inputs: Mapping[str, Any], sizes: Sequence[Size], what: str = "image"
    ) -> list[tuple[int, int, int]]:
        grids = [(int(t), int(h), int(w)) for t, h, w in inputs[f"{what}_grid_thw"].tolist()]
        if len(grids) != len(sizes):
            raise ShapeError(
                f"the prompt holds {len(grids)} {'pictures' if what == 'image' else 'videos'}; {len(sizes)} sizes were given"
            )
        return grids


def raster_order(h: int, w: int, merge: int) -> Int[Tensor, " n"]:
    """For each patch in reading order, its place in the list that the vision tower gets: ``listed[raster_order(h, w,
    m)]`` is in reading order.

    Example:
        >>> raster_order(2, 4, 2).tolist()   # two blocks of four
        [0, 1, 4, 5, 2, 3, 6, 7]
    """
    listed = torch.arange(h * w).view(h // merge, merge, w // merge, merge).permute(0, 2, 1, 3).flatten()
    return listed.argsort()


def window_index(grids: Int[Tensor, "k 3"], *, merge: int, window: int) -> Int[Tensor, " n"]:
    """The order in which Qwen2.5-VL's vision tower has its tokens: window by window, each in reading order, those at
    the ends cut.

    Args:
        grids: (t, h, w) patches of each picture or video.
        merge: patches per token and side.
        window: tokens per window and side.

    Source: "Qwen2.5-VL technical report" (2025), section 2.1.1.

    Example:
        >>> window_index(torch.tensor([[1, 4, 6]]), merge=2, window=2).tolist()   # 2 x 3 tokens: a whole window and a cut one
        [0, 1, 3, 4, 2, 5]
    """
    parts, first = [], 0
    for t, h, w in grids.tolist():
        token = first + torch.arange(t * (h // merge) * (w // merge)).view(t, h // merge, w // merge)
        parts += [
            part.flatten() for still in token for rows in still.split(window) for part in rows.split(window, dim=1)
        ]
        first += token.numel()
    return torch.cat(parts)


def window_order(index: Int[Tensor, " n"], *, unit: int = 4) -> Int[Tensor, " m"]:
    """For each patch of the list, its place in a tower's windows: ``states[window_order(index)]`` is in the list's
    order.

    Args:
        index: :func:`window_index`, or what the model takes it to be.
        unit: patches of a token.

    Example:
        >>> window_order(torch.tensor([0, 2, 1]), unit=2).tolist()
        [0, 1, 4, 5, 2, 3]
    """
    return (index.argsort()[:, None] * unit + torch.arange(unit, device=index.device)).flatten()


def reading_order(
    states: Float[Tensor, "n c"], grids: Int[Tensor, "k 3"], *, merge: int, index: Int[Tensor, " m"] | None = None
) -> list[Float[Tensor, "t h w c"]]:
    """A vision tower's states of patches, such as a block's output, as they lie in each picture or video.

    Args:
        states: of all patches, as the tower has them.
        grids: (t, h, w) patches of each.
        merge: patches per token and side.
        index: :func:`window_index` of a Qwen2.5-VL; None for towers without windows.
    """
    sizes = [(int(t), int(h), int(w)) for t, h, w in grids.tolist()]
    total = sum(t * h * w for t, h, w in sizes)
    if len(states) != total:
        raise ShapeError(f"there are {len(states)} states; the grids {grids.tolist()} have {total} patches")
    listed = states if index is None else states[window_order(index.to(states.device), unit=merge**2)]
    parts = listed.split([t * h * w for t, h, w in sizes])
    return [
        part.view(t, h * w, -1)[:, raster_order(h, w, merge).to(states.device)].view(t, h, w, -1)
        for part, (t, h, w) in zip(parts, sizes, strict=True)
    ]
