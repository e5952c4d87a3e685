"""Views of a table: pictures with the exact cameras that made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from isotherm.data.tabletop.blocks import Block
from isotherm.data.tabletop.rays import Light, Vectors, first_hits, shade
from isotherm.decode.cameras import Cameras, OrthographicView
from isotherm.frame import Size

BOUNDS = ((-0.5, -0.5, -0.2), (0.5, 0.5, 0.8))
"""The box that orthographic views fill their pictures with, in metres."""


@dataclass(frozen=True, eq=False)
class TableView:
    """A picture of the table.

    Args:
        name: of the view.
        picture: (h, w, 3).
        camera: an orthographic view of :data:`BOUNDS`, or a single perspective camera.
        seen: (h, w) the block at the centre of each pixel; -1 the table, -2 nothing.
    """

    name: str
    picture: UInt8[np.ndarray, "h w 3"]
    camera: OrthographicView | Cameras
    seen: Int[np.ndarray, "h w"]

    def project(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 2"]:
        """Where points of the world, in metres, lie in the picture: (x, y), edge-origin pixels."""
        return project(self.camera, points, (self.picture.shape[0], self.picture.shape[1]))


def project(camera: OrthographicView | Cameras, points: Float[Tensor, "n 3"], size: Size) -> Float[Tensor, "n 2"]:
    """As :meth:`TableView.project`, for a picture of a size (h, w)."""
    if isinstance(camera, OrthographicView):
        return camera.project(points, bounds=torch.tensor(BOUNDS), size=size)
    return camera.to(points).project(points)[0][0]


def render(
    name: str, blocks: Sequence[Block], light: Light, camera: OrthographicView | Cameras, size: Size, samples: int
) -> TableView:
    """The picture that a camera takes.

    Args:
        name: of the view.
        blocks, light: the scene.
        camera: see :class:`TableView`.
        size: (h, w) in pixels.
        samples: rays along each side of a pixel, of which the mean is taken.
    """
    h, w = size
    fine = (np.arange(max(h, w) * samples) + 0.5) / samples
    colour, _ = shade(blocks, light, *rays(camera, fine[: w * samples], fine[: h * samples], size))
    mean = colour.reshape(h, samples, w, samples, 3).mean((1, 3))
    seen = first_hits(blocks, *rays(camera, np.arange(w) + 0.5, np.arange(h) + 0.5, size))[0]
    return TableView(name, (mean * 255).round().astype(np.uint8), camera, seen.reshape(h, w))


def rays(
    camera: OrthographicView | Cameras, x: Float[np.ndarray, " w"], y: Float[np.ndarray, " h"], size: Size
) -> tuple[Vectors, Vectors]:
    """Origin and direction of the rays through the places (x, y) of a picture, row by row."""
    at = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    if isinstance(camera, Cameras):
        k, rotation, translation = (
            t[0].double().numpy() for t in (camera.intrinsics, camera.rotation, camera.translation)
        )
        ahead = np.concatenate([at, np.ones((len(at), 1))], -1) @ np.linalg.inv(k).T @ rotation
        return np.broadcast_to(-translation @ rotation, ahead.shape), ahead
    low, high = np.array(BOUNDS)
    (right, right_sign), (down, down_sign) = camera.axes
    across, downward = np.zeros(3), np.zeros(3)
    across[right], downward[down] = right_sign, down_sign
    ahead = np.cross(across, downward)
    origin = np.tile((low + high) / 2 - 2 * ahead, (len(at), 1))
    for (axis, sign), share in zip(camera.axes, (at[:, 0] / size[1], at[:, 1] / size[0]), strict=True):
        origin[:, axis] = low[axis] + (share if sign > 0 else 1 - share) * (high[axis] - low[axis])
    return origin, np.broadcast_to(ahead, origin.shape)
