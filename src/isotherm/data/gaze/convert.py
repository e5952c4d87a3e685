"""A store of gaze as another kind: whole or not there, gone on with where it was interrupted, and read again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from filelock import FileLock, Timeout
from jaxtyping import Float32

from isotherm.atomic import atomic_write
from isotherm.data.gaze.map_writers import WRITERS, Known, MapPlan, Number
from isotherm.data.gaze.points_store import PointsStore, read_points, write_points
from isotherm.data.gaze.recording import GazeRecording
from isotherm.data.gaze.render import render_clip
from isotherm.data.gaze.states import GazeState
from isotherm.data.gaze.store import GazeStore, MapOptions, MapStore
from isotherm.data.gaze.stores import open_gaze_store
from isotherm.data.gaze.zarr_store import SHARD
from isotherm.errors import InputError, OptionError
from isotherm.frame import Size
from isotherm.progress import Progress, Say, silent
from isotherm.untrusted.plain import read_object

Target = Literal["zarr", "npz", "npy", "points"]
SUFFIXES = {"zarr": ".zarr", "npz": ".npz", "npy": "", "points": ".parquet"}
DEFAULT_CELLS: Size = (64, 64)


@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """What the new store is.

    Args:
        to: its kind.
        number: of the values of maps; None: bytes in Zarr, single precision elsewhere.
        compressed: an npz file that is packed.
        cells: (h, w) of maps that are made of points; maps keep their own.
        sigma_px: of maps that are made of points, in source pixels; None: 3/64 of the picture's width.
        lossy: make points of maps, which say no more than where they are highest.

    Raises:
        OptionError: options that do not go together.
    """

    to: Target
    number: Number | None = None
    compressed: bool = False
    cells: Size | None = None
    sigma_px: float | None = None
    lossy: bool = False

    def __post_init__(self) -> None:
        if self.to == "zarr" and self.number == "float32":
            raise OptionError("Zarr stores of gaze hold uint8 or float16; choose one of them")
        if self.sigma_px is not None and not 0 < self.sigma_px < np.inf:
            raise OptionError(f"sigma_px is {self.sigma_px}; expected source pixels above 0")


@dataclass(frozen=True, eq=False)
class Converted:
    """What a conversion has written.

    Args:
        path: of the new store.
        maps: how many maps or samples there are.
        states: of each name of a state, how many.
        bytes: on the disk.
        most_off: the largest difference of a map's value when it was read again; 0 for points.
        gone_on_from: the map at which an interrupted conversion was gone on with; 0: at the beginning.
        notes: what was assumed, chosen or lost.
    """

    path: Path
    maps: int
    states: dict[str, int]
    bytes: int
    most_off: float
    gone_on_from: int
    notes: tuple[str, ...]


def convert_gaze(
    source: GazeStore,
    out: str | os.PathLike[str],
    options: ConvertOptions,
    *,
    clock: MapOptions | None = None,
    overwrite: bool = False,
    say: Say = silent,
) -> Converted:
    """Write a store of gaze as another kind of store.

    The new store appears under its name when all of it was written and read again. Until then it grows in a folder
    beside it, from which the same call goes on after an interruption.

    Args:
        source: opened.
        out: of the new store.
        options: what it is.
        clock: for points that become maps: the times of the video's frames, or their rate.
        overwrite: replace what is there, an unfinished conversion of something else included.
        say: told how far it is.

    Raises:
        InputError: something is there already, another conversion is at work, a map cannot be read, or the new store is
            not what was written.
        OptionError: points of maps without ``lossy``, or maps of points without the times of frames.
    """
    target = Path(out)
    if not target.parent.is_dir():
        raise InputError(f"there is no folder {target.parent}; create it first")
    part = target.with_name(f".{target.name}.part")
    if target.exists() and not overwrite:
        _tidied(part)
        raise InputError(f"{target} is there already; choose another name, or overwrite it")
    if target.exists() and target.resolve() == source.path.resolve():
        raise InputError(f"{target} is what is to be converted; choose another name")
    if options.to == "points":
        return _to_points(source, target, options, say)
    plan = _plan(source, options, clock or MapOptions())
    try:
        with FileLock(part.with_suffix(".lock"), timeout=0):
            done = _begun(part, source, plan, WRITERS[options.to].grows, overwrite)
            known, writer = Known(part, len(plan.time_s)), WRITERS[options.to](part, plan)
            for start, maps, parts in _blocks(source, plan, options, done):
                writer.write(start, maps)
                known.put(start, *parts)
                known.keep()
                _note(part, source, plan, start + len(maps))
                say(Progress(step=start + len(maps), total=len(plan.time_s), stage="converting"))
            whole = writer.finish(known)
            most_off = _read_again(whole, source, plan, options, say)
            _note(part, source, plan, len(plan.time_s), moved=True)
            _move(whole, target)
            shutil.rmtree(part)
    except Timeout:
        if not part.with_suffix(".lock").exists():
            raise InputError(
                f"nothing can be written in {target.parent}; look at its permissions, or choose another folder"
            ) from None
        raise InputError(f"another process is converting to {target}; wait for it, or end it") from None
    except OSError as error:
        raise InputError(
            f"{target} cannot be written ({error.strerror or error}); make room, and give the same command again: it goes on from what is in {part.name}"
        ) from error
    part.with_suffix(".lock").unlink(missing_ok=True)
    states = {s.name.lower(): int((known.state == s).sum()) for s in GazeState}
    return Converted(
        target, len(plan.time_s), states, _bytes(target), most_off, done, (*plan.notes, *_lost(options, states, plan))
    )


def _plan(source: GazeStore, options: ConvertOptions, clock: MapOptions) -> MapPlan:
    number: Number = options.number or ("uint8" if options.to == "zarr" else "float32")
    if isinstance(source, MapStore):
        if options.cells not in (None, source.frame.size):
            raise OptionError(
                f"the maps of {source.path} have {source.frame.size} cells and keep them; the size of maps is for those made of points"
            )
        time_s, frames, cells = source.time_s, source.frame_number, source.frame.size
        video, notes = source.video, source.notes
    else:
        if clock.times_s is not None:
            time_s = clock.times_s
        elif clock.rate_hz is not None:
            last = float(source.time_s[-1]) if len(source.time_s) else 0.0
            time_s = np.arange(max(1, int(np.floor(last * clock.rate_hz + 1e-6)) + 1)) / clock.rate_hz
        else:
            raise OptionError(
                f"{source.path} holds points, and maps are of frames: give the video (--video), or the rate of its frames (--rate)"
            )
        frames, cells = np.arange(len(time_s)), options.cells or DEFAULT_CELLS
        width = "3/64 of the picture's width" if options.sigma_px is None else f"{options.sigma_px:g} source pixels"
        video = source.video if isinstance(source, PointsStore) else ""
        notes = (*source.notes, f"maps are Gaussians of peak 1 at the points, sigma {width}")
    if not len(time_s):
        raise InputError(f"{source.path} holds nothing to convert")
    return MapPlan(time_s, frames, cells, source.size, number, options.compressed, video, notes)


def _blocks(
    source: GazeStore, plan: MapPlan, options: ConvertOptions, done: int
) -> Iterator[tuple[int, Float32[np.ndarray, "k h w"], tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """From a map on: its number, maps of a shard, and what is known of them."""
    if isinstance(source, MapStore):
        for i, maps in enumerate(source.blocks(done, SHARD)):
            start = done + i * SHARD
            state, xy, confidence = source.known_at(np.arange(start, start + len(maps)), maps)
            yield start, np.where((state == GazeState.TRACKED)[:, None, None], maps, 0), (state, xy, confidence)
        return
    for start in range(done, len(plan.time_s), SHARD):
        clip = source.clip(plan.time_s[start : start + SHARD])
        with torch.no_grad():
            maps = render_clip(clip, plan.cells, sigma_px=options.sigma_px).numpy()
        yield start, maps, (clip.state.numpy().astype(np.uint8), clip.xy.numpy(), clip.confidence.numpy())


def _read_again(whole: Path, source: GazeStore, plan: MapPlan, options: ConvertOptions, say: Say) -> float:
    """The largest difference of a value; raises InputError where it is more than the numbers cost."""
    store = open_gaze_store(whole)
    assert isinstance(store, MapStore)
    rows = plan.frame_number if isinstance(store, MapStore) and options.to == "npz" else np.arange(len(plan.time_s))
    worst = 0.0
    for start, maps, (state, xy, _) in _blocks(source, plan, options, 0):
        index = rows[start : start + len(maps)]
        read = store.maps_at(index)
        read_state, read_xy, _ = store.known_at(index, read)
        off = float(np.abs(read - maps).max(initial=0))
        worst = max(worst, off)
        same = np.array_equal(read_state, state) and np.array_equal(read_xy, xy, equal_nan=True)
        if (
            off > plan.most_error
            or not same
            or not np.allclose(store.time_s[index], plan.time_s[start : start + len(maps)], atol=1e-9)
        ):
            raise InputError(
                f"what was read again of maps {start} to {start + len(maps) - 1} is not what was written (off by {off:.3g}); is the disk full or broken? The unfinished store is {whole.parent}"
            )
        say(Progress(step=start + len(maps), total=len(plan.time_s), stage="reading again"))
    return worst


def _begun(part: Path, source: GazeStore, plan: MapPlan, grows: str, overwrite: bool) -> int:
    """How many maps an earlier call has written; 0 in a fresh folder."""
    note = part / "plan.json"
    if part.exists():
        try:
            before = read_object(note)
        except (FileNotFoundError, InputError):
            before = {}
        done, moved = before.pop("done", 0), before.pop("moved", False)
        if type(done) is not int or not 0 <= done <= len(plan.time_s):
            before = {}
        # what was interrupted between its last two moves has nothing to go on with
        if before == _identity(source, plan) and (part / grows).exists():
            return int(done)
        if before and before != _identity(source, plan) and not moved and not overwrite:
            raise InputError(
                f"{part} is an unfinished conversion of something else, or with other options; finish that one, or overwrite it"
            )
        shutil.rmtree(part)
    part.mkdir()
    return 0


def _note(part: Path, source: GazeStore, plan: MapPlan, done: int, *, moved: bool = False) -> None:
    with atomic_write(part / "plan.json") as file:
        file.write(json.dumps({**_identity(source, plan), "done": done, "moved": moved}, allow_nan=False).encode())


def _tidied(part: Path) -> None:
    """Take away what a conversion left that was interrupted after its store had been moved to its name."""
    try:
        moved = read_object(part / "plan.json").get("moved")
    except (FileNotFoundError, InputError):
        return
    if moved:
        with suppress(Timeout), FileLock(part.with_suffix(".lock"), timeout=0):
            shutil.rmtree(part)
            part.with_suffix(".lock").unlink(missing_ok=True)


def _identity(source: GazeStore, plan: MapPlan) -> dict[str, Any]:
    stat = source.path.stat()
    return {
        "source": str(source.path.resolve()),
        "changed": stat.st_mtime_ns,
        "size": stat.st_size,
        "maps": len(plan.time_s),
        "first_s": float(plan.time_s[0]),
        "last_s": float(plan.time_s[-1]),
        "cells": list(plan.cells),
        "video_size": list(plan.size),
        "number": plan.number,
        "compressed": plan.compressed,
        "notes": list(plan.notes),
    }


def _move(whole: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.old")
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(target, old)
    os.replace(whole, target)
    if old.exists():  # also of a call that was interrupted between these two moves
        shutil.rmtree(old)


def _to_points(source: GazeStore, target: Path, options: ConvertOptions, say: Say) -> Converted:
    if isinstance(source, PointsStore):
        recording = source.recording
    elif isinstance(source, MapStore):
        if not options.lossy:
            raise OptionError(
                f"{source.path} holds maps, and of a map only the place where it is highest can become a point; --lossy says that this is wanted"
            )
        parts: list[tuple[np.ndarray, ...]] = []
        for start, maps in zip(range(0, len(source.time_s), SHARD), source.blocks(0, SHARD), strict=True):
            parts.append(source.known_at(np.arange(start, start + len(maps)), maps))
            say(Progress(step=start + len(maps), total=len(source.time_s), stage="converting"))
        state, xy, confidence = (np.concatenate(p) for p in zip(*parts, strict=True))
        note = "points are the places where maps were highest, where no points were stored beside them"
        recording = GazeRecording(source.time_s, xy, state, confidence, source.size, (*source.notes, note))
    else:
        raise InputError(f"{source.path} holds neither points nor maps")
    write_points(recording, target, video=getattr(source, "video", ""))
    again = read_points(target).recording
    for name in ("time_s", "xy", "state", "confidence"):
        if not np.array_equal(getattr(again, name), getattr(recording, name), equal_nan=True):
            raise InputError(f"{target} is not what was written ({name}); is the disk full or broken?")
    states = {s.name.lower(): int((recording.state == s).sum()) for s in GazeState}
    return Converted(target, len(recording), states, _bytes(target), 0.0, 0, recording.notes)


def _lost(options: ConvertOptions, states: dict[str, int], plan: MapPlan) -> tuple[str, ...]:
    none = states["missing"] + states["out_of_frame"]
    notes = [f"values come back to {plan.most_error:.2g}"]
    if options.to in ("npz", "npy") and none:
        notes.append(
            f"{none} maps without tracked gaze are zeros; which of them are missing and which out of frame lies beside the maps (state.npy), where other programs do not look"
        )
    return tuple(notes)


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
