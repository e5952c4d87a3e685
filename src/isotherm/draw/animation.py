"""Animation: frames as they come, one scale for all of them, GIF through Pillow and MP4 through PyAV."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain, count
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image
from torch import Tensor

from isotherm.atomic import atomic_write
from isotherm.draw.colour import Scale, shared_scale
from isotherm.draw.moments import each_frame
from isotherm.draw.overlay import overlay
from isotherm.draw.picture import Picture, fit, open_canvas, picture_tile
from isotherm.draw.sheet import add_footer
from isotherm.draw.style import Style, as_style
from isotherm.draw.text import PAPER
from isotherm.errors import InputError, MissingExtraError, OptionError, ShapeError
from isotherm.heatmap import Heatmap

TICK = Fraction(1, 90_000)
"""Seconds in which the times of frames are counted; whole numbers of it make the distances of usual rates."""
Shown = tuple[Image.Image, Fraction]
"""A frame, and when it is shown."""
Boxes = Tensor | np.ndarray | Sequence[Sequence[float]]


def overlay_frames(
    heatmaps: Heatmap | Iterable[Heatmap],
    pictures: Iterable[Picture],
    *,
    scale: Scale | None = None,
    boxes: Iterable[Boxes | None] | None = None,
    labels: Iterable[Sequence[str] | None] | None = None,
    style: Style | str | None = None,
    title: str | None = None,
) -> Iterator[Picture]:
    """Overlays, one at a time, all of one scale: a colour means the same in every frame.

    Args:
        heatmaps: a heatmap of (t, h, w), or single maps, one a picture; or a heatmap of a clip, whose moments are
            spread over all frames of the clip.
        pictures: the frames of a video; none is kept.
        scale: for all frames. By default the shared scale of all heatmaps, which therefore must all be there
            (a list, not an iterator); for a stream pass one.
        boxes, labels: one entry a frame, each as for :func:`overlay`.
        style, title: as for :func:`overlay`.

    Raises:
        OptionError: the heatmaps are a stream and there is no scale.
        ShapeError: more pictures than heatmaps, or fewer.
    """
    if scale is None:
        if not isinstance(heatmaps, (Heatmap, list, tuple)):
            raise OptionError(
                "the heatmaps come as a stream, so their common scale is not known; pass scale=Scale(low, high), or a list"
            )
        scale = shared_scale([heatmaps] if isinstance(heatmaps, Heatmap) else heatmaps)
    if isinstance(heatmaps, Heatmap) and heatmaps.moments is not None:
        heatmaps = each_frame(heatmaps)
    return _overlay_frames(heatmaps, pictures, boxes, labels, scale=scale, style=as_style(style), title=title)


def _overlay_frames(heatmaps, pictures, boxes, labels, **style) -> Iterator[Picture]:
    endless = iter(lambda: None, 0)
    streams = (
        iter(heatmaps),
        iter(pictures),
        iter(boxes) if boxes is not None else endless,
        iter(labels) if labels is not None else endless,
    )
    end = object()
    for index, (heatmap, picture, box, label) in enumerate(zip_until(streams, end)):
        missing = [
            n
            for n, v in (("heatmap", heatmap), ("picture", picture), ("boxes entry", box), ("labels entry", label))
            if v is end
        ]
        if missing:
            raise ShapeError(f"frame {index} has no {' and no '.join(missing)}; there must be one of each a frame")
        yield overlay(heatmap, picture, boxes=box, labels=label, **style)


def zip_until(streams: Sequence[Iterator], end: object) -> Iterator[tuple]:
    """Tuples of one item of each stream until the first two streams both end; a stream that ends early gives
    ``end``.
    """
    while True:
        items = tuple(next(s, end) for s in streams)
        if items[0] is end and items[1] is end:
            return
        yield items


def save_animation(
    frames: Iterable[Picture],
    fpath: str | os.PathLike[str],
    *,
    fps: float | Fraction = 10.0,
    times_s: Iterable[float] | None = None,
    command: str | None = None,
    side: int | None = None,
) -> Path:
    """Write frames as they come to a GIF or an MP4, whole or not at all.

    Args:
        frames: pictures of one size, PIL or arrays; an iterator is read once, frame by frame. An MP4 holds one
            frame at a time in memory; a GIF holds all of them, in 256 colours each.
        fpath: ends in .gif or .mp4.
        fps: frames a second, above 0; a GIF counts in hundredths of a second, and players slow down above 50.
        times_s: when each frame is shown, for frames that do not follow each other at one rate; the film begins with
            the first. One is read with each frame, and ``fps`` is then for how long the last frame is shown.
        command: the command that makes this animation again: printed below every frame and kept in the file.
        side: the longer side in pixels; larger frames are made smaller.

    Returns:
        The path written.

    Raises:
        InputError: another suffix, no such folder, or no frames at all.
        ShapeError: a frame of another size than the first, or a frame without a time.
        OptionError: fps that is not above 0, or a time that is not later than the one before.
        MissingExtraError: an MP4 without PyAV.
    """
    fpath = Path(fpath)
    if fpath.suffix.lower() not in (".gif", ".mp4"):
        raise InputError(f"cannot save an animation as {fpath.name!r}; the name must end in .gif or .mp4")
    if not fps > 0:
        raise OptionError(f"fps is {fps}; expected frames a second, above 0")
    rate = Fraction(fps).limit_denominator(1001)
    moments = (i / rate for i in count()) if times_s is None else _moments(times_s)
    ready = zip(_ready(frames, command, side), moments, strict=False)
    first = next(ready, None)
    if first is None:
        raise InputError(f"there are no frames to write to {fpath.name!r}; expected at least one")
    with atomic_write(fpath) as file:
        if fpath.suffix.lower() == ".gif":
            _write_gif(chain([first], ready), file, rate, command)
        else:
            _write_mp4(chain([first], ready), file, rate, command, tick=1 / rate if times_s is None else TICK)
    return fpath


def _moments(times_s: Iterable[float]) -> Iterator[Fraction]:
    """Counted from the first one, in ticks."""
    first, before = None, None
    for index, time_s in enumerate(times_s):
        first = time_s if first is None else first
        moment = round((time_s - first) / TICK) * TICK
        if before is not None and not moment > before:
            raise OptionError(
                f"frame {index} is shown at {time_s} s; expected a time later than that of the frame before"
            )
        yield moment
        before = moment
    raise ShapeError("there are more frames than times_s; expected a time for each frame")


def _ready(frames: Iterable[Picture], command: str | None, side: int | None) -> Iterator[Image.Image]:
    expected = None
    for index, frame in enumerate(frames):
        size = open_canvas(frame).size
        expected = expected or size
        if size != expected:
            raise ShapeError(
                f"frame {index} is {size[0]} x {size[1]} (h x w) but the first is {expected[0]} x {expected[1]}; an animation has one size"
            )
        image = picture_tile(frame, fit(size, (side, side)) if side is not None and max(size) > side else size)
        yield add_footer(image, command) if command else image


def _write_gif(frames: Iterator[Shown], file: IO[bytes], rate: Fraction, command: str | None) -> None:
    def timed() -> Iterator[Image.Image]:
        frame, moment = next(frames)
        for following in chain(frames, [None]):
            end = moment + 1 / rate if following is None else following[1]
            paletted = frame.quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
            # each frame ends at the hundredth of a second nearest to its true end, so that errors do not add up
            paletted.info["duration"] = 10 * (round(100 * end) - round(100 * moment))
            yield paletted
            if following is not None:
                frame, moment = following

    timed_frames = timed()
    first = next(timed_frames)
    comment = {"comment": command.encode()} if command else {}
    first.save(file, "GIF", save_all=True, append_images=timed_frames, loop=0, **comment)


def _write_mp4(
    frames: Iterator[Shown], file: IO[bytes], rate: Fraction, command: str | None, *, tick: Fraction
) -> None:
    try:
        import av
        from av.video.reformatter import Colorspace
    except ImportError as error:
        raise MissingExtraError("av", "video", "writing an MP4") from error
    codec = next(name for name in ("libx264", "libopenh264", "mpeg4") if name in av.codecs_available)
    with av.open(file, "w", format="mp4") as container:
        if command:
            container.metadata["comment"] = command
        stream = None
        for frame, moment in frames:
            if stream is None:
                stream = container.add_stream(codec, rate=rate)
                stream.width, stream.height = frame.width + frame.width % 2, frame.height + frame.height % 2
                stream.pix_fmt = "yuv420p"  # the one that every player shows; it needs even sides
                context = stream.codec_context
                context.time_base = tick
                context.color_primaries = context.color_trc = context.colorspace = 1  # BT.709, said and done
                if codec == "libx264":
                    context.options = {"crf": "20", "preset": "medium"}
            if frame.size != (stream.width, stream.height):
                even = Image.new("RGB", (stream.width, stream.height), PAPER)
                even.paste(frame, (0, 0))
                frame = even
            picture = av.VideoFrame.from_ndarray(np.asarray(frame), format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
            picture.pts, picture.time_base = int(moment / tick), tick
            container.mux(stream.encode(picture))
        if stream is not None:
            container.mux(stream.encode())
