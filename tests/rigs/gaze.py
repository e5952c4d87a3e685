"""A recording of gaze that wanders over a small video, and its maps in the forms in which other programs write them."""

from __future__ import annotations

import numpy as np
import torch

from isotherm.data.gaze import GazeRecording
from isotherm.data.gaze.clip import GazeClip
from isotherm.data.gaze.render import render_clip

SIZE = (96, 128)
FRAMES, RATE = 80, 25.0
TIMES = np.arange(FRAMES) / RATE
MISSED, BESIDE = (10, 11, 40), (20,)


def wandering(frames: int = FRAMES) -> GazeRecording:
    """A sample for each frame; frames 10, 11 and 40 are blinks, and at frame 20 the gaze lies beside the picture."""
    t = np.arange(frames) / RATE
    xy = np.stack([64 + 50 * np.sin(1.3 * t), 48 + 35 * np.cos(0.9 * t)], -1)
    xy[[i for i in MISSED if i < frames]] = np.nan
    xy[[i for i in BESIDE if i < frames]] = (140.0, 30.0)
    return GazeRecording.of(t, xy, size=SIZE)


def maps_of(
    recording: GazeRecording, cells: tuple[int, int] = (24, 32), times_s: np.ndarray | None = None
) -> np.ndarray:
    """Maps of peak 1 at its own moments or at others, zeros where the gaze is not tracked."""
    samples = recording.at(recording.time_s if times_s is None else times_s, window_s=0.001)
    clip = GazeClip.of_samples(samples, recording.size)
    with torch.no_grad():
        return render_clip(clip, cells, sigma_px=10.0).numpy()


def write_video(fpath, times_s, *, size: tuple[int, int] = SIZE, rate: int = 60) -> None:
    """An H.264 file whose frames are shown at the times that are given, in ticks of a 120,000th of a second."""
    from fractions import Fraction

    import av

    ticks = 120_000
    with av.open(str(fpath), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = size[1], size[0], "yuv420p"
        stream.codec_context.time_base = Fraction(1, ticks)
        stream.codec_context.options = {"preset": "ultrafast", "bf": "2"}
        picture = np.zeros((*size, 3), np.uint8)
        for i, t in enumerate(times_s):
            frame = av.VideoFrame.from_ndarray(picture + i % 200, format="rgb24")
            frame.pts, frame.time_base = round(float(t) * ticks), Fraction(1, ticks)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
