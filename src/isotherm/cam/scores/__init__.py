"""What to explain: scores of classifiers, segmenters and detectors."""

from isotherm.cam.scores.classes import Classes, ClassLogit, Contrast, Similarity, TopK
from isotherm.cam.scores.detections import Detection
from isotherm.cam.scores.function import Function
from isotherm.cam.scores.maps import MapValue
from isotherm.cam.scores.named import Named
from isotherm.cam.scores.segmentation import SegmentationMask
from isotherm.cam.trace import Targets
from isotherm.relevance.score import Score

__all__ = [
    "ClassLogit",
    "Classes",
    "Contrast",
    "Detection",
    "Function",
    "MapValue",
    "Named",
    "Score",
    "SegmentationMask",
    "Similarity",
    "Targets",
    "TopK",
]
