from . import arrays, decode, draw, heads, losses, metrics, targets
from .api import Explanation, explain, explain_many, open_model
from .cam.scores import Classes, ClassLogit, Contrast, Detection, Function, SegmentationMask, Similarity, TopK
from .errors import IsothermError
from .frame import Frame
from .heatmap import Heatmap
from .points import Points, State
from .target import Target
from .version import __version__

__all__ = [
    "ClassLogit",
    "Classes",
    "Contrast",
    "Detection",
    "Explanation",
    "Frame",
    "Function",
    "Heatmap",
    "IsothermError",
    "Points",
    "SegmentationMask",
    "Similarity",
    "State",
    "Target",
    "TopK",
    "__version__",
    "arrays",
    "decode",
    "draw",
    "explain",
    "explain_many",
    "heads",
    "losses",
    "metrics",
    "open_model",
    "targets",
]
