"""Small videos made on the fly."""

from __future__ import annotations

import struct
from fractions import Fraction
from importlib.resources import files

import numpy as np
from PIL import Image


def write_clip(fpath, *, frames=12, rate=10, h=48, w=64, codec="mpeg4", options=None):
    """A red top-left quarter, and a bottom-right quarter whose grey is 20 times the frame's number."""
    import av

    with av.open(str(fpath), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = w, h, "yuv420p"
        stream.bit_rate = 4_000_000
        for i in range(frames):
            array = np.zeros((h, w, 3), np.uint8)
            array[: h // 2, : w // 2] = 250, 20, 20
            array[h // 2 :, w // 2 :] = 20 * i % 256
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode())
    return fpath


def scene_clip(fpath, *, frames=10, rate=10):
    """A scene of the shipped detector, standing still: a gear, a crescent and a spiral."""
    import av

    scene = np.asarray(Image.open(str(files("isotherm") / "assets" / "scene-1.jpg")).convert("RGB"))
    with av.open(str(fpath), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 640, 480, "yuv420p", 8_000_000
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(scene, format="rgb24")))
        container.mux(stream.encode())
    return fpath


def turn_clip(fpath, *, h=48):
    """Rewrite the display matrix of an MP4 as a phone held upright writes it: a quarter turn clockwise."""
    data = bytearray(fpath.read_bytes())
    at = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, h << 16, 0, 1 << 30)
    fpath.write_bytes(data)
    return fpath


def numbered_clip(fpath, times_s, *, ticks=90_000, h=48, w=96, options=None, colour_from=None):
    """An H.264 file whose frames are shown at given times, each with its number as a row of black and white blocks.

    Below the number is a picture that moves, so that frames are predicted from each other; from the frame
    ``colour_from`` on it is another one.
    """
    import av

    with av.open(str(fpath), "w") as container:
        stream = container.add_stream("libx264", rate=60)
        stream.width, stream.height, stream.pix_fmt = w, h, "yuv420p"
        stream.codec_context.time_base = Fraction(1, ticks)
        stream.codec_context.options = {"crf": "18", "preset": "veryfast", "g": "30", **(options or {})}
        for i, time_s in enumerate(times_s):
            array = np.full((h, w, 3), 60, np.uint8)
            for bit in range(10):
                array[: h // 2, bit * 8 + 8 : bit * 8 + 16] = 230 * (i >> bit & 1)
            at = 3 * i % (w - 12)
            other = colour_from is not None and i >= colour_from
            array[h // 2 :, at : at + 12] = (30, 200, 90) if other else (200, 60, 30)
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            frame.pts, frame.time_base = round(time_s * ticks), Fraction(1, ticks)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return fpath


def number_in(array):
    """The number of a frame of :func:`numbered_clip`, from its pixels (h, w, 3)."""
    row = array[array.shape[0] // 4, :, 0].astype(int)
    scale = array.shape[1] // 96
    return sum(int(row[(bit * 8 + 12) * scale] > 115) << bit for bit in range(10))
