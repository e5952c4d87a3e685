"""Pictures, words and the places that the words mean: the form that training takes, and the readers that make it."""

from isotherm.data.grounding.cameras import ViewCamera, camera_from
from isotherm.data.grounding.jsonl import read_jsonl
from isotherm.data.grounding.records import GroundingRecord, GroundingSet, Place, together
from isotherm.data.grounding.refcoco import read_refcoco
from isotherm.data.grounding.sides import COLOUR_WORDS, SIDE_WORDS, names_a_side

__all__ = [
    "COLOUR_WORDS",
    "SIDE_WORDS",
    "GroundingRecord",
    "GroundingSet",
    "Place",
    "ViewCamera",
    "camera_from",
    "names_a_side",
    "read_jsonl",
    "read_refcoco",
    "together",
]
