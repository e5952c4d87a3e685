"""Heatmaps -> points: the decoder that belongs to each kind of map, the published ones for parity, and calibration.

Maps trained by cross-entropy are decoded by :func:`moment_inverse`, maps trained by regression by
:func:`least_squares`; both are exact at the border and beyond it. :func:`peaks` finds several instances in one map,
:func:`lift_orthographic` and :func:`lift_perspective` the point in space that several views mean.
"""

from isotherm.decode.abstention import Abstention, fit_abstention
from isotherm.decode.argmax import argmax, quarter_offset
from isotherm.decode.calibration import (
    coverage,
    expected_calibration_error,
    fit_covariance_scale,
    fit_temperature,
    scale_covariance,
)
from isotherm.decode.cameras import FRONT, RIGHT, TOP, Cameras, OrthographicView
from isotherm.decode.dark import dark
from isotherm.decode.ellipse_levels import EllipseLevels, fit_ellipse_levels
from isotherm.decode.least_squares import least_squares
from isotherm.decode.lift3d import Lifted, lift_orthographic, lift_perspective
from isotherm.decode.modes import modes
from isotherm.decode.moment_inverse import moment_inverse
from isotherm.decode.path import Path, plan_path
from isotherm.decode.peaks import peaks
from isotherm.decode.reading import DECODER, Maps, read_maps
from isotherm.decode.region_level import fit_region_level
from isotherm.decode.soft_argmax import local_soft_argmax, soft_argmax
from isotherm.decode.tracking import Track, track
from isotherm.decode.uncertainty import cell_probability, credible_region, entropy
from isotherm.ops.reliability import Reliability

__all__ = [
    "DECODER",
    "FRONT",
    "RIGHT",
    "TOP",
    "Abstention",
    "Cameras",
    "EllipseLevels",
    "Lifted",
    "Maps",
    "OrthographicView",
    "Path",
    "Reliability",
    "Track",
    "argmax",
    "cell_probability",
    "coverage",
    "credible_region",
    "dark",
    "entropy",
    "expected_calibration_error",
    "fit_abstention",
    "fit_covariance_scale",
    "fit_ellipse_levels",
    "fit_region_level",
    "fit_temperature",
    "least_squares",
    "lift_orthographic",
    "lift_perspective",
    "local_soft_argmax",
    "modes",
    "moment_inverse",
    "peaks",
    "plan_path",
    "quarter_offset",
    "read_maps",
    "scale_covariance",
    "soft_argmax",
    "track",
]
