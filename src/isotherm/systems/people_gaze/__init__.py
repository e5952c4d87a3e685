"""Where the people in a video look: heads, whose head is whose, maps, points, stores and a film."""

from isotherm.systems.people_gaze.heads import GivenHeads, WholePicture
from isotherm.systems.people_gaze.run import PeopleGaze, PeopleOptions, predict_gaze

__all__ = ["GivenHeads", "PeopleGaze", "PeopleOptions", "WholePicture", "predict_gaze"]
