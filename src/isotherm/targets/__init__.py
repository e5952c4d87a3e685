"""Targets: points, boxes, masks, grasps, fixations and annotation text as the maps that a model shall predict."""

from isotherm.targets.fixations import fixations, pixels_per_degree
from isotherm.targets.mixture import mixture
from isotherm.targets.points import gaussian, multi_scale
from isotherm.targets.target import Target

__all__ = ["Target", "fixations", "gaussian", "mixture", "multi_scale", "pixels_per_degree"]
