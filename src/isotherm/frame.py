"""Frame: which source pixel every cell of a map belongs to.

A map's cells and a picture's pixels are two rasters over the same scene. Every step between them,
letterbox, crop, flip, rotation, patch grid, stride, upsampling, is affine, so a chain of them is one
2x3 matrix, and that matrix is all a Frame holds, beside the two raster sizes.

Conventions
-----------
Coordinates are continuous with the origin at the top-left *edge*: the centre of pixel (or cell) ``i`` is ``i + 0.5``
and a raster of width w spans ``[0, w]``. Resizing is then a pure scaling, and half-pixel terms never appear. Points
are (x, y), sizes are (h, w), boxes are (x0, y0, x1, y1). Other conventions are converted by name in
:mod:`isotherm.ops.coordinates`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.errors import FrameError
from isotherm.size import Size as Size

Margin = tuple[float, float, float, float]
"""(left, top, right, bottom) in cells."""
NO_MARGIN: Margin = (0.0, 0.0, 0.0, 0.0)


def _size(size: Sequence[int] | Tensor, what: str) -> Size:
    with suppress(TypeError, ValueError, OverflowError):
        if len(sides := [int(v) for v in size]) == 2 and 1 <= min(sides) <= max(sides) < 1 << 31:
            return sides[0], sides[1]
    raise FrameError(f"{what} is {str(size)[:80]}; a size is (h, w), two whole numbers of at least 1")


def _matrix(a: float, b: float, c: float, d: float, e: float, f: float) -> Tensor:
    return torch.tensor([[a, b, c], [d, e, f]], dtype=torch.float64)


def compose_affine(outer: Float[Tensor, "*b 2 3"], inner: Float[Tensor, "*#b 2 3"]) -> Float[Tensor, "*b 2 3"]:
    """Affine map that applies ``inner`` first and ``outer`` second; both (..., 2, 3)."""
    linear = outer[..., :2] @ inner[..., :2]
    shift = outer[..., :2] @ inner[..., 2:] + outer[..., 2:]
    return torch.cat([linear, shift], dim=-1)


def invert_affine(matrix: Float[Tensor, "*b 2 3"]) -> Float[Tensor, "*b 2 3"]:
    """Inverse affine map; (..., 2, 3). Raises FrameError where the map is not invertible."""
    a, b = matrix[..., 0, 0], matrix[..., 0, 1]
    c, d = matrix[..., 1, 0], matrix[..., 1, 1]
    det = a * d - b * c
    # looking at values would break a compiled graph in two
    if not torch.compiler.is_compiling() and not bool((torch.isfinite(det) & (det != 0)).all()):
        raise FrameError(
            "an affine map with determinant 0 (or not finite) cannot be inverted; "
            "every scale must be a finite number other than 0"
        )
    adjugate = torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], -2)
    linear = adjugate / det[..., None, None]
    return torch.cat([linear, -linear @ matrix[..., 2:]], dim=-1)


def apply_affine(matrix: Float[Tensor, "*#b 2 3"], points: Float[Tensor, "*b n 2"]) -> Float[Tensor, "*b n 2"]:
    """Points (x, y) through an affine map, batched over the leading dimensions; one map may serve all of them."""
    return points @ matrix[..., :2].transpose(-1, -2) + matrix[..., None, :, 2]


@dataclass(frozen=True, eq=False)
class Frame:
    """The affine map from the cells of a raster to the pixels of its source picture.

    Args:
        to_source: (*batch, 2, 3), cell coordinates to source pixels, both edge-origin. Kept in float64,
            because a chain of ten float32 affines loses a hundredth of a pixel.
        size: (h, w) of the raster in cells, one for the whole batch.
        source_size: (*batch, 2), (h, w) of each source picture in pixels, whole numbers.
        margin: (left, top, right, bottom) in cells, one for the whole batch: how far beyond its outermost cells' edges
            the raster speaks, with the nearest cell's value; negative where it falls short of them. Convolutions with a
            stride leave cells that lie off centre over the input, so a grid of features sticks out of the input on one
            side and falls short on the other.

    Example:
        >>> frame = Frame.letterbox((480, 640), (256, 256)).to_grid(stride=4)
        >>> frame.size
        (64, 64)
        >>> frame.points_to_source(torch.tensor([[32.0, 32.0]])).tolist()   # the middle stays the middle
        [[320.0, 240.0]]
    """

    to_source: Float[Tensor, "*b 2 3"]
    size: Size
    source_size: Int[Tensor, "*b 2"]
    margin: Margin = NO_MARGIN

    def __post_init__(self) -> None:
        if self.to_source.shape[-2:] != (2, 3):
            raise FrameError(f"to_source has shape {tuple(self.to_source.shape)}; expected (*batch, 2, 3)")
        if tuple(self.source_size.shape) != (*self.to_source.shape[:-2], 2):
            raise FrameError(
                f"source_size has shape {tuple(self.source_size.shape)}; "
                f"expected {(*self.to_source.shape[:-2], 2)} to go with to_source {tuple(self.to_source.shape)}"
            )
        object.__setattr__(self, "size", _size(self.size, "size"))
        object.__setattr__(self, "margin", _margin(self.margin, self.size))
        if self.to_source.dtype != torch.float64:
            object.__setattr__(self, "to_source", self.to_source.to(torch.float64))

    # --- making one ---------------------------------------------------------------------------------

    @classmethod
    def identity(cls, size: Sequence[int]) -> Frame:
        """The frame of the source picture itself: one cell per pixel."""
        size = _size(size, "source size")
        return cls(_matrix(1, 0, 0, 0, 1, 0), size, torch.tensor(size))

    @classmethod
    def resize(cls, source_size: Sequence[int], size: Sequence[int]) -> Frame:
        """The picture stretched to ``size`` (h, w)."""
        return cls.identity(source_size).resized(size)

    @classmethod
    def letterbox(
        cls,
        source_size: Sequence[int],
        size: Sequence[int],
        *,
        align: Literal["centre", "corner"] = "centre",
        enlarge: bool = True,
    ) -> Frame:
        """The picture scaled with its aspect ratio kept and padded to ``size`` (h, w)."""
        return cls.identity(source_size).letterboxed(size, align=align, enlarge=enlarge)

    @classmethod
    def stack(cls, frames: Sequence[Frame]) -> Frame:
        """One batched frame from several of the same cell size, as a DataLoader collates them."""
        size, margin = _one_size(frames)
        return cls(
            torch.stack([f.to_source for f in frames]), size, torch.stack([f.source_size for f in frames]), margin
        )

    @classmethod
    def cat(cls, frames: Sequence[Frame]) -> Frame:
        """Batched frames one after the other, along the first dimension."""
        size, margin = _one_size(frames)
        return cls(torch.cat([f.to_source for f in frames]), size, torch.cat([f.source_size for f in frames]), margin)

    # --- chaining: each step says what happened to the raster next -------------------------------------

    def warped(self, to_previous: Float[Tensor, "*#b 2 3"], size: Sequence[int]) -> Frame:
        """The raster after any affine resampling.

        Args:
            to_previous: (*batch, 2, 3), from the *new* cells back to the present ones.
            size: (h, w) of the new raster.
        """
        matrix = compose_affine(self.to_source, to_previous.to(self.to_source))
        source_size = self.source_size.expand(*matrix.shape[:-2], 2)
        return type(self)(matrix, _size(size, "size"), source_size)

    def resized(self, size: Sequence[int]) -> Frame:
        """The raster stretched to ``size`` (h, w)."""
        new = _size(size, "size")
        sy, sx = self.size[0] / new[0], self.size[1] / new[1]
        left, top, right, bottom = self.margin
        return replace(
            self.warped(_matrix(sx, 0, 0, 0, sy, 0), new), margin=(left / sx, top / sy, right / sx, bottom / sy)
        )

    def to_grid(self, *, stride: int | tuple[int, int] | None = None, size: Sequence[int] | None = None) -> Frame:
        """The grid of a network's features over this raster: by ``stride`` (cells) or by its ``size`` (h, w).

        With ``stride`` the grid has floor(size / stride) cells, and each covers exactly stride x stride
        cells (a patch embedding drops the remainder). With ``size`` the grid spans the whole raster.
        """
        if (stride is None) == (size is None):
            raise FrameError("to_grid needs exactly one of stride= and size=")
        if size is not None:
            return self.resized(size)
        sy, sx = (stride, stride) if isinstance(stride, int) else (stride or (0, 0))
        if min(sy, sx) < 1 or sy > self.size[0] or sx > self.size[1]:
            raise FrameError(
                f"stride {stride} does not fit a raster of {self.size}; it must be from 1 to the raster's size"
            )
        return self.warped(_matrix(sx, 0, 0, 0, sy, 0), (self.size[0] // sy, self.size[1] // sx))

    def to_cells(self, first: tuple[float, float], stride: tuple[float, float], size: Sequence[int]) -> Frame:
        """Features whose first cell is *centred* at ``first`` (y, x) and whose cells lie ``stride`` (y, x) apart.

        All in this raster's cells, edge-origin. The grid's margin reaches to the limits of this raster on every side.
        """
        new = _size(size, "size")
        (sy, sx), (top, left) = stride, (first[0] - stride[0] / 2, first[1] - stride[1] / 2)
        if not min(sy, sx) > 0:
            raise FrameError(f"stride {stride} must be positive")
        x0, y0, x1, y1 = self.limits
        margin = ((left - x0) / sx, (top - y0) / sy, (x1 - left) / sx - new[1], (y1 - top) / sy - new[0])
        return replace(self.warped(_matrix(sx, 0, left, 0, sy, top), new), margin=margin)

    def cropped(self, box: Sequence[float]) -> Frame:
        """The part inside ``box`` (x0, y0, x1, y1) in present cells; it may reach outside (padding)."""
        x0, y0, x1, y1 = (float(v) for v in box)
        w, h = x1 - x0, y1 - y0
        if w != int(w) or h != int(h) or min(w, h) < 1:
            raise FrameError(
                f"crop box {tuple(box)} is {w} x {h} cells; both must be whole numbers of at least 1 (resize after cropping for others)"
            )
        return self.warped(_matrix(1, 0, x0, 0, 1, y0), (int(h), int(w)))

    def padded(self, left: int, top: int, right: int, bottom: int) -> Frame:
        """The raster with cells added (or, if negative, cut) on its four sides."""
        return self.cropped((-left, -top, self.size[1] + right, self.size[0] + bottom))

    def letterboxed(
        self, size: Sequence[int], *, align: Literal["centre", "corner"] = "centre", enlarge: bool = True
    ) -> Frame:
        """Scaled by one factor to fit ``size`` (h, w), rounded to whole cells, the rest padded.

        ``align`` says where the picture lies: in the centre (an odd padding cell goes right and below)
        or in the top-left corner. With ``enlarge=False`` small pictures are padded only.
        """
        if align not in ("centre", "corner"):
            raise FrameError(f"align is {align!r}; expected 'centre' or 'corner'")
        new = _size(size, "size")
        scale = min(new[0] / self.size[0], new[1] / self.size[1])
        if not enlarge:
            scale = min(scale, 1.0)
        inner = max(1, round(self.size[0] * scale)), max(1, round(self.size[1] * scale))
        free = new[0] - inner[0], new[1] - inner[1]
        top, left = (free[0] // 2, free[1] // 2) if align == "centre" else (0, 0)
        return self.resized(inner).padded(left, top, free[1] - left, free[0] - top)

    def flipped(self, direction: Literal["horizontal", "vertical"] = "horizontal") -> Frame:
        """Mirrored left-right (``horizontal``) or top-bottom (``vertical``)."""
        (h, w), (left, top, right, bottom) = self.size, self.margin
        if direction == "horizontal":
            return replace(self.warped(_matrix(-1, 0, w, 0, 1, 0), self.size), margin=(right, top, left, bottom))
        if direction == "vertical":
            return replace(self.warped(_matrix(1, 0, 0, 0, -1, h), self.size), margin=(left, bottom, right, top))
        raise FrameError(f"direction is {direction!r}; expected 'horizontal' or 'vertical'")

    def rotated(self, degrees: float, *, size: Sequence[int] | None = None) -> Frame:
        """Turned counter-clockwise (as seen) about the centre; the raster keeps its size unless given."""
        new = self.size if size is None else _size(size, "size")
        t = math.radians(degrees)
        # y points down: a counter-clockwise turn of the picture moves new cells back by a clockwise one
        cos, sin = math.cos(t), math.sin(t)
        cx, cy, nx, ny = self.size[1] / 2, self.size[0] / 2, new[1] / 2, new[0] / 2
        return self.warped(_matrix(cos, -sin, cx - cos * nx + sin * ny, sin, cos, cy - sin * nx - cos * ny), new)

    def tiles(self, size: Sequence[int], *, overlap: int = 0) -> list[Frame]:
        """Crops of ``size`` (h, w) that cover the raster, row by row; the last of a row is moved in, not cut."""
        h, w = _size(size, "tile size")
        h, w = min(h, self.size[0]), min(w, self.size[1])
        if not 0 <= overlap < min(h, w):
            raise FrameError(
                f"overlap {overlap} does not fit tiles of {(h, w)}; it must be from 0 to less than the tile"
            )
        ys = _starts(self.size[0], h, overlap)
        xs = _starts(self.size[1], w, overlap)
        return [self.cropped((x, y, x + w, y + h)) for y in ys for x in xs]

    def then(self, inner: Frame) -> Frame:
        """``inner``'s raster, whose source is this raster: cells -> this raster -> source."""
        expected = torch.tensor(self.size)
        if not bool((inner.source_size.cpu() == expected).all()):
            raise FrameError(
                f"the inner frame's source is {inner.source_size.tolist()} but this raster is {self.size}; "
                "the two must be the same raster"
            )
        return self.warped(inner.to_source, inner.size)

    # --- going through -------------------------------------------------------------------------------

    @property
    def from_source(self) -> Float[Tensor, "*b 2 3"]:
        """The inverse map, source pixels to cells; (*batch, 2, 3)."""
        return invert_affine(self.to_source)

    def points_to_source(self, points: Float[Tensor, "*b n 2"]) -> Float[Tensor, "*b n 2"]:
        """Points (x, y) in cells -> source pixels; differentiable."""
        return apply_affine(self.to_source.to(points), points)

    def points_from_source(self, points: Float[Tensor, "*b n 2"]) -> Float[Tensor, "*b n 2"]:
        """Points (x, y) in source pixels -> cells; differentiable."""
        return apply_affine(self.from_source.to(points), points)

    def boxes_to_source(self, boxes: Float[Tensor, "*b n 4"]) -> Float[Tensor, "*b n 4"]:
        """Boxes (x0, y0, x1, y1) in cells -> the upright boxes around them in source pixels."""
        return _boxes(boxes, self.points_to_source)

    def boxes_from_source(self, boxes: Float[Tensor, "*b n 4"]) -> Float[Tensor, "*b n 4"]:
        """Boxes (x0, y0, x1, y1) in source pixels -> the upright boxes around them in cells."""
        return _boxes(boxes, self.points_from_source)

    # --- looking -------------------------------------------------------------------------------------

    @property
    def batch_shape(self) -> torch.Size:
        """Shape of the leading dimensions; empty for a single frame."""
        return self.to_source.shape[:-2]

    @property
    def is_upright(self) -> bool:
        """True where rows stay rows: scale, shift and flips, no rotation or shear."""
        return bool((self.to_source[..., 0, 1] == 0).all() and (self.to_source[..., 1, 0] == 0).all())

    @property
    def cell_size(self) -> Float[Tensor, "*b 2"]:
        """Extent of a cell in source pixels, (*batch, 2) as (h, w)."""
        columns = self.to_source[..., :2].square().sum(-2).sqrt()
        return columns.flip(-1)

    @property
    def limits(self) -> tuple[float, float, float, float]:
        """(x0, y0, x1, y1) in cells: the area that the raster speaks for, its cells and its margin."""
        (h, w), (left, top, right, bottom) = self.size, self.margin
        return -left, -top, w + right, h + bottom

    def __bool__(self) -> bool:
        return True  # having a length must not make an empty batch, or a single frame, count as nothing

    def __getitem__(self, index: int | slice | Tensor | list[int]) -> Frame:
        if not self.batch_shape:
            raise FrameError("this frame is not batched, so it cannot be indexed")
        return replace(self, to_source=self.to_source[index], source_size=self.source_size[index])

    def __len__(self) -> int:
        if not self.batch_shape:
            raise FrameError("this frame is not batched, so it has no length")
        return self.batch_shape[0]

    def __iter__(self) -> Iterator[Frame]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        batch = f", batch={tuple(self.batch_shape)}" if self.batch_shape else ""
        sizes = sorted({f"{h}x{w}" for h, w in self.source_size.reshape(-1, 2).tolist()})
        source = " or ".join(sizes) if len(sizes) <= 3 else f"{len(sizes)} sizes of"
        return f"Frame({self.size[0]}x{self.size[1]} cells over {source} pixels{batch})"

    def expanded(self, n: int) -> Frame:
        """This single frame repeated as a batch of ``n``."""
        if self.batch_shape:
            raise FrameError(f"this frame is already batched {tuple(self.batch_shape)}; index it instead")
        return replace(self, to_source=self.to_source.expand(n, 2, 3), source_size=self.source_size.expand(n, 2))

    def allclose(self, other: Frame, *, atol: float = 1e-6) -> bool:
        """True where both describe the same cells of the same pictures, to ``atol`` source pixels per cell."""
        return (
            self.size == other.size
            and self.to_source.shape == other.to_source.shape
            and bool(torch.equal(self.source_size.cpu(), other.source_size.cpu()))
            and bool(torch.allclose(self.to_source.cpu(), other.to_source.cpu(), atol=atol, rtol=0))
            and _near(self.margin, other.margin)
        )


def _one_size(frames: Sequence[Frame]) -> tuple[Size, Margin]:
    if not frames:
        raise FrameError("there is nothing to join: the list of frames is empty")
    sizes = {f.size for f in frames}
    if len(sizes) > 1:
        raise FrameError(
            f"frames of different cell sizes {sorted(sizes)} cannot be one batch; bring the maps to one size first"
        )
    if not all(_near(f.margin, frames[0].margin) for f in frames):
        raise FrameError(f"frames of different margins {sorted({f.margin for f in frames})} cannot be one batch")
    return frames[0].size, frames[0].margin


def _margin(margin: Sequence[float], size: Size) -> Margin:
    sides = tuple(float(m) for m in margin)
    if len(sides) != 4 or not all(map(math.isfinite, sides)):
        raise FrameError(f"margin is {tuple(margin)}; expected four finite numbers (left, top, right, bottom) in cells")
    left, top, right, bottom = sides
    if size[1] + left + right <= 0 or size[0] + top + bottom <= 0:
        raise FrameError(f"margin {sides} leaves nothing of a raster of {size} cells")
    return left, top, right, bottom


def _near(a: Margin, b: Margin) -> bool:
    return all(abs(x - y) <= 1e-6 for x, y in zip(a, b, strict=True))


def _starts(total: int, part: int, overlap: int) -> list[int]:
    count = max(1, math.ceil((total - overlap) / (part - overlap)))
    return [min(i * (part - overlap), total - part) for i in range(count)]


def _boxes(boxes: Tensor, through) -> Tensor:
    x0, y0, x1, y1 = boxes.unbind(-1)
    corners = torch.stack([x0, y0, x1, y0, x0, y1, x1, y1], -1).unflatten(-1, (4, 2))
    moved = through(corners.flatten(-3, -2)).unflatten(-2, (boxes.shape[-2], 4))
    return torch.cat([moved.amin(-2), moved.amax(-2)], -1)
