"""Cameras as JSON files have them: perspective ones by K, R and t, orthographic ones by the axes that they show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.data.annotation_files import known_keys, number, shown
from isotherm.decode.cameras import Cameras, OrthographicView
from isotherm.errors import InputError, OptionError, ShapeError
from isotherm.frame import Size

LEAST_SIDE, MOST_SIDE = 1e-12, 1e12
"""Of a box, in units of the world: what its numbers can be reckoned with."""
CAMERA_KEYS = ("K", "R", "t", "pixel", "orthographic", "bounds")
Box = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Lowest and highest (x, y, z), in units of the world."""


@dataclass(frozen=True, eq=False)
class ViewCamera:
    """The camera of one view.

    Args:
        camera: a single perspective camera, or an orthographic view of ``bounds``.
        bounds: the box that an orthographic view fills its picture with; None for perspective ones.
    """

    camera: Cameras | OrthographicView
    bounds: Box | None = None

    def project(self, point: Float[Tensor, " 3"], size: Size) -> Float[Tensor, " 2"]:
        """Where a point of the world is seen, (x, y) in edge-origin pixels; NaN behind a perspective camera.

        Args:
            point: (x, y, z).
            size: (h, w) of the picture.
        """
        if isinstance(self.camera, OrthographicView):
            bounds = torch.tensor(self.bounds, dtype=torch.float64)
            return self.camera.project(point.double(), bounds=bounds, size=size)
        places, depth = self.camera.to(point.double()).project(point.double()[None])
        return torch.where(depth[0] > 0, places[0, 0], torch.nan)


def camera_from(value: Any, where: str, *, bounds: Box | None = None) -> ViewCamera:
    """The camera that an object of JSON describes.

    Args:
        value: ``{"K": 3 x 3, "R": 3 x 3, "t": 3}`` with R and t from the world to the camera, and ``"pixel": "centre"``
            where K counts from the centre of the first pixel, as calibrations of OpenCV do; or ``{"orthographic":
            ["+x", "-y"]}``, the axis along a row and the one down the rows, with ``"bounds"`` unless the file has them.
        where: "file:line", for messages.
        bounds: those of the file.

    Raises:
        InputError: another form, or no camera.
    """
    if not isinstance(value, dict):
        raise InputError(f"{where}: the camera is {shown(value)}; expected an object with K, R and t, or orthographic")
    known_keys(value, CAMERA_KEYS, where)
    if "orthographic" in value and (also := [key for key in _PARTS if key in value]):
        raise InputError(f"{where}: the camera has both 'orthographic' and {also[0]!r}; keep what it is")
    try:
        if "orthographic" in value:
            axes = value["orthographic"]
            axes = [axes.get("columns"), axes.get("rows")] if isinstance(axes, dict) else axes
            if not isinstance(axes, list) or len(axes) != 2 or not all(isinstance(a, str) for a in axes):
                raise InputError(
                    f'{where}: orthographic is {shown(value["orthographic"])}; expected the axes along a row and down the rows, such as ["+x", "-y"]'
                )
            own = box_from(value["bounds"], where) if "bounds" in value else bounds
            if own is None:
                raise InputError(
                    f"{where}: an orthographic camera fills its picture with a box, and there are no bounds; give them, such as [[-1, -1, -1], [1, 1, 1]]"
                )
            return ViewCamera(OrthographicView(columns=axes[0], rows=axes[1]), own)
        parts = {name: numbers(value.get(name), shape, where, name) for name, shape in _PARTS.items()}
        if value.get("pixel", "edge") not in ("edge", "centre"):
            raise InputError(f"{where}: pixel is {shown(value['pixel'])}; expected 'edge' or 'centre'")
        make = Cameras.from_opencv if value.get("pixel") == "centre" else Cameras
        return ViewCamera(make(parts["K"][None], parts["R"][None], parts["t"][None]))
    except (OptionError, ShapeError) as error:
        raise InputError(f"{where}: {error}") from error


def box_from(value: Any, where: str) -> Box:
    """The lowest and the highest corner of a box in JSON.

    Raises:
        InputError: no such box.
    """
    low, high = numbers(value, (2, 3), where, "bounds").tolist()
    if not all(a < b for a, b in zip(low, high, strict=True)):
        raise InputError(
            f"{where}: bounds are {shown(value)}; the first corner must be below the second along x, y and z"
        )
    if not all(LEAST_SIDE <= b - a <= MOST_SIDE for a, b in zip(low, high, strict=True)):
        raise InputError(
            f"{where}: bounds are {shown(value)}; expected sides from {LEAST_SIDE:g} to {MOST_SIDE:g} units of the world"
        )
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


_PARTS = {"K": (3, 3), "R": (3, 3), "t": (3,)}


def numbers(value: Any, shape: tuple[int, ...], where: str, what: str) -> Float[Tensor, "*n"]:
    """Nested lists of finite numbers of a shape, float64.

    Raises:
        InputError: another shape, or something that is no number; ``what`` is its name in the message.
    """
    form = " x ".join(map(str, shape)) + (" numbers" if len(shape) == 1 else " numbers, row by row")

    def walk(part: Any, left: tuple[int, ...]) -> list[Any] | float:
        if not left:
            return number(part, where, f"one of {what}")
        if not isinstance(part, list) or len(part) != left[0]:
            raise InputError(f"{where}: {what} is {shown(value)}; expected {form}")
        return [walk(one, left[1:]) for one in part]

    return torch.tensor(walk(value, shape), dtype=torch.float64)
