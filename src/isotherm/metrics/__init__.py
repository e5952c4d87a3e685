"""Faithfulness of maps: how far to believe them, beside maps that know nothing.

Everything takes plain tensors and, where a model is asked, a function ``score(pictures, target) -> (n,)``.
"""

from isotherm.metrics.assess import assess
from isotherm.metrics.average_drop import (
    MaskedScores,
    adcc,
    coherency,
    complexity,
    masked_pictures,
    masked_scores,
    unit_maps,
)
from isotherm.metrics.cascade import Cascade, cascade
from isotherm.metrics.figure_table import FigureTable
from isotherm.metrics.fills import blur_fill, mean_fill
from isotherm.metrics.imputation import linear_imputation
from isotherm.metrics.intervals import Interval, bootstrap, bootstrap_nested, bootstrap_paired
from isotherm.metrics.keypoint_report import KeypointReport, KeypointTruth, report_keypoints
from isotherm.metrics.localisation import Overlap, box_coverage, box_pixels, energy_inside, pointing_game, top_overlap
from isotherm.metrics.oks import oks
from isotherm.metrics.oks_ap import OksPrecision, OksPredictions, OksTruth, oks_average_precision
from isotherm.metrics.pck import nme, pck, pck_area
from isotherm.metrics.perturbation import Comparison, Comparisons, Curves, compare, deletion, insertion
from isotherm.metrics.place_report import PlaceReport, report_places
from isotherm.metrics.places import credible_level, hit_at, map_nll, nearest_errors
from isotherm.metrics.point_errors import length_errors, match_exchangeable, point_errors
from isotherm.metrics.randomisation import Randomised, learned_modules, randomised
from isotherm.metrics.recall import class_recalls, hits_at, mean_class_recall
from isotherm.metrics.references import centre_map, random_maps
from isotherm.metrics.road import Road, road
from isotherm.metrics.scoring import Score
from isotherm.metrics.similarity import pearson, spearman, ssim
from isotherm.metrics.trust import Beside, Trust

__all__ = [
    "Beside",
    "Cascade",
    "Comparison",
    "Comparisons",
    "Curves",
    "FigureTable",
    "Interval",
    "KeypointReport",
    "KeypointTruth",
    "MaskedScores",
    "OksPrecision",
    "OksPredictions",
    "OksTruth",
    "Overlap",
    "PlaceReport",
    "Randomised",
    "Road",
    "Score",
    "Trust",
    "adcc",
    "assess",
    "blur_fill",
    "bootstrap",
    "bootstrap_nested",
    "bootstrap_paired",
    "box_coverage",
    "box_pixels",
    "cascade",
    "centre_map",
    "class_recalls",
    "coherency",
    "compare",
    "complexity",
    "credible_level",
    "deletion",
    "energy_inside",
    "hit_at",
    "hits_at",
    "insertion",
    "learned_modules",
    "length_errors",
    "linear_imputation",
    "map_nll",
    "masked_pictures",
    "masked_scores",
    "match_exchangeable",
    "mean_class_recall",
    "mean_fill",
    "nearest_errors",
    "nme",
    "oks",
    "oks_average_precision",
    "pck",
    "pck_area",
    "pearson",
    "point_errors",
    "pointing_game",
    "random_maps",
    "randomised",
    "report_keypoints",
    "report_places",
    "road",
    "spearman",
    "ssim",
    "top_overlap",
    "unit_maps",
]
