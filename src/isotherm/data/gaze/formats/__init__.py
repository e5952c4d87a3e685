"""Files of eye trackers and of data sets, a module each: all give a RawGaze, which is not on a video's clock yet."""

from isotherm.data.gaze.formats.choose import FORMATS, read_raw
from isotherm.data.gaze.formats.raw import RawGaze, ReadOptions
from isotherm.data.gaze.formats.world import read_world_timestamps

__all__ = ["FORMATS", "RawGaze", "ReadOptions", "read_raw", "read_world_timestamps"]
