from . import arrays, coordinates, decode, draw, errors, heads, losses, methods, metrics, scores, targets
from .api import Explanation, explain, explain_many, open_model, view_of
from .cam.scores import Classes, ClassLogit, Contrast, Detection, Function, SegmentationMask, Similarity, TopK
from .cam.view import View
from .errors import (
    AdapterError,
    AnnotationError,
    FrameError,
    InputError,
    IsothermError,
    JobCancelled,
    KindError,
    LayerError,
    MethodError,
    MissingExtraError,
    NonFiniteError,
    OptionError,
    ShapeError,
    TargetError,
    UnfitTargetError,
    WeightsError,
)
from .frame import Frame
from .heatmap import Heatmap
from .points import Points, State
from .runs.read import list_runs, read_items, read_run
from .systems.prediction import predict
from .systems.vlm_counting import count
from .training_map import TrainingMap
from .version import __version__
from .vlm.scores import Answer, ExpectedNumber, NextToken, Span, Word
from .vlm.view import LanguageView

__all__ = [
    "AdapterError",
    "AnnotationError",
    "Answer",
    "ClassLogit",
    "Classes",
    "Contrast",
    "Detection",
    "ExpectedNumber",
    "Explanation",
    "Frame",
    "FrameError",
    "Function",
    "Heatmap",
    "InputError",
    "IsothermError",
    "JobCancelled",
    "KindError",
    "LanguageView",
    "LayerError",
    "MethodError",
    "MissingExtraError",
    "NextToken",
    "NonFiniteError",
    "OptionError",
    "Points",
    "SegmentationMask",
    "ShapeError",
    "Similarity",
    "Span",
    "State",
    "TargetError",
    "TopK",
    "TrainingMap",
    "UnfitTargetError",
    "View",
    "WeightsError",
    "Word",
    "__version__",
    "arrays",
    "coordinates",
    "count",
    "decode",
    "draw",
    "errors",
    "explain",
    "explain_many",
    "heads",
    "list_runs",
    "losses",
    "methods",
    "metrics",
    "open_model",
    "predict",
    "read_items",
    "read_run",
    "scores",
    "targets",
    "view_of",
]
