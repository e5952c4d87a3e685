"""Aria's directions land where a slow projection by its formulas puts them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from isotherm.data.gaze.formats import ReadOptions, read_raw
from isotherm.data.gaze.formats.aria_camera import read_calibration
from isotherm.errors import InputError, OptionError

FISHEYE = [610.0, 703.5, 701.2, 0.41, -0.45, 0.04, 1.29, -1.77, 0.65, -8e-5, 4e-5, -6e-4, 6e-4, 5e-4, 2e-4]
HALF = math.sqrt(0.5)


def calibration(**changes):
    whole = {
        "CameraCalibrations": [
            {"Label": "camera-slam-left"},
            {
                "Label": "camera-rgb",
                "Projection": {"Name": "FisheyeRadTanThinPrism", "Params": FISHEYE},
                "T_Device_Camera": {"Translation": [-0.004, -0.012, -0.004], "UnitQuaternion": [HALF, [0, 0, HALF]]},
                "ConfigData": {"ImageWidth": 1408, "ImageHeight": 1408},
            },
        ],
        "T_Device_CPF": {"Translation": [0.03, 0.01, -0.02], "UnitQuaternion": [HALF, [0, 0, HALF]]},
    }
    whole["CameraCalibrations"][1] |= {k: v for k, v in changes.items() if k in whole["CameraCalibrations"][1]}
    return whole | {k: v for k, v in changes.items() if k not in whole["CameraCalibrations"][1]}


def save(tmp_path, whole):
    (tmp_path / "calibration.json").write_text(json.dumps(whole))
    return tmp_path / "calibration.json"


def slow(yaw, pitch, depth):
    """Both turns are the same, so that the camera sees the central pupil frame upright, shifted."""
    direction = np.array([math.tan(yaw), math.tan(pitch), 1.0])
    point = direction / np.linalg.norm(direction) * depth
    shift = np.array([0.034, 0.022, -0.016])  # in the device; a quarter turn about z takes x to -y and y to x
    x, y, z = point + np.array([shift[1], -shift[0], shift[2]])
    a, b = x / z, y / z
    r = math.hypot(a, b)
    theta = math.atan(r)
    radial = theta + sum(FISHEYE[3 + i] * theta ** (3 + 2 * i) for i in range(6))
    u, v = (radial / r * a, radial / r * b)
    rr = u * u + v * v
    p0, p1, s0, s1, s2, s3 = FISHEYE[9:]
    du = (2 * u * u + rr) * p0 + 2 * u * v * p1 + s0 * rr + s1 * rr * rr
    dv = (2 * v * v + rr) * p1 + 2 * u * v * p0 + s2 * rr + s3 * rr * rr
    return FISHEYE[0] * (u + du) + FISHEYE[1] + 0.5, FISHEYE[0] * (v + dv) + FISHEYE[2] + 0.5


def test_a_fisheye_equals_a_slow_projection(tmp_path):
    rows = [(0.1, -0.2, 0.8), (-0.5, 0.3, 2.0), (0.7, 0.6, 1.0)]
    lines = [f"{1000 + i},{yaw},{pitch},{depth}" for i, (yaw, pitch, depth) in enumerate(rows)]
    lines += ["2000,,,", "2001,0.1,-0.2,"]
    (tmp_path / "general_eye_gaze.csv").write_text(
        "\n".join(["tracking_timestamp_us,yaw_rads_cpf,pitch_rads_cpf,depth_m", *lines])
    )
    options = ReadOptions(calibration=save(tmp_path, calibration()), size=(1408, 1408))
    raw = read_raw(tmp_path / "general_eye_gaze.csv", "aria", options)
    expected = [slow(*row) for row in rows] + [(np.nan, np.nan), slow(0.1, -0.2, 1.0)]
    np.testing.assert_allclose(raw.xy, expected, atol=1e-9)
    assert raw.time_ns.tolist() == [1_000_000, 1_001_000, 1_002_000, 2_000_000, 2_001_000]
    assert any("2 of 5 samples have no depth and are taken at 1 m" in note for note in raw.notes)
    assert any("turned by 0 quarters clockwise, as nothing was said" in note for note in raw.notes)


def test_the_rays_of_two_eyes_meet_at_the_mean_of_their_tangents(tmp_path):
    (tmp_path / "a.csv").write_text(
        "tracking_timestamp_us,left_yaw_rads_cpf,right_yaw_rads_cpf,pitch_rads_cpf,depth_m\n1,0.1,0.3,0.2,1.5\n2,0,0,0,1\n"
    )
    yaw = math.atan((math.tan(0.1) + math.tan(0.3)) / 2)
    raw = read_raw(tmp_path / "a.csv", "aria", ReadOptions(calibration=save(tmp_path, calibration())))
    np.testing.assert_allclose(raw.xy[0], slow(yaw, 0.2, 1.5), atol=1e-9)


def test_a_pinhole_and_turns_of_the_picture(tmp_path):
    straight = {"Translation": [0, 0, 0], "UnitQuaternion": [1, [0, 0, 0]]}
    linear = {"Name": "Linear", "Params": [100.0, 110.0, 63.5, 47.5]}
    base = calibration(
        Projection=linear,
        T_Device_Camera=straight,
        T_Device_CPF=straight,
        ConfigData={"ImageWidth": 128, "ImageHeight": 96},
    )
    point = np.array([[0.2, 0.1, 1.0], [0.0, 0.0, -1.0]])
    camera = read_calibration(save(tmp_path, base))
    np.testing.assert_allclose(camera.project(point), [[84, 59], [np.nan, np.nan]])
    assert camera.size == (96, 128)
    once = read_calibration(save(tmp_path, base | {"ClockwiseTurns": 1}))
    assert once.size == (128, 96)
    np.testing.assert_allclose(once.project(point)[0], [96 - 59, 84])
    half = read_calibration(save(tmp_path, base | {"ClockwiseTurns": 2}))
    np.testing.assert_allclose(half.project(point)[0], [128 - 84, 96 - 59])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"T_Device_CPF": None}, "'T_Device_CPF' is None"),
        ({"CameraCalibrations": [{"Label": "camera-et"}]}, "no camera 'camera-rgb'; there are camera-et"),
        ({"Projection": {"Name": "KannalaBrandtK3", "Params": []}}, "projection is 'KannalaBrandtK3'"),
        ({"Projection": {"Name": "Linear", "Params": [1, 2]}}, "Linear has 2 parameters; expected 4"),
        ({"ConfigData": {}}, "there is no 'ImageHeight'"),
        ({"T_Device_Camera": {"Translation": [0, 0, 0], "UnitQuaternion": [1, [1, 0, 0]]}}, "has the length 1.414"),
        ({"ClockwiseTurns": 4}, "'ClockwiseTurns' is 4"),
    ],
)
def test_calibrations_that_say_too_little(tmp_path, change, words):
    with pytest.raises(InputError, match=words):
        read_calibration(save(tmp_path, calibration(**change)))


def test_a_calibration_is_needed_and_is_of_the_video(tmp_path):
    (tmp_path / "a.csv").write_text("tracking_timestamp_us,yaw_rads_cpf,pitch_rads_cpf\n1,0,0\n")
    with pytest.raises(OptionError, match="give the camera's as JSON"):
        read_raw(tmp_path / "a.csv", "aria")
    fpath = save(tmp_path, calibration())
    with pytest.raises(InputError, match="for pictures of 1408 x 1408 pixels, and the video has 448 x 448"):
        read_raw(tmp_path / "a.csv", "aria", ReadOptions(calibration=fpath, size=(448, 448)))
    (tmp_path / "b.csv").write_text("tracking_timestamp_us,pitch_rads_cpf\n1,0\n")
    with pytest.raises(InputError, match="no column 'yaw_rads_cpf'"):
        read_raw(tmp_path / "b.csv", "aria", ReadOptions(calibration=fpath))
