"""Maps of several calibrated views -> one place in space, with its covariance and how far the views disagree."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm import decode
from isotherm.data.grounding.cameras import Box, ViewCamera
from isotherm.decode.cameras import Cameras, OrthographicView
from isotherm.decode.lift3d import Fusion, Lifted
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.ops.resample import to_frame

DISAGREE = 2.0
"""Nats of disagreement above which the views mean different places (:class:`isotherm.decode.Lifted`)."""


def lift_heatmaps(
    heatmaps: Sequence[Heatmap],
    cameras: Sequence[ViewCamera],
    *,
    bounds: Box,
    resolution: int = 64,
    fusion: Fusion = "product",
) -> Lifted:
    """The place that the maps of several views agree on.

    Args:
        heatmaps: single maps of logits or probabilities, one for every view, of any sizes.
        cameras: of the views, all perspective or all orthographic.
        bounds: the box in which the place lies, in units of the world.
        resolution: voxels along each axis.
        fusion: "product", or "mean", in which one sharp map outweighs the others.

    Raises:
        OptionError: not one camera for every map, or cameras of both kinds.
    """
    kinds = {isinstance(camera.camera, OrthographicView) for camera in cameras}
    if len(heatmaps) != len(cameras) or len(cameras) < 2 or len(kinds) > 1:
        raise OptionError(
            f"there are {len(heatmaps)} maps and {len(cameras)} cameras; expected one of each for at least two views, all perspective or all orthographic"
        )
    size = max(h.values.shape[-2] for h in heatmaps), max(h.values.shape[-1] for h in heatmaps)
    spread = [_over_its_picture(h, size) for h in heatmaps]
    maps = torch.stack([values for values, _ in spread])
    views = [camera.camera for camera in cameras]
    if kinds == {True}:
        axes = [view for view in views if isinstance(view, OrthographicView)]
        return decode.lift_orthographic(maps, views=axes, bounds=bounds, resolution=resolution, fusion=fusion)
    perspective = [view.to(maps) for view in views if isinstance(view, Cameras)]
    rig = Cameras(
        *(torch.cat([getattr(c, part) for c in perspective]) for part in ("intrinsics", "rotation", "translation"))
    )
    frames = Frame.stack([frame for _, frame in spread])
    return decode.lift_perspective(maps, rig, bounds=bounds, resolution=resolution, fusion=fusion, frame=frames)


def _over_its_picture(heatmap: Heatmap, size: tuple[int, int]) -> tuple[Float[Tensor, "h w"], Frame]:
    """Log-probabilities on cells that cover exactly the picture, so that letterboxes and sizes no longer matter."""
    values = heatmap.values.float()
    if heatmap.kind == "probability":
        values = values.clamp(min=torch.finfo(values.dtype).tiny).log()
    whole = Frame.resize([int(v) for v in heatmap.frame.source_size], size)
    if heatmap.frame.allclose(whole):
        return values, whole
    return to_frame(values, heatmap.frame, whole, outside="edge"), whole
