"""Losses of heatmaps: against points, without a target where none is needed, and against any target map."""

from isotherm.losses.adaptive_wing import adaptive_wing
from isotherm.losses.class_focal import class_focal
from isotherm.losses.divergence import js, kl
from isotherm.losses.focal import focal
from isotherm.losses.gaussian_cross_entropy import gaussian_cross_entropy
from isotherm.losses.gaussian_mse import gaussian_mse
from isotherm.losses.groups import assign
from isotherm.losses.maps import cross_entropy, mse

__all__ = [
    "adaptive_wing",
    "assign",
    "class_focal",
    "cross_entropy",
    "focal",
    "gaussian_cross_entropy",
    "gaussian_mse",
    "js",
    "kl",
    "mse",
]
