"""Targets: points, boxes, masks, grasps, fixations and annotation text as the maps that a model shall predict."""

from isotherm.targets.annotation import Annotation, from_annotation, parse_annotation
from isotherm.targets.boxes import BoxTarget, boxes, centre_radius
from isotherm.targets.fixations import fixations, pixels_per_degree
from isotherm.targets.grasps import GraspTarget, grasps
from isotherm.targets.masks import masks
from isotherm.targets.mixture import mixture
from isotherm.targets.points import gaussian, multi_scale
from isotherm.targets.vlm_text import parse_molmo, parse_paligemma, parse_qwen, parse_robopoint
from isotherm.training_map import TrainingMap

__all__ = [
    "Annotation",
    "BoxTarget",
    "GraspTarget",
    "TrainingMap",
    "boxes",
    "centre_radius",
    "fixations",
    "from_annotation",
    "gaussian",
    "grasps",
    "masks",
    "mixture",
    "multi_scale",
    "parse_annotation",
    "parse_molmo",
    "parse_paligemma",
    "parse_qwen",
    "parse_robopoint",
    "pixels_per_degree",
]
