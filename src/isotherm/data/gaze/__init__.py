"""Gaze on the clock of a video: recordings, what is known at each moment, and clips of it."""

from isotherm.data.gaze.recording import GazeRecording, GazeSamples
from isotherm.data.gaze.states import GazeState

__all__ = ["GazeRecording", "GazeSamples", "GazeState"]
