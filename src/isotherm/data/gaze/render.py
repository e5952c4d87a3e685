"""Points to maps: a Gaussian at every gaze, differentiable in its place and its width."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.data.gaze.clip import GazeClip
from isotherm.data.gaze.states import GazeState
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame, Size
from isotherm.ops.gaussian import outer, peak_vectors

WIDTH_SHARE = 3 / 64
"""Standard deviation as a share of the picture's width where none is asked for: that of Gaze-LLE's training maps."""


def render_gaze(
    cells: Float[Tensor, "*b t 2"],
    state: Int[Tensor, "*b t"],
    size: Size,
    *,
    sigma_cells: float | Float[Tensor, ""] | Float[Tensor, "2"],
) -> Float[Tensor, "*b t h w"]:
    """Maps of peak 1 at the gaze, of zeros where it is not TRACKED.

    The value of a cell is that of the Gaussian at its centre, so a map's highest value is 1 only where the gaze lies on
    a centre.

    Args:
        cells: (*batch, t, 2) places (x, y) in cells, edge-origin; what is not TRACKED may be NaN.
        state: (*batch, t) of :class:`GazeState`.
        size: (h, w) of the maps.
        sigma_cells: standard deviation in cells, one for both axes or (x, y); a tensor may be learned.

    Raises:
        ShapeError: states that do not go with the places.
        OptionError: a width that is no positive number.

    Example:
        >>> maps = render_gaze(torch.tensor([[1.5, 0.5]]), torch.tensor([0]), (2, 3), sigma_cells=1.0)
        >>> maps.shape, float(maps[0, 0, 1])
        (torch.Size([1, 2, 3]), 1.0)
    """
    if state.shape != cells.shape[:-1]:
        raise ShapeError(
            f"state has shape {tuple(state.shape)}; expected {tuple(cells.shape[:-1])}, one for each place"
        )
    sigma = torch.as_tensor(sigma_cells, dtype=cells.dtype, device=cells.device)
    tracked = state == GazeState.TRACKED
    # a place that is not known must not reach the gradient of the width: 0 times NaN is NaN
    places = torch.where(tracked[..., None], cells, 0.0)
    gx, gy = peak_vectors(places, _per_axis(sigma).expand(places.shape), size)
    return outer(gx, gy * tracked[..., None])


def render_clip(
    clip: GazeClip, size: Size, *, sigma_px: float | Float[Tensor, ""] | None = None
) -> Float[Tensor, "t h w"]:
    """Maps over a clip's frame, by its points, with a Gaussian that is round in the source picture.

    Args:
        clip: any; a clip of a store of maps is rendered by its points all the same.
        size: (h, w) of the maps, which span the clip's frame.
        sigma_px: standard deviation in source pixels; None: :data:`WIDTH_SHARE` of the picture's width. A tensor may be
            learned.

    Raises:
        OptionError: a width that is no positive number.
    """
    frame = clip.frame
    width = float(frame.source_size.reshape(-1, 2)[0, 1]) if frame.source_size.numel() else 1.0
    sigma = torch.as_tensor(WIDTH_SHARE * width if sigma_px is None else sigma_px, dtype=torch.float32)
    if not bool(torch.isfinite(sigma) & (sigma > 0)):
        raise OptionError(f"sigma_px is {float(sigma.detach())}; expected source pixels above 0")
    if not frame.is_upright or frame.batch_shape:
        return _turned(clip, frame.resized(size), sigma)
    # maps that span the frame show what it shows: places and widths are only scaled
    scale = torch.tensor([size[1] / frame.size[1], size[0] / frame.size[0]])
    return render_gaze(
        clip.cells.float() * scale, clip.state, size, sigma_cells=sigma * scale / frame.cell_size.flip(-1).float()
    )


def _per_axis(sigma: Tensor) -> Tensor:
    if sigma.ndim > 1 or (sigma.ndim == 1 and sigma.shape[0] != 2):
        raise ShapeError(f"sigma_cells has shape {tuple(sigma.shape)}; expected one number, or two: along x and y")
    if not torch.compiler.is_compiling() and not bool((torch.isfinite(sigma) & (sigma > 0)).all()):
        raise OptionError(f"sigma_cells is {sigma.tolist()}; expected finite numbers above 0, in cells of the map")
    return sigma if sigma.ndim else sigma.expand(2)


def _turned(clip: GazeClip, frame: Frame, sigma: Tensor) -> Tensor:
    """By the distance in source pixels of every cell's centre: a turned Gaussian is no product of two vectors."""
    h, w = frame.size
    ys, xs = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    centres = frame.points_to_source(
        torch.stack([xs, ys], -1).reshape(-1, 2).double().expand(*frame.batch_shape, -1, 2)
    )
    tracked = clip.state == GazeState.TRACKED
    places = torch.where(tracked[:, None], clip.xy, 0.0)
    squared = (centres - places[:, None]).square().sum(-1).float()
    least = math.log(torch.finfo(torch.float32).tiny) + 1
    maps = (-0.5 * squared / sigma**2).clamp(min=least).exp()
    return (maps * tracked[:, None]).reshape(len(clip), h, w)
