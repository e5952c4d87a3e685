"""Views of a 3-D scene: perspective cameras, and orthographic views of a box along its axes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import OptionError, ShapeError

AXES = "xyz"


@dataclass(frozen=True, kw_only=True)
class OrthographicView:
    """A view of a box along one of its axes, the box filling the picture.

    Args:
        columns: the axis of the world that runs along a row, and whether with it or against it: ``"+x"`` says that x
            grows from the left column to the right one.
        rows: the same from the top row to the bottom one; ``"-z"`` says that z grows upwards.

    Raises:
        OptionError: not a sign and an axis, or the same axis twice.
    """

    columns: str
    rows: str

    def __post_init__(self) -> None:
        for name, value in (("columns", self.columns), ("rows", self.rows)):
            if len(value) != 2 or value[0] not in "+-" or value[1] not in AXES:
                raise OptionError(f"{name} is {value!r}; expected a sign and an axis, such as '+x' or '-z'")
        if self.columns[1] == self.rows[1]:
            raise OptionError(
                f"columns {self.columns!r} and rows {self.rows!r} run along the same axis; a view shows two"
            )

    @property
    def axes(self) -> tuple[tuple[int, float], tuple[int, float]]:
        """(axis, sign) that grows along a row, and down the rows: 0, 1, 2 for x, y, z."""
        return _signed_axis(self.columns), _signed_axis(self.rows)

    def project(
        self, points: Float[Tensor, "*b 3"], *, bounds: Float[Tensor, "2 3"], size: tuple[int, int]
    ) -> Float[Tensor, "*b 2"]:
        """Where points of the world are seen, (x, y) in edge-origin pixels.

        Args:
            points: (*batch, 3).
            bounds: the box, lowest and highest (x, y, z).
            size: (h, w) of the picture that it fills.

        Example:
            >>> bounds = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
            >>> TOP.project(torch.tensor([0.25, 0.0, 0.5]), bounds=bounds, size=(10, 20)).tolist()
            [5.0, 10.0]
        """
        low, high = bounds.to(points)
        seen = []
        for (axis, sign), cells in zip(self.axes, (size[1], size[0]), strict=True):
            share = (points[..., axis] - low[axis]) / (high[axis] - low[axis])
            seen.append((share if sign > 0 else 1 - share) * cells)
        return torch.stack(seen, -1)

    def matrix(self, *, bounds: Float[Tensor, "2 3"], size: tuple[int, int]) -> Float[Tensor, "3 4"]:
        """Homogeneous points of the world to homogeneous edge-origin pixels, as perspective cameras have it, float64.

        Args:
            bounds: the box, lowest and highest (x, y, z).
            size: (h, w) of the picture that it fills.

        Example:
            >>> bounds = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
            >>> (TOP.matrix(bounds=bounds, size=(10, 20)) @ torch.tensor([0.25, 0.0, 0.5, 1.0]).double()).tolist()
            [5.0, 10.0, 1.0]
        """
        out = torch.zeros(3, 4, dtype=torch.float64)
        low, high = bounds.double().unbind(0)
        for row, ((axis, sign), cells) in enumerate(zip(self.axes, (size[1], size[0]), strict=True)):
            step = sign * cells / (high[axis] - low[axis])
            out[row, axis], out[row, 3] = step, -step * (low[axis] if sign > 0 else high[axis])
        out[2, 3] = 1.0
        return out


def _signed_axis(word: str) -> tuple[int, float]:
    return AXES.index(word[1]), -1.0 if word[0] == "-" else 1.0


TOP = OrthographicView(columns="+x", rows="-y")
FRONT = OrthographicView(columns="+y", rows="-z")
RIGHT = OrthographicView(columns="+x", rows="-z")


@dataclass(frozen=True, eq=False)
class Cameras:
    """Perspective cameras without distortion: a point X of the world is seen at K (R X + t), divided by its depth.

    Args:
        intrinsics: K, (*batch, v, 3, 3), to source pixels, edge-origin: the centre of pixel i is i + 0.5, so the
            principal point of a symmetric camera is half the picture. Calibrations count from the centre of the first
            pixel: use :meth:`from_opencv`.
        rotation: R, (*batch, v, 3, 3), world to camera: x right, y down, z forward.
        translation: t, (*batch, v, 3), in the unit of the world.

    Raises:
        ShapeError: shapes that do not fit one another.
        OptionError: K's last row is not (0, 0, 1), or R is no rotation.

    Example:
        >>> K = torch.tensor([[[100.0, 0, 64], [0, 100, 48], [0, 0, 1]]])
        >>> xy, depth = Cameras(K, torch.eye(3)[None], torch.zeros(1, 3)).project(torch.tensor([[0.5, 0.0, 2.0]]))
        >>> xy.tolist(), depth.tolist()
        ([[[89.0, 48.0]]], [[2.0]])
    """

    intrinsics: Float[Tensor, "*b v 3 3"]
    rotation: Float[Tensor, "*b v 3 3"]
    translation: Float[Tensor, "*b v 3"]

    def __post_init__(self) -> None:
        lead = tuple(self.intrinsics.shape[:-2])
        value = tuple(self.intrinsics.shape), tuple(self.rotation.shape), tuple(self.translation.shape)
        if not lead or value != ((*lead, 3, 3), (*lead, 3, 3), (*lead, 3)):
            raise ShapeError(
                f"intrinsics, rotation and translation have shapes {value}; expected (*batch, v, 3, 3) twice and (*batch, v, 3)"
            )
        if torch.compiler.is_compiling():
            return
        numbers = torch.cat([v.flatten() for v in (self.intrinsics, self.rotation, self.translation)])
        if not bool(torch.isfinite(numbers).all()):
            raise OptionError(
                "K, R or t holds a number that is not finite; give a calibration without NaN and infinity"
            )
        last = torch.tensor([0.0, 0.0, 1.0]).to(self.intrinsics)
        if not bool((self.intrinsics[..., 2, :] == last).all()):
            raise OptionError(
                "the last row of intrinsics is not (0, 0, 1); expected K as fx, 0, cx; 0, fy, cy; 0, 0, 1"
            )
        if not bool((torch.linalg.det(self.intrinsics[..., :2, :2].double()) != 0).all()):
            raise OptionError(
                "intrinsics have a focal length of 0, with which everything is seen in one line; expected fx and fy in pixels"
            )
        product = self.rotation.double() @ self.rotation.double().transpose(-1, -2)
        upright = torch.linalg.det(self.rotation.double()) > 0
        if not bool(((product - torch.eye(3).to(product)).abs() < 1e-3).all()) or not bool(upright.all()):
            raise OptionError(
                "rotation is not a rotation: R R^T is not 1, or R mirrors; expected world to camera, without scale"
            )

    @classmethod
    def from_opencv(
        cls,
        intrinsics: Float[Tensor, "*b v 3 3"],
        rotation: Float[Tensor, "*b v 3 3"],
        translation: Float[Tensor, "*b v 3"],
    ) -> Cameras:
        """Cameras whose K puts the *centre* of the first pixel at 0, as OpenCV and COLMAP's exports for it do."""
        shift = torch.zeros_like(intrinsics)
        shift[..., :2, 2] = 0.5
        return cls(intrinsics + shift, rotation, translation)

    @classmethod
    def looking_at(
        cls,
        places: Float[Tensor, "v 3"],
        target: Float[Tensor, " 3"],
        *,
        focal_px: float,
        size: tuple[int, int],
        up: tuple[float, float, float] = (0.0, 0.0, 1.0),
    ) -> Cameras:
        """Cameras at places of the world that see a target in the middle of their pictures.

        Args:
            places: (v, 3).
            target: (3).
            focal_px: the same for all.
            size: (h, w) of the pictures in pixels.
            up: direction of the world that points upwards in the pictures.

        Example:
            >>> cameras = Cameras.looking_at(torch.tensor([[0.0, -2.0, 1.0]]), torch.zeros(3), focal_px=100.0, size=(80, 120))
            >>> cameras.project(torch.zeros(1, 3))[0].tolist()
            [[[60.0, 40.0]]]
        """
        ahead = torch.nn.functional.normalize(target - places, dim=-1)
        right = torch.nn.functional.normalize(torch.linalg.cross(ahead, ahead.new_tensor(up).expand_as(ahead)), dim=-1)
        rotation = torch.stack([right, torch.linalg.cross(ahead, right), ahead], -2)
        k = torch.tensor([[focal_px, 0, size[1] / 2], [0, focal_px, size[0] / 2], [0, 0, 1]]).to(places)
        translation = -(rotation @ places[..., None])[..., 0]
        return cls(k.expand(len(places), 3, 3), rotation, translation)

    @property
    def matrix(self) -> Float[Tensor, "*b v 3 4"]:
        """K [R | t]: homogeneous points of the world to homogeneous source pixels."""
        return self.intrinsics @ torch.cat([self.rotation, self.translation[..., None]], -1)

    def project(self, points: Float[Tensor, "*#b n 3"]) -> tuple[Float[Tensor, "*b v n 2"], Float[Tensor, "*b v n"]]:
        """Where the cameras see points of the world, and how deep they lie.

        Args:
            points: (*batch, n, 3).

        Returns:
            (x, y) in source pixels, meaningless where the depth is not above 0; the depth along the optical axis.
        """
        seen = points[..., None, :, :] @ self.matrix[..., :3].transpose(-1, -2) + self.matrix[..., None, :, 3]
        return seen[..., :2] / seen[..., 2:], seen[..., 2]

    def to(self, like: Tensor) -> Cameras:
        """The same cameras in the dtype and on the device of a tensor."""
        return replace(
            self,
            intrinsics=self.intrinsics.to(like),
            rotation=self.rotation.to(like),
            translation=self.translation.to(like),
        )
