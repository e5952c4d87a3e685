"""The formats of gaze by the names that the command line has for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from isotherm.data.gaze.formats.aria import read_aria
from isotherm.data.gaze.formats.ego4d import read_ego4d
from isotherm.data.gaze.formats.ego_exo4d import read_ego_exo4d
from isotherm.data.gaze.formats.egtea import read_egtea
from isotherm.data.gaze.formats.neon import read_neon
from isotherm.data.gaze.formats.pupil_core import read_pupil_core
from isotherm.data.gaze.formats.raw import RawGaze, ReadOptions
from isotherm.data.gaze.formats.tobii_g3 import read_tobii_g3
from isotherm.errors import OptionError
from isotherm.ops.names import known_word
from isotherm.untrusted.plain import reads

Reader = Callable[[Path, ReadOptions], RawGaze]
FORMATS: dict[str, Reader] = {
    "ego4d": read_ego4d,
    "egtea": read_egtea,
    "pupil-core": read_pupil_core,
    "neon": read_neon,
    "tobii-g3": read_tobii_g3,
    "aria": read_aria,
    "ego-exo4d": read_ego_exo4d,
}
"""Readers by the names of their formats."""
CALIBRATED = ("aria", "ego-exo4d")
"""Formats that may give directions, which a calibration brings into the picture."""


@reads()
def read_raw(path: Path, format: str, options: ReadOptions | None = None) -> RawGaze:
    """What a file of gaze says.

    Args:
        path: of the file.
        format: a key of :data:`FORMATS`.
        options: what the format needs beside it.

    Raises:
        OptionError: no such format, one that needs an option that was not given, or one that an option given to it
            changes nothing of.
        InputError: file, line and column of what is wrong.
    """
    known_word(format, tuple(FORMATS), "format")
    options = options or ReadOptions()
    if options.calibration is not None and format not in CALIBRATED:
        raise OptionError(f"the format {format} gives places, which need no calibration; leave it out (--calibration)")
    raw = FORMATS[format](path, options)
    if options.first is not None and raw.frame is None:
        raise OptionError(
            f"the format {format} has times and numbers no frames; leave out the number of the first one (--first-frame)"
        )
    if options.gaze_size not in (None, raw.gaze_size):
        raise OptionError(
            f"the format {format} does not count pixels of a picture whose size can be chosen; leave it out (--gaze-size)"
        )
    return raw
