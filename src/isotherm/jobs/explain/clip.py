"""A video or a camera: an overlay per frame under the frame's time, all of one scale, as a film, and the raw maps."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec

import torch
from PIL import Image

from isotherm.cam.explanation import Explanation
from isotherm.cam.premises import RANDOM
from isotherm.data.sources import Item
from isotherm.draw import ReportEntry, overlay, save_animation, shared_scale
from isotherm.draw.describe import title_of
from isotherm.draw.picture import Picture
from isotherm.draw.save import open_written
from isotherm.draw.sheet import add_title
from isotherm.errors import IsothermError
from isotherm.heatmap import Heatmap
from isotherm.jobs.explain.outputs import Outputs, column_name, entry_of, write_raw

SHOWN = 12
"""Frames of a clip that the report shows, the first ones; the clip has all."""
Box = tuple[float, float, float, float]


def write_clip(
    stream: Iterator[tuple[Item, Explanation]],
    source: str,
    outputs: Outputs,
    done: Callable[[Item, Explanation, list[str]], Explanation],
) -> Iterator[ReportEntry]:
    """Write the raw maps of a stream's frames and, of each method, the overlays as one MP4 (GIF where PyAV is missing),
    and yield report entries.

    One scale for all frames is known only when all are explained, so the frames wait in a temporary file as JPEG, and
    the maps, which are small, and the report's entries in memory. What ends a stream early is raised when what came
    through is written.

    Args:
        done: called for every frame as soon as it is explained, with the files that are its own; gives the explanation
            with its verdicts.
    """
    frames: list[_Frame] = []
    entries: list[ReportEntry] = []
    stopped: BaseException | None = None
    with tempfile.TemporaryFile() as spool:
        first: Item | None = None
        try:
            for item, explanation in stream:
                first = first or item
                start = spool.tell()
                Image.fromarray(explanation.picture).save(spool, "JPEG", quality=95)
                frames.append(_Frame.of(item, explanation, outputs.methods, (start, spool.tell())))
                judged = done(item, explanation, write_raw(explanation, item.name, outputs))
                if len(frames) <= SHOWN:
                    entries.append(entry_of(judged, f"{item.source} at {_seconds(item.time_s)}", outputs.command))
        except (KeyboardInterrupt, IsothermError) as stop:
            stopped = stop
        if first is None:
            if stopped is not None:
                raise stopped
            return
        name = first.name.partition("#")[0]
        several = any(frame.several for frame in frames)
        for column in range(outputs.methods):
            maps = _alike([frame.maps[column] for frame in frames], several=several)
            some = [heatmap for heatmap in maps if heatmap is not None]
            # a renormalised map goes from 0 to 1 in every box by itself
            scale = shared_scale(some) if some and not outputs.renormalise else None
            part = column_name(some[0], outputs.layers_apart) if outputs.methods > 1 and some else ""
            if outputs.methods == 1 and not several:
                entries = [replace(entry, scale=scale) for entry in entries]

            def pictures(maps: list[Heatmap | None] = maps, scale=scale) -> Iterator[Image.Image]:
                for frame, heatmap in zip(frames, maps, strict=True):
                    spool.seek(frame.place[0])
                    picture: Picture = open_written(io.BytesIO(spool.read(frame.place[1] - frame.place[0])))
                    if heatmap is not None:
                        boxes = frame.boxes if outputs.show_boxes and frame.boxes else None
                        picture = overlay(
                            outputs.drawn(heatmap, frame.boxes),
                            picture,
                            scale=scale,
                            style=outputs.style,
                            boxes=boxes,
                            labels=frame.labels if boxes else None,
                        )
                    assert isinstance(picture, Image.Image)
                    yield add_title(picture, frame.title(heatmap), lines=1)

            fpath = outputs.run.fpath(name, ".mp4" if find_spec("av") else ".gif", part=part, of_item=False)
            rate = _rate([frame.time_s or 0.0 for frame in frames])
            save_animation(pictures(), fpath, fps=rate, command=outputs.command, side=1280)
    yield from entries
    if stopped is not None:
        raise stopped


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """What is kept of an explained frame.

    Args:
        maps: one of each method: the only one of its maps, or the largest positive value of all; None: there are none.
        several: some of them are of several maps.
        boxes, labels: of the findings.
        time_s: when it was in its video.
        random: the model's weights are random.
        answer: of a question, what the model answered.
        place: where its picture begins and ends in the temporary file.
    """

    maps: list[Heatmap | None]
    several: bool
    boxes: list[Box]
    labels: list[str]
    time_s: float | None
    random: bool
    answer: str | None
    place: tuple[int, int]

    @classmethod
    def of(cls, item: Item, explanation: Explanation, methods: int, place: tuple[int, int]) -> _Frame:
        columns = [[m.with_(picture=None) for m in explanation[i::methods]] for i in range(methods)]
        return cls(
            maps=[(maps[0] if len(maps) == 1 else _largest(maps)) if maps else None for maps in columns],
            several=any(len(maps) > 1 for maps in columns),
            boxes=[f.box for f in explanation.findings],
            labels=[f"{f.label} {f.confidence:.2f}" for f in explanation.findings],
            time_s=item.time_s,
            random=bool(explanation.warnings),
            answer=None if explanation.prompt is None else explanation.answer,
            place=place,
        )

    def title(self, heatmap: Heatmap | None) -> str:
        """When the frame was, what its map is of, and how it was made."""
        words = ["nothing to explain"] if heatmap is None else [title_of(heatmap), str(heatmap.meta["method"])]
        answer = [] if self.answer is None else [f"answer: {self.answer!r}"]
        return " · ".join([_seconds(self.time_s), *([RANDOM] if self.random else []), *answer, *words])


def _seconds(time_s: float | None) -> str:
    """When in its video, as it stands above a frame."""
    return f"{time_s or 0.0:.2f} s"


def _alike(maps: list[Heatmap | None], *, several: bool) -> list[Heatmap | None]:
    """Maps that one scale can hold: as they are, with what speaks against, where each is the only one of its frame."""
    return [None if heatmap is None else _largest([heatmap]) for heatmap in maps] if several else maps


def _largest(maps: list[Heatmap]) -> Heatmap:
    """The largest positive value of each cell."""
    values = torch.stack([heatmap.values for heatmap in maps]).clamp(min=0).amax(0)
    label = maps[0].label if len(maps) == 1 else f"the largest of {len(maps)} targets"
    return maps[0].with_(values=values, signed=False, label=label)


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


def asked_about(items: Sequence[Item], fps: float | None, *, failed: int) -> list[str]:
    """What a person should know of one question about several pictures or frames.

    Args:
        items: that were asked about.
        fps: as :func:`rate_of` gives it.
        failed: how many more could not be read.
    """
    many = f"asked about {len(items)} {'picture' if len(items) == 1 else 'pictures'}"
    lines: list[str] = []
    if fps is None and any(item.kind == "frame" for item in items):
        lines.append(f"{many} and not about a video, which is two or more frames of one source and nothing else")
    if failed:
        lines.append(f"{many} only: {failed} could not be read, so this is an answer to another question")
    return lines
