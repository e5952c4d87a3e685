"""Grasps of a parallel gripper as GG-CNN has them: quality, angle and width at every cell."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame, Size
from isotherm.heatmap import Heatmap
from isotherm.ops.gaussian import Sigma, outer, peak_vectors, sigma_per_axis
from isotherm.ops.place import OffFrame, place, raster
from isotherm.points import Points
from isotherm.targets.mixture import fused_state
from isotherm.training_map import TrainingMap


@dataclass(frozen=True, eq=False)
class GraspTarget:
    """What a network shall say of grasps at every cell.

    Args:
        quality: TrainingMap of (*batch, h, w) peak maps and (*batch) states: 1 at the grasps.
        cos2, sin2: (*batch, h, w), cosine and sine of twice the angle of the nearest grasp; 0 where not supervised.
            Twice, because a gripper turned by half a turn is the same grasp.
        width: (*batch, h, w) opening in cells; 0 where not supervised.
        supervised: (*batch, h, w), the cells at which angle and width are to be learned.
    """

    quality: TrainingMap
    cos2: Float[Tensor, "*b h w"]
    sin2: Float[Tensor, "*b h w"]
    width: Float[Tensor, "*b h w"]
    supervised: Bool[Tensor, "*b h w"]


def grasps(
    points: Points | Float[Tensor, "*b n 2"],
    angle_rad: Float[Tensor, "*b n"],
    width_px: Float[Tensor, "*b n"],
    frame: Frame | Size,
    *,
    sigma_cells: Sigma,
    within_sigmas: float = 1.0,
    state: Int[Tensor, "*b n"] | None = None,
    off_frame: OffFrame = "background",
) -> GraspTarget:
    """Maps of grasps: quality, cos and sin of twice the angle, and width.

    Args:
        points: (*batch, n, 2) centres of the grasps, (x, y) in source pixels, or Points with states of their own.
        angle_rad: (*batch, n) of the line between the fingers, from the x axis towards the y axis, so clockwise as
            seen; the negative of an angle that is counted counter-clockwise. In the source picture: a frame that turns
            or mirrors the picture turns the angle with it.
        width_px: (*batch, n) distance between the fingers in source pixels.
        frame: of the maps, single or batched as the first dimensions of the points; or a size (h, w), and everything is
            in its cells.
        sigma_cells: of the quality's Gaussians, as of :func:`isotherm.targets.gaussian`.
        within_sigmas: how near to a grasp, in sigmas, angle and width are supervised. The cell that holds a grasp
            always is.
        state, off_frame: as of :func:`isotherm.targets.gaussian`. A grasp whose angle or width is not finite is
            UNLABELLED.

    Returns:
        GraspTarget. Where grasps meet, quality is the larger, and angle and width are those of the nearer one, in
        sigmas.

    Raises:
        ShapeError: parts that do not fit one another.
        OptionError: a width that is negative, a sigma or ``within_sigmas`` that is not a positive number.

    Source: Morrison et al., "Closing the loop for robotic grasping" (RSS 2018), section IV-B, with Gaussians at the
    exact centres in place of the painted middle thirds of grasp rectangles, and widths in cells, not in units of 150
    pixels.

    Example:
        >>> found = grasps(torch.tensor([[3.0, 1.0]]), torch.tensor([0.0]), torch.tensor([4.0]), Frame.resize((2, 6), (1, 3)), sigma_cells=0.5)
        >>> found.width.tolist(), found.cos2.tolist(), found.supervised.tolist()
        ([[0.0, 2.0, 0.0]], [[0.0, 1.0, 0.0]], [[False, True, False]])
    """
    if not 0 < within_sigmas < float("inf"):
        raise OptionError(f"within_sigmas is {within_sigmas}; expected a finite number above 0")
    xy = points.xy if isinstance(points, Points) else points
    for name, value in (("angle_rad", angle_rad), ("width_px", width_px)):
        if value.shape != xy.shape[:-1]:
            raise ShapeError(
                f"{name} has shape {tuple(value.shape)}; expected {tuple(xy.shape[:-1])}, one for every grasp"
            )
    complete = torch.isfinite(angle_rad) & torch.isfinite(width_px)
    at = place(_without(points, complete), frame, state=state, off_frame=off_frame)
    if not torch.compiler.is_compiling() and bool((at.shown & (width_px < 0)).any()):
        raise OptionError(f"a width is {float(width_px[at.shown & (width_px < 0)][0]):g} pixels; expected at least 0")
    sigma, grid = sigma_per_axis(sigma_cells, at.cells), raster(frame)
    gx, gy = peak_vectors(at.cells, sigma, grid.size)
    maps = outer(gx * at.shown[..., None], gy)
    quality = maps.amax(-3) if maps.shape[-3] else maps.new_zeros(*maps.shape[:-3], *grid.size)
    target = TrainingMap(Heatmap(quality, grid, "peak"), fused_state(at.state, at.shown))
    angle, width = (torch.where(complete, v, 0.0).to(at.cells) for v in (angle_rad, width_px))
    ahead = _direction_in_cells(angle, frame)
    length = ahead.norm(dim=-1)
    cos, sin = (ahead / length[..., None]).unbind(-1)
    # cos 2a = cos^2 - sin^2 and sin 2a = 2 sin cos: no angle is ever taken
    channels = torch.stack([cos.square() - sin.square(), 2 * sin * cos, width * length], -1)
    nearest, supervised = _nearest(at.cells.detach(), sigma.detach(), at.shown, grid.size, within_sigmas)
    picked = _pick(channels, nearest) * supervised[..., None]
    return GraspTarget(target, picked[..., 0], picked[..., 1], picked[..., 2], supervised)


def _without(points: Points | Tensor, complete: Tensor) -> Points | Tensor:
    """A grasp without an angle or a width has no place either, so that its state becomes UNLABELLED."""
    if isinstance(points, Points):
        return Points(torch.where(complete[..., None], points.xy, torch.nan), state=points.state)
    return torch.where(complete[..., None], points, torch.nan)


def _direction_in_cells(angle: Tensor, frame: Frame | Size) -> Float[Tensor, "*b n 2"]:
    """What a step of one source pixel along the angle is in cells: the difference of two points through the frame."""
    ahead = torch.stack([angle.cos(), angle.sin()], -1)
    if not isinstance(frame, Frame):
        return ahead
    here = torch.zeros_like(ahead)
    return Points(ahead).to_cells(frame).xy - Points(here).to_cells(frame).xy


def _nearest(
    cells: Tensor, sigma: Tensor, shown: Tensor, size: Size, within: float
) -> tuple[Int[Tensor, "*b h w"], Bool[Tensor, "*b h w"]]:
    """Index of the nearest grasp of every cell, and whether it is near enough or the cell holds it."""
    h, w = size
    if cells.shape[-2] == 0:
        empty = torch.zeros(*cells.shape[:-2], h, w, dtype=torch.long, device=cells.device)
        return empty, empty.bool()
    x = torch.arange(w, device=cells.device, dtype=cells.dtype) + 0.5
    y = torch.arange(h, device=cells.device, dtype=cells.dtype) + 0.5
    dx, dy = x - cells[..., 0, None], y - cells[..., 1, None]
    far = (dx / sigma[..., 0, None]).square()[..., None, :] + (dy / sigma[..., 1, None]).square()[..., :, None]
    # a grasp on the far edge belongs to the last cell
    column, row = cells[..., 0].floor().clamp(max=w - 1), cells[..., 1].floor().clamp(max=h - 1)
    on_raster = ((cells >= 0) & (cells <= torch.tensor([w, h], device=cells.device))).all(-1)
    holds = (x - 0.5 == column[..., None])[..., None, :] & (y - 0.5 == row[..., None])[..., :, None]
    holds = holds & on_raster[..., None, None]
    far = torch.where(shown[..., None, None], far, torch.inf)
    least, nearest = far.min(-3)
    held = (holds & shown[..., None, None]).any(-3)
    return nearest, (least <= within**2) | held


def _pick(channels: Tensor, nearest: Tensor) -> Tensor:
    """(*b, n, c) values and (*b, h, w) indices -> (*b, h, w, c)."""
    if channels.shape[-2] == 0:
        return channels.new_zeros(*nearest.shape, channels.shape[-1])
    flat = nearest.flatten(-2)[..., None].expand(*nearest.shape[:-2], -1, channels.shape[-1])
    return channels.gather(-2, flat).unflatten(-2, nearest.shape[-2:])
