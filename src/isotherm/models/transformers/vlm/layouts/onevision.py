"""Vision tokens of LLaVA-OneVision: the whole picture in a square, then tiles of a letterboxed one whose tokens run on
from tile to tile.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import ShapeError
from isotherm.frame import Frame, Size
from isotherm.models.transformers.vlm.layouts.layout import VideoTokens, VisionLayout, moment_times
from isotherm.models.transformers.vlm.layouts.squares import SquareLayout
from isotherm.vlm.tokens import PictureTokens, TokenGrid


class PaddedLayout(SquareLayout):
    """The picture in the middle of a square as wide as its longer side, resized to ``side``: LLaVA's with padding."""

    def squares(self, size: Size) -> list[Frame]:
        return [padded_square(size, self.side)]


def padded_square(size: Size, side: int) -> Frame:
    """The frame of a picture padded to a square and then resized; an odd pixel of padding goes right and below."""
    h, w = size
    free = max(size) - h, max(size) - w
    top, left = free[0] // 2, free[1] // 2
    return Frame.identity(size).padded(left, top, free[1] - left, free[0] - top).resized((side, side))


@dataclass(frozen=True)
class _Plan:
    """How one picture is laid out: tiles, the map of all their tokens, its part that is kept, and the size to which
    that is shrunk.
    """

    tiles: Size
    whole: Size
    top: int
    left: int
    kept: Size
    shrunk: Size


class OneVisionLayout(VisionLayout):
    """A prompt's only picture: a whole square, then the tiles' tokens row by row over all tiles, a token that stands
    for no place after each row.

    The tiles' picture keeps its shape and is letterboxed onto the smallest canvas that loses least; rows and columns of
    tokens that are padding are cut off, and where more than ``most`` squares of tokens are left, they are shrunk, each
    token a mean of two by two between which it lies. Where the side is no multiple of the patch, the last pixels of
    each tile are not seen, so tokens are not evenly spaced from tile to tile, and each evenly spaced block of them has
    a grid of its own. Pictures of a prompt with several are each padded to one square instead. A video's frames are
    squashed squares of a quarter of the tokens.

    Args:
        side: pixels of a tile.
        patch: pixels of a token.
        canvases: (h, w) in pixels, of whole tiles.
        most: the number in ``anyres_max_9``; None: never shrunk, as LLaVA-NeXT has it, which also cuts up each of
            several pictures.

    Source: Li et al., "LLaVA-OneVision" (2024), section 3.2; ``LlavaOnevisionImageProcessor`` and
        ``pack_image_features`` of transformers 5.
    """

    def __init__(self, *, side: int, patch: int, canvases: Iterable[Sequence[int]], most: int | None = 9) -> None:
        self.side, self.patch, self.most = side, patch, most
        self.canvases = [(int(h), int(w)) for h, w in canvases]
        self.n = side // patch
        bad = [canvas for canvas in self.canvases if canvas[0] % side or canvas[1] % side]
        if bad:
            raise ShapeError(f"canvases {bad} are not of whole tiles of {side} pixels")

    def pictures(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[PictureTokens]:
        return [
            self._tiled(size) if alone else self._padded(size)
            for size, alone in zip(sizes, self._alone(inputs, sizes), strict=True)
        ]

    def pixels(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[Float[Tensor, "n 3"]]:
        parts = []
        for tiles, size, alone in zip(inputs["pixel_values"], sizes, self._alone(inputs, sizes), strict=True):
            means = F.avg_pool2d(tiles.float(), self.patch)
            base = means[0].flatten(1)
            nowhere = base.new_full((3, 1), torch.nan)
            if not alone:
                parts.append(torch.cat([base, nowhere], 1).T)
                continue
            plan = self._plan(size)
            rows, columns = plan.tiles
            if len(means) < 1 + rows * columns:
                raise ShapeError(
                    f"the processor made {len(means) - 1} tiles of a picture of {size[0]} x {size[1]}; its layout says {rows} x {columns}"
                )
            grid = (
                means[1 : 1 + rows * columns]
                .view(rows, columns, 3, self.n, self.n)
                .permute(2, 0, 3, 1, 4)
                .reshape(3, *plan.whole)
            )
            grid = grid[:, plan.top : plan.top + plan.kept[0], plan.left : plan.left + plan.kept[1]]
            if plan.shrunk != plan.kept:
                grid = F.interpolate(grid[None], plan.shrunk, mode="bilinear")[0]
            ended = torch.cat([grid, nowhere[:, None].expand(3, plan.shrunk[0], 1)], 2)
            parts.append(torch.cat([base, ended.flatten(1)], 1).T)
        return parts

    def videos(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[VideoTokens]:
        """A grid per frame, and one token that stands for no place after the last; their times where inputs have
        ``video_metadata``.
        """
        m, videos = -(-self.n // 2), []
        if len(inputs["pixel_values_videos"]) != len(sizes):
            raise ShapeError(
                f"the prompt holds {len(inputs['pixel_values_videos'])} videos; {len(sizes)} sizes were given"
            )
        for i, (video, size) in enumerate(zip(inputs["pixel_values_videos"], sizes, strict=True)):
            frame = Frame.resize(size, (self.side, self.side)).to_grid(stride=self.patch).resized((m, m))
            moments = tuple(
                PictureTokens(size, (TokenGrid(frame, k * m * m + torch.arange(m * m).view(m, m)),), m * m)
                for k in range(len(video))
            )
            videos.append(VideoTokens(size, moments, len(video) * m * m + 1, *moment_times(inputs, i, len(video), 1)))
        return videos

    def video_pixels(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[Float[Tensor, "n 3"]]:
        m, parts = -(-self.n // 2), []
        for video in inputs["pixel_values_videos"]:
            pooled = F.interpolate(F.avg_pool2d(video.float(), self.patch), (m, m), mode="bilinear")
            means = pooled.flatten(2).transpose(1, 2).reshape(-1, 3)
            parts.append(torch.cat([means, means.new_full((1, 3), torch.nan)]))
        return parts

    def _alone(self, inputs: Mapping[str, Any], sizes: Sequence[Size]) -> list[bool]:
        """Whether each picture is the only one of its prompt, which is what decides."""
        counts = inputs.get("batch_num_images")
        flags = (
            [int(n) == 1 for n in counts for _ in range(int(n))]
            if counts is not None
            else [True] * len(inputs["pixel_values"])
        )
        if len(flags) != len(sizes):
            raise ShapeError(f"the prompt holds {len(flags)} pictures; {len(sizes)} sizes were given")
        return flags

    def _plan(self, size: Size) -> _Plan:
        from transformers.image_processing_utils import select_best_resolution

        h, w = size
        canvas = select_best_resolution(size, self.canvases)
        tiles = canvas[0] // self.side, canvas[1] // self.side
        rows, columns = whole = tiles[0] * self.n, tiles[1] * self.n
        top = left = 0
        # which side is padded is asked of the tokens and not of the pixels, as the model does
        if w / h > columns / rows:
            top = (rows - int(round(h * (columns / w), 7))) // 2
        else:
            left = (columns - int(round(w * (rows / h), 7))) // 2
        kept = rows - 2 * top, columns - 2 * left
        ratio = math.sqrt(kept[0] * kept[1] / (self.most * self.n**2)) if self.most else 1.0
        return _Plan(
            tiles, whole, top, left, kept, (int(kept[0] // ratio), int(kept[1] // ratio)) if ratio > 1.1 else kept
        )

    def _padded(self, size: Size) -> PictureTokens:
        return PictureTokens(size, (self._base(padded_square(size, self.side)),), self.n**2 + 1)

    def _base(self, square: Frame) -> TokenGrid:
        return TokenGrid(square.to_grid(stride=self.patch), torch.arange(self.n**2).view(self.n, self.n))

    def _tiled(self, size: Size) -> PictureTokens:
        plan, (h, w) = self._plan(size), size
        height, width = plan.tiles[0] * self.side, plan.tiles[1] * self.side
        across, down = width / w, height / h
        inner = (
            (min(math.ceil(h * across), height), width) if across < down else (height, min(math.ceil(w * down), width))
        )
        top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
        canvas = Frame.resize(size, inner).padded(left, top, width - inner[1] - left, height - inner[0] - top)
        rows, columns = plan.shrunk
        # the end of a row counts as a column
        token = self.n**2 + torch.arange(rows * (columns + 1)).view(rows, columns + 1)
        grids = [self._base(Frame.resize(size, (self.side, self.side)))]
        for i, below, y, dy in self._runs(plan.top, plan.kept[0], rows):
            for j, beside, x, dx in self._runs(plan.left, plan.kept[1], columns):
                to_canvas = torch.tensor([[dx, 0, x - dx / 2], [0, dy, y - dy / 2]], dtype=torch.float64)
                grids.append(TokenGrid(canvas.warped(to_canvas, (below - i, beside - j)), token[i:below, j:beside]))
        return PictureTokens(size, tuple(grids), int(self.n**2 + token.numel()))

    def _runs(self, first: int, count: int, shrunk: int) -> list[tuple[int, int, float, float]]:
        """Evenly spaced tokens of one axis: from which to before which, where the first one's centre lies on the
        canvas, and the step.

        None at all where the picture is narrower than a token of its tiles: the model then cuts everything off but the
        ends of the rows.
        """
        if shrunk == 0:
            return []
        patches = first + torch.arange(count)
        centres = (patches // self.n * self.side + (patches % self.n + 0.5) * self.patch).double()
        step = self.patch * count / shrunk
        if shrunk != count:
            at = ((torch.arange(shrunk).double() + 0.5) * count / shrunk - 0.5).clamp(0, count - 1)
            low = at.long()
            centres = centres[low].lerp(centres[(low + 1).clamp(max=count - 1)], at - low)
        breaks = [0, *((centres.diff() - step).abs() > 1e-6).nonzero().flatten().add(1).tolist(), shrunk]
        return [(a, b, float(centres[a]), step) for a, b in pairwise(breaks)]
