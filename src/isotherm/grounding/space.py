"""Maps of several calibrated views -> one place in space, with its covariance and how far the views disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm import decode
from isotherm.data.grounding.cameras import Box, ViewCamera
from isotherm.decode.cameras import OrthographicView
from isotherm.decode.lift3d import Fusion, Lifted
from isotherm.errors import OptionError
from isotherm.frame import Frame, Size
from isotherm.heatmap import Heatmap
from isotherm.ops.resample import to_frame

DISAGREE = 2.0
"""Nats of disagreement above which the views mean different places (:class:`isotherm.decode.Lifted`)."""
LOOKS = 64
"""Voxels along an axis, at most, that are looked for in every picture."""


def lift_heatmaps(
    heatmaps: Sequence[Heatmap],
    cameras: Sequence[ViewCamera],
    *,
    bounds: Box,
    resolution: int = 64,
    fusion: Fusion = "product",
    names: Sequence[str] | None = None,
) -> Lifted:
    """The place that the maps of several views agree on.

    Args:
        heatmaps: single maps of logits or probabilities, one for every view, of any sizes.
        cameras: of the views. Where all are orthographic, views of ``bounds`` themselves, it is exact and fast.
        bounds: the box in which the place lies, in units of the world.
        resolution: voxels along each axis.
        fusion: "product", or "mean", in which one sharp map outweighs the others.
        names: of the views, for messages; numbers from 1 unless given.

    Returns:
        In double precision, since a world may begin far from its origin. Along no axis is the variance below that of a
        point anywhere in one voxel: nobody has looked within.

    Raises:
        OptionError: not one camera for every map, a single view, or a camera that sees nothing of the box.
    """
    if len(heatmaps) != len(cameras) or len(cameras) < 2:
        raise OptionError(
            f"there are {len(heatmaps)} maps and {len(cameras)} cameras; expected one of each for at least two views"
        )
    size = max(h.values.shape[-2] for h in heatmaps), max(h.values.shape[-1] for h in heatmaps)
    spread = [_over_its_picture(h, size) for h in heatmaps]
    maps = torch.stack([values for values, _ in spread]).double()
    if all(isinstance(c.camera, OrthographicView) and c.bounds == bounds for c in cameras):
        axes = [c.camera for c in cameras if isinstance(c.camera, OrthographicView)]
        lifted = decode.lift_orthographic(maps, views=axes, bounds=bounds, resolution=resolution, fusion=fusion)
        return _as_wide_as_a_voxel(lifted, bounds, resolution)
    frames = Frame.stack([frame for _, frame in spread])
    matrices = [_matrix(c, _size(h)) for c, h in zip(cameras, heatmaps, strict=True)]
    for i, (matrix, heatmap) in enumerate(zip(matrices, heatmaps, strict=True)):
        if not _sees(matrix, _size(heatmap), bounds, min(resolution, LOOKS)):
            raise OptionError(
                f"the camera of view {repr(names[i]) if names else i + 1} sees nothing of the box {[list(b) for b in bounds]}: it lies behind the camera or "
                "out of its picture; R and t go from the world to the camera, K is in pixels of the picture, bounds are in the units of t"
            )
    lifted = decode.lift_perspective(
        maps, torch.stack(matrices), bounds=bounds, resolution=resolution, fusion=fusion, frame=frames
    )
    return _as_wide_as_a_voxel(lifted, bounds, resolution)


def _as_wide_as_a_voxel(lifted: Lifted, bounds: Box, resolution: int) -> Lifted:
    low, high = torch.tensor(bounds, dtype=torch.float64)
    least = ((high - low) / resolution).square() / 12
    short = (least - lifted.covariance.diagonal()).clamp(min=0)
    return replace(lifted, covariance=lifted.covariance + torch.diag(short))


def _sees(matrix: Float[Tensor, "3 4"], size: Size, bounds: Box, count: int) -> bool:
    """Whether the middle of any of so many voxels a side lies in the picture."""
    low, high = torch.tensor(bounds, dtype=torch.float64)
    share = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    centres = [a + (b - a) * share for a, b in zip(low, high, strict=True)]
    seen = torch.cartesian_prod(*centres) @ matrix[:, :3].T + matrix[:, 3]
    shown = (seen[:, :2] >= 0) & (seen[:, :2] <= torch.tensor([size[1], size[0]]) * seen[:, 2:])
    return bool((shown.all(-1) & (seen[:, 2] > 0)).any())


def _matrix(camera: ViewCamera, size: Size) -> Float[Tensor, "3 4"]:
    if isinstance(camera.camera, OrthographicView):
        return camera.camera.matrix(bounds=torch.tensor(camera.bounds, dtype=torch.float64), size=size)
    return camera.camera.matrix[0].double()


def _size(heatmap: Heatmap) -> Size:
    h, w = (int(v) for v in heatmap.frame.source_size)
    return h, w


def _over_its_picture(heatmap: Heatmap, size: tuple[int, int]) -> tuple[Float[Tensor, "h w"], Frame]:
    """Log-probabilities on cells that cover exactly the picture, so that letterboxes and sizes no longer matter."""
    values = heatmap.values.float()
    if heatmap.kind == "probability":
        values = values.clamp(min=torch.finfo(values.dtype).tiny).log()
    whole = Frame.resize(_size(heatmap), size)
    if heatmap.frame.allclose(whole):
        return values, whole
    return to_frame(values, heatmap.frame, whole, outside="edge"), whole
