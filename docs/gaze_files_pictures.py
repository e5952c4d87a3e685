"""Draws the picture of gaze_files.md: gaze of a made-up recorder whose clock drifts and that loses frames.

Run: python docs/gaze_files_pictures.py    (seconds)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from isotherm.data.gaze.align import align
from isotherm.data.gaze.clock import VideoClock
from isotherm.data.gaze.figures import alignment_figure
from isotherm.data.gaze.formats.raw import RawGaze

PICTURES = Path(__file__).parent / "pictures"
SIZE = (1200, 1600)
SECONDS = 40.0


def scanpath(t: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Fixations of a third of a second with jumps between them, which leave the picture to the left once."""
    starts = np.cumsum(generator.uniform(0.18, 0.6, 300))
    places = np.cumsum(generator.normal(0, (150, 90), (300, 2)), 0)
    places = np.array([800, 560]) + 520 * np.tanh(places / 520) * (1, 0.6)
    places[(starts > 23) & (starts < 25.2)] = (-90, 500)
    return places[np.searchsorted(starts, t).clip(0, 299)] + generator.normal(0, 9, (len(t), 2))


def main() -> None:
    generator = np.random.default_rng(4)
    clock = VideoClock(np.arange(int(SECONDS * 30)) / 30, SIZE, "kitchen.mp4")
    t = np.arange(0.05, SECONDS, 1 / 200)
    t = t[~((t > 11.2) & (t < 12.6))]  # nothing was recorded
    xy = scanpath(t, generator)
    for start in (3.1, 6.4, 9.0, 15.2, 18.8, 27.5, 31.0, 36.3):
        xy[(t > start) & (t < start + 0.22)] = np.nan  # blinks
    drift = 1 + 90e-6
    world = 7_000 + clock.time_s * drift + generator.normal(0, 0.0012, len(clock.time_s))
    late = (clock.time_s > 29) & (clock.time_s < 29.4)
    world[late] -= 0.027 * np.sin(np.pi * (clock.time_s[late] - 29) / 0.4)
    device = np.rint((7_000 + t * drift) * 1e9).astype(np.int64)
    raw = RawGaze(Path("gaze.csv"), "neon", device, xy, "pixels", np.ones(len(t), np.float32), "device")
    alignment = align(raw, clock=clock, world_ns=np.rint(np.sort(world) * 1e9).astype(np.int64))
    print(alignment.report)
    picture = alignment_figure(alignment).quantize(256, dither=Image.Dither.NONE)
    picture.save(PICTURES / "gaze_alignment.png", optimize=True)


if __name__ == "__main__":
    main()
