"""A camera of Project Aria from its calibration in JSON: from the central pupil frame to pixels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from isotherm.data.annotation_files import number, part_of, read_text
from isotherm.errors import InputError
from isotherm.frame import Size
from isotherm.untrusted.plain import reads

LABEL = "camera-rgb"
PARAMETERS = {"FisheyeRadTanThinPrism": 15, "Linear": 4, "Pinhole": 4}
"""Names of projections, with how many parameters each has: f, cx, cy, six radial, two tangential, four of a thin prism;
and fx, fy, cx, cy."""


@dataclass(frozen=True, eq=False)
class AriaCamera:
    """Where directions of the eyes lie in a picture.

    Args:
        model: a key of :data:`PARAMETERS`.
        parameters: in the order of that model; pixel 0 is the middle of the first pixel.
        rotation: (3, 3) from the central pupil frame to the camera's.
        translation: (3,) metres, likewise.
        size: (h, w) of the pictures.
        turns: quarter turns clockwise from the camera's picture to the video's.
        notes: what was assumed.
    """

    model: str
    parameters: Float64[np.ndarray, " p"]
    rotation: Float64[np.ndarray, "3 3"]
    translation: Float64[np.ndarray, "3"]
    size: Size
    turns: int = 0
    notes: tuple[str, ...] = ()

    def project(self, points: Float64[np.ndarray, "n 3"]) -> Float64[np.ndarray, "n 2"]:
        """Points in the central pupil frame -> pixels of the video, edge-origin; NaN behind the camera.

        Args:
            points: metres.
        """
        seen = points @ self.rotation.T + self.translation
        with np.errstate(invalid="ignore", divide="ignore"):
            ab = np.where(seen[:, 2:] > 0, seen[:, :2] / seen[:, 2:], np.nan)
        pixels = (fisheye624 if self.model == "FisheyeRadTanThinPrism" else pinhole)(ab, self.parameters) + 0.5
        h, w = self.size if self.turns % 2 == 0 else self.size[::-1]  # of the camera's own picture
        for _ in range(self.turns):
            pixels, (h, w) = np.stack([h - pixels[:, 1], pixels[:, 0]], -1), (w, h)
        return pixels


def pinhole(ab: Float64[np.ndarray, "n 2"], parameters: Float64[np.ndarray, "4"]) -> Float64[np.ndarray, "n 2"]:
    """x / z and y / z -> pixels by fx, fy, cx, cy.

    Args:
        ab: slopes.
        parameters: of the model.
    """
    return ab * parameters[:2] + parameters[2:]


def fisheye624(ab: Float64[np.ndarray, "n 2"], parameters: Float64[np.ndarray, "15"]) -> Float64[np.ndarray, "n 2"]:
    """x / z and y / z -> pixels by Aria's model of a fisheye: six radial, two tangential, four thin-prism numbers.

    Args:
        ab: slopes.
        parameters: f, cx, cy, k0 to k5, p0, p1, s0 to s3.

    Source: Project Aria's description of FisheyeRadTanThinPrism.
    """
    focal, centre, k, p, s = parameters[0], parameters[1:3], parameters[3:9], parameters[9:11], parameters[11:15]
    r = np.linalg.norm(ab, axis=-1, keepdims=True)
    theta = np.arctan(r)
    radial = theta * (1 + sum(k[i] * theta ** (2 * i + 2) for i in range(6)))
    at = np.where(r > 1e-12, radial / np.where(r > 1e-12, r, 1), 1.0) * ab
    squared = (at**2).sum(-1, keepdims=True)
    tangential = 2 * (at @ p)[:, None] * at + squared * p
    prism = np.concatenate([s[0] * squared + s[1] * squared**2, s[2] * squared + s[3] * squared**2], -1)
    return focal * (at + tangential + prism) + centre


@reads()
def read_calibration(path: Path) -> AriaCamera:
    """The RGB camera of a calibration in JSON.

    Read is an object with ``CameraCalibrations``, a list in which one has the ``Label`` camera-rgb, a ``Projection``
    (``Name``: FisheyeRadTanThinPrism with 15 ``Params``, or Linear with 4), ``T_Device_Camera`` (``Translation`` and
    ``UnitQuaternion`` [w, [x, y, z]]) and ``ConfigData`` with ``ImageWidth`` and ``ImageHeight``; and beside that list
    ``T_Device_CPF`` in the same form, which Aria's tools give as ``get_transform_device_cpf()``. So are written the
    factory's calibration and, but for the last two, a line of ``online_calibration.jsonl``. ``ClockwiseTurns`` (0 to 3)
    says how many quarter turns were made from the camera's picture to the video's, 0 where it is left out.

    Args:
        path: of the JSON.

    Raises:
        InputError: what is missing, by its name.
    """
    text = read_text(path)
    try:
        whole = json.loads(text if path.suffix != ".jsonl" else text.splitlines()[0])
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error}); expected a calibration of Aria") from error
    where = str(path)
    cameras = part_of(whole, "CameraCalibrations", where, list, "a list of cameras")
    camera = next((c for c in cameras if isinstance(c, dict) and c.get("Label") == LABEL), None)
    if camera is None:
        labels = [str(c.get("Label")) for c in cameras if isinstance(c, dict)]
        raise InputError(f"{path}: there is no camera {LABEL!r}; there are {', '.join(labels) or 'none'}")
    projection = part_of(camera, "Projection", where, dict, "an object with Name and Params")
    model = part_of(projection, "Name", where, str, f"one of {', '.join(PARAMETERS)}")
    if model not in PARAMETERS:
        raise InputError(f"{path}: the projection is {model!r}; expected one of {', '.join(PARAMETERS)}")
    params = part_of(projection, "Params", where, list, "a list of numbers")
    if len(params) != PARAMETERS[model]:
        raise InputError(f"{path}: {model} has {len(params)} parameters; expected {PARAMETERS[model]}")
    config = part_of(camera, "ConfigData", where, dict, "an object with ImageWidth and ImageHeight in pixels")
    size = (part_of(config, "ImageHeight", where, int, "pixels"), part_of(config, "ImageWidth", where, int, "pixels"))
    device_camera = _pose(camera, "T_Device_Camera", where)
    device_cpf = _pose(whole, "T_Device_CPF", where)
    camera_cpf = np.linalg.inv(device_camera) @ device_cpf
    turns = whole.get("ClockwiseTurns")
    if turns not in (None, 0, 1, 2, 3):
        raise InputError(f"{path}: 'ClockwiseTurns' is {turns!r}; expected 0, 1, 2 or 3")
    turned = int(turns or 0)
    note = f"the camera is {LABEL} by {path.name}, {model}, its picture turned by {turned} quarters clockwise"
    return AriaCamera(
        model,
        np.array([number(value, where, "a parameter") for value in params]),
        camera_cpf[:3, :3],
        camera_cpf[:3, 3],
        size if turned % 2 == 0 else size[::-1],
        turned,
        (note + (", as nothing was said" if turns is None else ""),),
    )


def _pose(owner: dict[str, Any], key: str, where: str) -> Float64[np.ndarray, "4 4"]:
    pose = part_of(owner, key, where, dict, "an object with Translation and UnitQuaternion")
    shift = [number(v, where, key) for v in part_of(pose, "Translation", f"{where}: {key}", list, "[x, y, z]")]
    quaternion = part_of(pose, "UnitQuaternion", f"{where}: {key}", list, "[w, [x, y, z]]")
    if len(shift) != 3 or len(quaternion) != 2 or not isinstance(quaternion[1], list) or len(quaternion[1]) != 3:
        raise InputError(f"{where}: {key} is not [x, y, z] and [w, [x, y, z]]")
    w, x, y, z = (number(v, where, key) for v in (quaternion[0], *quaternion[1]))
    length = (w * w + x * x + y * y + z * z) ** 0.5
    if abs(length - 1) > 1e-3:
        raise InputError(f"{where}: the quaternion of {key} has the length {length:.4g}; expected 1")
    w, x, y, z = w / length, x / length, y / length, z / length
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = shift
    return matrix
