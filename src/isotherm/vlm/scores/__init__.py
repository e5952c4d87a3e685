"""What of an answer to explain."""

from isotherm.vlm.scores.answer import Answer, NextToken, Span, Word
from isotherm.vlm.scores.contrast import Contrast
from isotherm.vlm.scores.custom import Custom
from isotherm.vlm.scores.expected_number import ExpectedNumber

__all__ = ["Answer", "Contrast", "Custom", "ExpectedNumber", "NextToken", "Span", "Word"]
