"""Scores in one place, what to explain: of pictures by their names, and under ``answers`` those of a model's words.

All of them derive from one :class:`Score`, and what they choose fulfils one protocol, :class:`Target`.

Example:
    >>> from isotherm import scores
    >>> scores.TopK(3).k
    3
    >>> scores.answers.Word("red").word
    'red'
"""

from isotherm.cam.scores import (
    Classes,
    ClassLogit,
    Contrast,
    Detection,
    Function,
    MapValue,
    Named,
    SegmentationMask,
    Similarity,
    Targets,
    TopK,
)
from isotherm.relevance.score import Score, Target
from isotherm.vlm import scores as answers

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
    "Target",
    "Targets",
    "TopK",
    "answers",
]
