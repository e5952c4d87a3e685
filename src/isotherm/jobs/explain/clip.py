"""A video or a camera: one overlay per frame, all of one colour scale, as a clip."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec

import numpy as np
from PIL import Image

from isotherm.cam.explanation import Explanation
from isotherm.data.sources import Item
from isotherm.draw import ReportEntry, overlay, save_animation, shared_scale
from isotherm.draw.save import open_written
from isotherm.errors import JobCancelled
from isotherm.heatmap import Heatmap
from isotherm.jobs.explain.outputs import Outputs, combined, entry_of

SHOWN = 12
"""Frames of a clip that the report shows, evenly spread over the first ones; the clip has all."""


def write_clip(
    stream: Iterator[tuple[Item, Explanation]],
    source: str,
    outputs: Outputs,
    done: Callable[[Item, Explanation, list[str]], Explanation],
) -> Iterator[ReportEntry]:
    """Write the overlays of a stream's frames as one MP4 (GIF where PyAV is missing), and yield report entries.

    One scale for all frames is known only when all are explained, so the frames wait in a temporary file as JPEG and
    the maps, which are small, in memory. An interruption ends the stream; what came through is written.

    Args:
        done: called for every frame as soon as it is explained, with the files that are its own, of which there are
            none; gives the explanation with its verdicts.
    """
    maps: list[Heatmap | None] = []
    boxes: list[list[tuple[float, float, float, float]]] = []
    labels: list[list[str]] = []
    times: list[float] = []
    stopped: BaseException | None = None
    with tempfile.TemporaryFile() as spool:
        ends = [0]
        first: Item | None = None
        try:
            for item, explanation in stream:
                first = first or item
                Image.fromarray(explanation.picture).save(spool, "JPEG", quality=95)
                ends.append(spool.tell())
                maps.append(combined(explanation))
                boxes.append([f.box for f in explanation.findings])
                labels.append([f"{f.label} {f.confidence:.2f}" for f in explanation.findings])
                times.append(item.time_s or 0.0)
                judged = done(item, explanation, [])
                if len(maps) <= SHOWN:
                    yield entry_of(judged, f"{item.source} at {item.time_s or 0:.2f} s", outputs.command)
        except (KeyboardInterrupt, JobCancelled) as stop:
            stopped = stop
        if first is None:
            if stopped is not None:
                raise stopped
            return
        some = [m for m in maps if m is not None]
        # a renormalised map goes from 0 to 1 in every box by itself
        scale = shared_scale(some) if some and not outputs.renormalise else None

        def frames() -> Iterator[np.ndarray]:
            for i, heatmap in enumerate(maps):
                spool.seek(ends[i])
                picture = np.asarray(open_written(io.BytesIO(spool.read(ends[i + 1] - ends[i]))))
                if heatmap is None:
                    yield picture
                else:
                    yield overlay(
                        outputs.drawn(heatmap, boxes[i]),
                        picture,
                        scale=scale,
                        style=outputs.style,
                        boxes=boxes[i] if outputs.show_boxes and boxes[i] else None,
                        labels=labels[i] if outputs.show_boxes and labels[i] else None,
                    )

        name = first.name.partition("#")[0]
        suffix = ".mp4" if find_spec("av") else ".gif"
        save_animation(frames(), outputs.run.fpath(name, suffix), fps=_rate(times), command=outputs.command, side=1280)
    if stopped is not None:
        raise stopped


def _rate(times: list[float]) -> float:
    """Frames a second of what was explained, so that the clip keeps the source's pace."""
    if len(times) < 2 or times[-1] <= times[0]:
        return 10.0
    return min(60.0, max(0.5, (len(times) - 1) / (times[-1] - times[0])))


def rate_of(items: Sequence[Item]) -> float | None:
    """Frames a second, where the items are the frames of one video and not of several."""
    times = [item.time_s for item in items if item.kind == "frame" and item.time_s is not None]
    if len(times) < max(2, len(items)) or len({item.source for item in items}) > 1 or times[-1] <= times[0]:
        return None
    return (len(times) - 1) / (times[-1] - times[0])
