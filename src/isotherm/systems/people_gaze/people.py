"""From parts to people: whose head is whose through the video, and for each a recording and a store of maps."""

from __future__ import annotations

import csv
import io
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from isotherm.atomic import atomic_write
from isotherm.data.gaze.points_store import write_points
from isotherm.data.gaze.recording import GazeRecording
from isotherm.data.gaze.states import GazeState
from isotherm.data.gaze.zarr_store import SHARD, ZarrWriter
from isotherm.decode.box_tracking import track_boxes
from isotherm.frame import Size
from isotherm.systems.people_gaze.parts import FRAMES, GazePart

COLUMNS = ("frame", "time_s", "person", "x0", "y0", "x1", "y1", "head_score", "state", "x", "y", "score", "inside")
NOTE = "predicted by Gaze-LLE from the head of a person in the video"


@dataclass(frozen=True, eq=False)
class Person:
    """One of the people in a video, at every frame that was looked at.

    Args:
        number: from 1, in the order in which they come.
        seen: (f,) whether the head was found.
        row: (f,) which of all findings is this person's; 0 where there is none.
        box: (f, 4) of the head in pixels of the video, NaN where it was not found.
        head_score, score, inside: (f,) as of :class:`GazePart`, NaN where the head was not found.
        gaze: a sample for every frame: MISSING where the head was not found, OUT_OF_FRAME where the model says that the
            gaze does not lie in the picture.
    """

    number: int
    seen: Bool[np.ndarray, " f"]
    row: Int64[np.ndarray, " f"]
    box: Float64[np.ndarray, "f 4"]
    head_score: Float32[np.ndarray, " f"]
    score: Float32[np.ndarray, " f"]
    inside: Float32[np.ndarray, " f"]
    gaze: GazeRecording

    @property
    def name(self) -> str:
        """Of its files."""
        return f"person-{self.number:02d}"


def people_of(
    parts: Sequence[Path], size: Size, *, threshold: float, least_iou: float, memory: int, least_moments: int
) -> list[Person]:
    """The people of a video.

    Args:
        parts: of all frames, in order.
        size: (h, w) of the video.
        threshold: from which likelihood on the gaze counts as lying in the picture.
        least_iou, memory, least_moments: as of :func:`isotherm.decode.box_tracking.track_boxes`, in frames looked at.
    """
    read = [_without_maps(fpath) for fpath in parts]
    time_s, boxes = (np.concatenate([getattr(p, name) for p in read]) for name in ("time_s", "boxes"))
    count, xy = (np.concatenate([getattr(p, name) for p in read]) for name in ("count", "xy"))
    head_score, score, inside = (
        np.concatenate([getattr(p, name) for p in read]) for name in ("head_score", "score", "inside")
    )
    first = np.cumsum(count) - count
    moments = [torch.from_numpy(boxes[a : a + n]) for a, n in zip(first, count, strict=True)]
    people = []
    for number, track in enumerate(
        track_boxes(moments, least_iou=least_iou, memory=memory, least_moments=least_moments), 1
    ):
        at = np.array(track.moments)
        row = np.zeros(len(time_s), np.int64)
        row[at] = first[at] + np.array(track.rows)
        seen = np.zeros(len(time_s), bool)
        seen[at] = True
        places = np.where(seen[:, None], xy[row] if len(xy) else np.nan, np.nan)
        likely = np.where(seen, inside[row] if len(inside) else np.nan, np.nan).astype(np.float32)
        state = np.full(len(time_s), GazeState.MISSING, np.uint8)
        known = np.isfinite(places).all(-1)
        in_picture = known & ~((places < 0) | (places > [size[1], size[0]])).any(-1)
        state[known] = GazeState.OUT_OF_FRAME
        state[in_picture & ~(likely < threshold)] = GazeState.TRACKED  # NaN, of models that do not say, is not below
        # a place in the picture of a gaze that does not lie in it is none
        places[(state == GazeState.OUT_OF_FRAME) & in_picture] = np.nan
        sure = np.where(known, np.clip(score[row], 0, 1) if len(score) else 0, 0).astype(np.float32)
        people.append(
            Person(
                number,
                seen,
                row,
                np.where(seen[:, None], boxes[row].astype(np.float64), np.nan),
                np.where(seen, head_score[row], np.nan).astype(np.float32),
                np.where(seen, score[row], np.nan).astype(np.float32),
                likely,
                GazeRecording(time_s, places, state, sure, size, (NOTE,)),
            )
        )
    return people


def write_person(person: Person, parts: Sequence[Path], dpath: Path, *, video: str) -> tuple[Path, Path]:
    """Write a person's points (.parquet) and maps (.zarr).

    Args:
        person: one of :func:`people_of`.
        parts: of the same video.
        dpath: where to.
        video: its name, kept in the files.

    Returns:
        The two paths.
    """
    points = write_points(person.gaze, dpath / f"{person.name}.parquet", video=video)
    where, begun = dpath / f"{person.name}.zarr", dpath / f".{person.name}.zarr"
    shutil.rmtree(begun, ignore_errors=True)
    loaded: dict[int, GazePart] = {}
    cells = GazePart.load(parts[0]).maps.shape[1:]
    header = {"size": list(person.gaze.size), "video": video, "notes": list(person.gaze.notes)}
    writer = ZarrWriter(
        begun, person.gaze.time_s, (int(cells[0]), int(cells[1])), header=header, frame_number=frame_numbers(parts)
    )
    frames = len(person.gaze)
    starts = _starts(parts)
    for start in range(0, frames, SHARD):
        stop = min(start + SHARD, frames)
        maps = np.zeros((stop - start, *cells), np.uint8)
        for f in range(start, stop):
            if person.seen[f]:
                number = f // FRAMES
                if number not in loaded:
                    loaded = {number: GazePart.load(parts[number])}  # one at a time: a long video does not fit
                maps[f - start] = loaded[number].maps[person.row[f] - starts[number]]
        writer.write_maps(start, maps.astype(np.float32) / np.float32(255))
    writer.write_known(person.gaze.state, person.gaze.xy, person.gaze.confidence)
    writer.finish()
    shutil.rmtree(where, ignore_errors=True)
    begun.replace(where)  # whole, or as it was before
    return points, where


def forget_people(dpath: Path, people: Sequence[Person]) -> None:
    """Take away the files of people of an earlier start that there are no longer, as with another ``least_moments``.

    Args:
        dpath: of the files.
        people: those that there are.
    """
    names = {person.name for person in people}
    for entry in dpath.glob("person-*"):
        if entry.stem not in names:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def write_table(people: Sequence[Person], index: Int64[np.ndarray, " f"], fpath: Path) -> Path:
    """Write a row for every head in every frame.

    Args:
        people: of a video.
        index: (f,) numbers of the frames that were looked at.
        fpath: of the CSV.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for f, number in enumerate(index.tolist()):
        for person in people:
            if not person.seen[f]:
                continue
            gaze = person.gaze
            numbers = [*person.box[f].tolist(), float(person.head_score[f])]
            state = GazeState(int(gaze.state[f])).name.lower()
            last = [*gaze.xy[f].tolist(), float(person.score[f]), float(person.inside[f])]
            rows.writerow(
                [number, f"{gaze.time_s[f]:.6f}", person.number, *map(_text, numbers), state, *map(_text, last)]
            )
    with atomic_write(fpath) as file:
        file.write(text.getvalue().encode())
    return fpath


def frame_numbers(parts: Sequence[Path]) -> Int64[np.ndarray, " f"]:
    """The numbers of all frames that were looked at."""
    return np.concatenate([_without_maps(fpath).index for fpath in parts])


def _text(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else ""


def _without_maps(fpath: Path) -> GazePart:
    part = GazePart.load(fpath)
    nothing: UInt8[np.ndarray, "n 0 0"] = np.zeros((len(part.boxes), 0, 0), np.uint8)
    return GazePart(**{**vars(part), "maps": nothing})


def _starts(parts: Sequence[Path]) -> list[int]:
    """How many findings there are before each part."""
    counts = [len(_without_maps(fpath).boxes) for fpath in parts]
    return [sum(counts[:i]) for i in range(len(counts))]
