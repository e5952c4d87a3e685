"""Classes by name or number, for whichever kind of model it turns out to be."""

from __future__ import annotations

from dataclasses import dataclass

from isotherm.cam.maps import Maps
from isotherm.cam.scores.classes import Classes
from isotherm.cam.scores.detections import Detection
from isotherm.cam.scores.maps import MapValue
from isotherm.cam.scores.segmentation import SegmentationMask
from isotherm.cam.trace import Targets
from isotherm.cam.view import Detections, Inputs, Prediction, Segmentation
from isotherm.errors import UnfitTargetError
from isotherm.relevance.score import Score


@dataclass(frozen=True)
class Named(Score):
    """What a bare name or number means: a classifier's class, a detector's findings, a segmenter's class, a map."""

    which: tuple[int | str, ...]

    def __call__(self, prediction: Prediction, inputs: Inputs) -> Targets:
        if isinstance(prediction, Detections):
            return Detection(self.which)(prediction, inputs)
        if isinstance(prediction, Segmentation):
            if len(self.which) != 1:
                raise UnfitTargetError(
                    f"one class at a time is explained in a segmentation; {len(self.which)} were given"
                )
            return SegmentationMask(self.which[0])(prediction, inputs)
        if isinstance(prediction, Maps):
            return MapValue(self.which)(prediction, inputs)
        return Classes(self.which)(prediction, inputs)


@dataclass(frozen=True)
class Boxed(Score):
    """What a box x0, y0, x1, y1 in source pixels means: the finding of a detector that overlaps it most, or where maps
    are read.

    Args:
        finding: what is explained of a detector, which holds the box.
    """

    finding: Detection

    def __call__(self, prediction: Prediction, inputs: Inputs) -> Targets:
        if isinstance(prediction, Maps):
            return MapValue(box=self.finding.box)(prediction, inputs)
        return self.finding(prediction, inputs)
