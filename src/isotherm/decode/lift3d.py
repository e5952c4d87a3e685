"""Heatmaps of several views -> one point of the world, with its covariance and how far the views disagree.

The volume of scores is never held. A view along an axis does not depend on that axis, so orthographic views need none
(:mod:`isotherm.decode.planes`), where perspective cameras must sample every voxel, slab by slab. Both give the best
voxel, and the marginals of the posterior over pairs of axes, from which its mean and covariance follow exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from isotherm.decode.cameras import AXES, FRONT, RIGHT, TOP, Cameras, OrthographicView
from isotherm.decode.planes import Planes, search
from isotherm.decode.reading import Maps, read_maps
from isotherm.decode.volume import Field, moments, walk, within
from isotherm.errors import FrameError, OptionError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.ops.resample import interpolation_matrix

Fusion = Literal["product", "mean"]
"""How views are joined: the product of their probabilities (a sum of logarithms), or their arithmetic mean."""
Bounds = Sequence[Sequence[float]] | Tensor
CUBE = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))
AnyField = TypeVar("AnyField", bound=Field)


@dataclass(frozen=True, eq=False)
class Lifted:
    """A point of the world per picture set.

    Args:
        xyz: (*batch, 3) the best voxel, refined within it.
        mean: (*batch, 3) mean of the posterior over the voxels; differentiable in the maps.
        covariance: (*batch, 3, 3) of the posterior, in squared units of the world. The posterior is the product of the
            views' probabilities whatever the fusion: a mean of views runs along every line of sight through the volume.
            It is that of the voxels' middles, so 0 where one voxel has all of it.
        score: (*batch) the views' geometric (product) or arithmetic (mean) mean probability at the best voxel.
        disagreement: (*batch) by how many nats the views' log-probabilities at the best voxel fall short of each view's
            own best, in the mean over views. 0: all views have their peak there; half the squared distance in standard
            deviations otherwise, so above about 2 the views mean different points.
    """

    xyz: Float[Tensor, "*b 3"]
    mean: Float[Tensor, "*b 3"]
    covariance: Float[Tensor, "*b 3 3"]
    score: Float[Tensor, "*b"]
    disagreement: Float[Tensor, "*b"]


def lift_orthographic(
    maps: Heatmap | Float[Tensor, "*b v h w"],
    *,
    views: Sequence[OrthographicView] = (TOP, FRONT, RIGHT),
    bounds: Bounds = CUBE,
    resolution: int | Sequence[int] | None = None,
    fusion: Fusion = "product",
    frame: Frame | None = None,
) -> Lifted:
    """The point of a box that orthographic views along its axes agree on; exact.

    Args:
        maps: (*batch, v, h, w) logits, or a Heatmap of logits or probabilities, one map per view.
        views: what each map shows; together they must show all three axes. By default top (x, y), front (y, z), right
            (x, z).
        bounds: the box, ((x, y, z) lowest, (x, y, z) highest) in units of the world; or a tensor (2, 3) or (*batch, 2,
            3).
        resolution: voxels along each axis, or (x, y, z); as many as the longer side of the maps unless given. Voxel
            centres are read from the maps by bilinear interpolation; with as many voxels as cells the cells are the
            voxels.
        fusion: ``"product"`` adds log-probabilities. ``"mean"`` averages probabilities; one sharp map outweighs the
            others.
        frame: of plain values: a single upright one, whose source picture is the box. The maps fill it unless given.

    Raises:
        KindError: maps that are neither logits nor probabilities.
        ShapeError: not as many maps as views.
        OptionError: views that do not show all axes, or other options outside of the above.
        FrameError: a frame that is batched or turned.

    Source: the mean is the fusion of "RVT-2" (Goyal et al., RSS 2024) and "BridgeVLA" (2025), whose volume of voxels it
    gives; the product is Hinton, "Training products of experts" (2002), eq. 1.

    Example:
        >>> maps = torch.full((3, 8, 8), -20.0)
        >>> maps[0, 7, 4] = maps[1, 1, 0] = maps[2, 1, 4] = 0.0  # y grows upwards in the top view, z in the others
        >>> lift_orthographic(maps, bounds=((0, 0, 0), (8, 8, 8))).xyz.tolist()
        [4.5, 0.5, 6.5]
    """
    read = read_maps(maps, frame, kinds=("logits", "probability"))
    if read.values.shape[-3] != len(views):
        raise ShapeError(
            f"there are {read.values.shape[-3]} maps for {len(views)} views; expected (*batch, v, h, w) with one map per view"
        )
    shown = {axis for view in views for axis in (view.columns[1], view.rows[1])}
    if shown != set(AXES):
        raise OptionError(f"the views show the axes {sorted(shown)}; a point needs views that together show x, y and z")
    if read.frame.batch_shape or not read.frame.is_upright:
        raise FrameError(
            f"the maps have {read.frame!r}; orthographic views need a single upright frame over the box (resample the maps, or use lift_perspective)"
        )
    voxels = _voxels(resolution, max(read.values.shape[-2:]))

    def planes(values: Tensor) -> Planes:
        tables = [_table(values[:, i], view, voxels, read.frame) for i, view in enumerate(views)]
        return Planes.of(tables, voxels)

    return _lift(read, bounds, voxels, fusion, planes, search)


def lift_perspective(
    maps: Heatmap | Float[Tensor, "*b v h w"],
    cameras: Cameras | Float[Tensor, "*b v 3 4"],
    *,
    bounds: Bounds,
    resolution: int | Sequence[int],
    fusion: Fusion = "product",
    frame: Frame | None = None,
) -> Lifted:
    """The point of a box that cameras of any kind agree on, by sampling every voxel in every view.

    A voxel that a view does not show (out of its map, or behind the camera) has the view's lowest probability: a map is
    a distribution over what it shows.

    Args:
        maps: (*batch, v, h, w) logits, or a Heatmap of logits or probabilities, one map per camera.
        cameras: v of them, single or batched as the maps; or their matrices, from homogeneous points of the world to
            homogeneous source pixels, such as :meth:`isotherm.decode.OrthographicView.matrix` beside those of
            perspective cameras.
        bounds, resolution, fusion: as of :func:`lift_orthographic`. Time grows with the number of voxels; a coarse
            search and a fine one around its answer is faster than a fine one over everything.
        frame: of plain values: cells -> source pixels, single, or batched as the first of the dimensions (*batch, v).
            The cells are the cameras' pixels unless given.

    Raises:
        KindError, OptionError: as of :func:`lift_orthographic`.
        ShapeError: cameras that do not fit the maps.
    """
    if (maps.values if isinstance(maps, Heatmap) else maps).ndim < 3:
        raise ShapeError("the maps are a single one; expected (*batch, v, h, w), one map per camera")
    # one axis more, so that frames may differ from view to view
    if isinstance(maps, Heatmap):
        read = read_maps(maps.with_(values=maps.values[..., None, :, :]), frame, kinds=("logits", "probability"))
    else:
        read = read_maps(maps[..., None, :, :], frame, kinds=("logits", "probability"))
    read = Maps(read.values.squeeze(-3), read.frame, read.kind)
    lead = tuple(read.values.shape[:-2])
    projection = cameras.matrix if isinstance(cameras, Cameras) else cameras
    rig = tuple(projection.shape[:-2])
    if rig != lead[len(lead) - len(rig) :]:
        raise ShapeError(
            f"there are cameras {rig} for maps {tuple(read.values.shape)}; expected (v,) or (*batch, v), one camera per map"
        )
    voxels = _voxels(resolution, 0)
    batch = _count(lead[:-1])
    # source pixels -> cells, folded into the cameras
    affine = read.frame.from_source.to(projection.device)
    affine = affine.reshape(*affine.shape[:-2], *[1] * (len(lead) - len(read.frame.batch_shape)), 2, 3)
    last = torch.tensor([[0.0, 0.0, 1.0]]).to(affine).expand(*affine.shape[:-2], 1, 3)
    matrix = torch.cat([affine, last], -2) @ projection.double()
    matrix = matrix.expand(*lead, 3, 4).reshape(batch, lead[-1], 3, 4)
    # voxel indices -> the world, folded in as well
    low, high = _corners(bounds, lead[:-1], matrix)
    step = (high - low) / matrix.new_tensor(voxels)
    from_voxels = torch.cat(
        [matrix[..., :3] * step[:, None, None], (matrix[..., :3] @ low[:, None, :, None]) + matrix[..., 3:]], -1
    )

    return _lift(read, bounds, voxels, fusion, lambda values: _Rays(values, from_voxels.to(values), voxels), walk)


@dataclass(frozen=True, eq=False)
class _Rays(Field):
    """Perspective views: (b, v, h, w) maps, and (b, v, 3, 4) from edge-origin voxel coordinates to homogeneous
    cells.
    """

    values: Tensor
    matrix: Tensor
    voxels: tuple[int, int, int]

    def total(self, start: int, stop: int) -> Tensor:
        x, y = (torch.arange(n, device=self.values.device) for n in self.voxels[:2])
        z = torch.arange(start, stop, device=self.values.device)
        zyx = torch.stack(torch.meshgrid(z, y, x, indexing="ij"), -1)
        index = zyx.flip(-1).reshape(1, -1, 3)
        return self.each(index).sum(1).unflatten(-1, tuple(zyx.shape[:3]))

    def each(self, index: Tensor) -> Tensor:
        b, v, h, w = self.values.shape
        at = (index + 0.5).to(self.values)[:, None]
        seen = at @ self.matrix[..., :3].transpose(-1, -2) + self.matrix[..., None, :, 3]
        depth = seen[..., 2:]
        cells = seen[..., :2] / torch.where(depth > 0, depth, torch.ones_like(depth))
        size = cells.new_tensor([w, h])
        shown = (depth[..., 0] > 0) & (cells >= 0).all(-1) & (cells <= size).all(-1)
        # grid_sample's -1 to 1 without align_corners is from edge to edge, as a frame's 0 to w
        grid = (2 * cells / size - 1).reshape(b * v, 1, -1, 2)
        sampled = F.grid_sample(
            self.values.reshape(b * v, 1, h, w), grid, mode="bilinear", padding_mode="border", align_corners=False
        )
        return torch.where(shown, sampled.reshape(b, v, -1), self.values.flatten(2).amin(-1, keepdim=True))


def _lift(
    read: Maps,
    bounds: Bounds,
    voxels: tuple[int, int, int],
    fusion: Fusion,
    make: Callable[[Tensor], AnyField],
    look: Callable[[AnyField, AnyField, int, tuple[int, int, int]], tuple[Tensor, tuple[Tensor, Tensor, Tensor]]],
) -> Lifted:
    if fusion not in get_args(Fusion):
        raise OptionError(f"fusion is {fusion!r}; expected 'product' or 'mean'")
    lead = tuple(read.values.shape[:-3])
    values = read.values.reshape(-1, *read.values.shape[-3:])
    logs = _log_probability(values, read.kind)
    field = make(logs)
    ranked = field if fusion == "product" else make(logs.exp())
    best, marginals = look(field, ranked, len(values), voxels)
    at_best = field.each(best[:, None])[..., 0]
    score = at_best.mean(1).exp() if fusion == "product" else ranked.each(best[:, None])[..., 0].mean(1)
    shortfall = (logs.flatten(2).amax(-1) - at_best).clamp(min=0).mean(1)
    refined = best + 0.5 + within(ranked, best, voxels, logarithm=fusion == "mean")
    mean, covariance = moments(*marginals)
    low, high = (corner.to(mean) for corner in _corners(bounds, lead, mean))
    step = (high - low) / mean.new_tensor(voxels)
    parts = (
        low + refined * step,
        low + mean * step,
        covariance * step[:, :, None] * step[:, None, :],
        score,
        shortfall,
    )
    xyz, mean, covariance, score, shortfall = (p.to(values).reshape((*lead, *p.shape[1:])) for p in parts)
    return Lifted(xyz, mean, covariance, score, shortfall)


def _log_probability(values: Tensor, kind: str) -> Tensor:
    if kind == "logits":
        logs = values.flatten(2).log_softmax(-1).view_as(values)
    else:
        logs = (values / values.sum((-1, -2), keepdim=True)).clamp(min=torch.finfo(values.dtype).tiny).log()
    return logs.clamp(min=-1e4)  # -inf times an interpolation weight of 0 would be NaN


def _table(logs: Tensor, view: OrthographicView, voxels: tuple[int, int, int], frame: Frame) -> Tensor:
    """(b, h, w) of a view -> (b, z, y, x), of length 1 along the axis that it does not show."""
    affine = frame.from_source.cpu()
    source = [int(s) for s in frame.source_size]

    def weights(axis: str, i: int) -> Tensor:
        """Of the cells along x (i = 0) or y (i = 1) of the picture for every voxel along this axis of the world."""
        count = voxels[AXES.index(axis[1])]
        centres = (torch.arange(count, dtype=torch.float64) + 0.5) / count
        at = (centres if axis[0] == "+" else 1 - centres) * source[1 - i] * affine[i, i] + affine[i, 2]
        return interpolation_matrix(at, logs.shape[-1 - i], outside="edge").to(logs)

    table = weights(view.rows, 1) @ logs @ weights(view.columns, 0).T
    if AXES.index(view.rows[1]) < AXES.index(view.columns[1]):
        table = table.transpose(1, 2)
    hidden = next(a for a in AXES if a not in (view.columns[1], view.rows[1]))
    return table.unsqueeze(3 - AXES.index(hidden)).contiguous()


def _voxels(resolution: int | Sequence[int] | None, default: int) -> tuple[int, int, int]:
    counts = (
        [default if resolution is None else resolution] * 3
        if resolution is None or isinstance(resolution, int)
        else list(resolution)
    )
    if len(counts) != 3 or min(counts) < 2:
        raise OptionError(
            f"resolution is {resolution}; expected a number of voxels of at least 2, or three: along x, y and z"
        )
    return counts[0], counts[1], counts[2]


def _corners(bounds: Bounds, lead: tuple[int, ...], like: Tensor) -> tuple[Tensor, Tensor]:
    """Lowest and highest corner, (b, 3) each, double."""
    corners = torch.as_tensor(bounds, dtype=torch.float64, device=like.device)
    if corners.shape[-2:] != (2, 3) or tuple(corners.shape[:-2]) not in ((), lead):
        raise ShapeError(
            f"bounds have shape {tuple(corners.shape)}; expected (2, 3), lowest and highest (x, y, z), or {(*lead, 2, 3)}"
        )
    if not bool((corners[..., 0, :] < corners[..., 1, :]).all()):
        raise OptionError(f"bounds are {corners.tolist()}; the first corner must be below the second along every axis")
    corners = corners.expand(*lead, 2, 3).reshape(-1, 2, 3)
    return corners[:, 0], corners[:, 1]


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for n in shape:
        total *= n
    return total
