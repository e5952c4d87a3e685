"""Targets: points, boxes, masks, grasps, fixations and annotation text as the maps that a model shall predict."""

from isotherm.target import Target
from isotherm.targets.fixations import fixations, pixels_per_degree
from isotherm.targets.mixture import mixture
from isotherm.targets.points import gaussian, multi_scale

__all__ = ["Target", "fixations", "gaussian", "mixture", "multi_scale", "pixels_per_degree"]
