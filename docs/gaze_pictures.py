"""Makes the pictures of gaze.md: gaze over a photograph, in its three states, and as a film. The gaze is invented.

Run: python docs/gaze_pictures.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from isotherm.data.gaze.recording import GazeRecording
from isotherm.data.photographs import PHOTOGRAPHS
from isotherm.draw import draw_gaze, gaze_frames, save_animation, save_picture
from isotherm.draw.gaze import GazeTrack
from isotherm.draw.sheet import Tile, arrange
from isotherm.gaze.film import gaze_track

RATE_HZ, FPS, SECONDS = 60, 15, 5.0
STOPS = (
    (0.0, (300, 150)),
    (0.9, (210, 230)),
    (1.6, (400, 215)),
    (2.5, (310, 330)),
    (3.1, (520, 120)),
    (3.7, (690, 60)),
    (4.4, (330, 190)),
)
"""When the gaze jumps, and where to in pixels."""
BLINK_S = 2.9, 3.1


def invented(size: tuple[int, int]) -> GazeRecording:
    """Fixations with a little tremor, a blink, and half a second beside the picture."""
    draw = np.random.default_rng(0)
    time_s = np.arange(int(SECONDS * RATE_HZ)) / RATE_HZ
    begins = np.array([s for s, _ in STOPS])
    places = np.array([p for _, p in STOPS], float)
    stop = np.searchsorted(begins, time_s, side="right") - 1
    before = places[np.maximum(stop - 1, 0)]
    moved = np.clip((time_s - begins[stop]) / 0.06, 0, 1)[:, None]  # a saccade of 60 ms
    xy = before + (places[stop] - before) * moved + np.cumsum(draw.normal(0, 0.8, (len(time_s), 2)), 0) * 0.4
    xy[(time_s >= BLINK_S[0]) & (time_s < BLINK_S[1])] = np.nan
    return GazeRecording.of(time_s, xy, size=size)


def main(dpath: Path) -> None:
    """Write the pictures."""
    photograph = np.asarray(Image.open(next(p for p in PHOTOGRAPHS if p.name == "coffee").fpath).convert("RGB"))
    track: GazeTrack = gaze_track(invented(photograph.shape[:2]))
    command = "python docs/gaze_pictures.py"
    tiles = [
        Tile(draw_gaze(photograph, track, at_s).resize((390, 260), Image.Resampling.LANCZOS), caption)
        for at_s, caption in (
            (2.45, "where it is, the way it came, two seconds of heat"),
            (3.05, "a blink: nothing is known, and where it was last"),
            (4.2, "beside the picture, and where to"),
        )
    ]
    sheet = arrange([tiles], font_size=14)
    save_picture(sheet, dpath / "gaze_states.jpg", command=command)
    times = np.arange(0, SECONDS, 1 / FPS)
    frames = gaze_frames([photograph] * len(times), track, times)
    save_animation(frames, dpath / "gaze.mp4", fps=FPS, side=480, command=command)


if __name__ == "__main__":
    main(Path(__file__).parent / "pictures")
