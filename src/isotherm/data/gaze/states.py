"""What is known of where somebody looked at a moment. No torch here.

A map of zeros would say "not recorded", "looked nowhere" and "looked beside the picture" at once; a model that is to
learn from gaze needs them apart.
"""

from __future__ import annotations

from enum import IntEnum


class GazeState(IntEnum):
    """What is known of the gaze at a moment.

    TRACKED: the eye tracker saw it, and it lies in the picture, cropped or turned as it may be. MISSING: nothing is
    known; it was not recorded, the eye was shut, the tracker was not sure, or the recording is broken or absent.
    OUT_OF_FRAME: it is known to lie outside of the picture.
    """

    TRACKED = 0
    MISSING = 1
    OUT_OF_FRAME = 2
