"""Gaze-LLE: where each person in a picture looks, from a frozen DINOv2 and a small decoder."""

from isotherm.models.gaze_lle.decoder import GazeDecoder, GazeDecoderConfig
from isotherm.models.gaze_lle.export import export_gaze_lle
from isotherm.models.gaze_lle.heads import DetectedHeads, HeadBoxes, HeadDetector
from isotherm.models.gaze_lle.model import GazeLLE, GazePrediction, head_boxes
from isotherm.models.gaze_lle.names import GAZE_LLE_NAMES, open_gaze_lle

__all__ = [
    "GAZE_LLE_NAMES",
    "DetectedHeads",
    "GazeDecoder",
    "GazeDecoderConfig",
    "GazeLLE",
    "GazePrediction",
    "HeadBoxes",
    "HeadDetector",
    "export_gaze_lle",
    "head_boxes",
    "open_gaze_lle",
]
