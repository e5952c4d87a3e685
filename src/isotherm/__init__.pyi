from .api import Explanation, explain, explain_many, open_model
from .cam.scores import Classes, ClassLogit, Contrast, Detection, Function, SegmentationMask, Similarity, TopK
from .errors import IsothermError
from .frame import Frame
from .heatmap import Heatmap
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
    "SegmentationMask",
    "Similarity",
    "TopK",
    "__version__",
    "explain",
    "explain_many",
    "open_model",
]
