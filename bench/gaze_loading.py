"""Reading clips of gaze: compressed npz, raw npz, a file per frame, Zarr and points, from a warm and from a cold disk.

A clip is 32 frames: one after the other, and at 8 per second of a video of 30. Old files are read as their users read them (``np.load``
of the whole file, or a file per frame) and by isotherm's stores. All are opened before; what opening costs has a column of its own.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch

from bench.measure import insert, interleaved, table, threads, write
from isotherm.data.gaze import GazeRecording
from isotherm.data.gaze.convert import ConvertOptions, convert_gaze
from isotherm.data.gaze.points_store import write_points
from isotherm.data.gaze.render import render_clip
from isotherm.data.gaze.store import GazeStore, MapOptions
from isotherm.data.gaze.stores import open_gaze_store

VIDEO, RATE, FRAMES, CLIP = (1080, 1920), 30.0, 3000, 32
FORMS = {"64 x 64, float32": ((64, 64), np.float32), "256 x 256, float16": ((256, 256), np.float16)}
STRIDES = {"one after the other": 1, "8 per second": 4}
BASE = "npz compressed, np.load"
PAGE = Path(__file__).parents[1] / "docs" / "gaze_files.md"


def gaze(frames: int) -> GazeRecording:
    """A scanpath with blinks, a sample for each frame."""
    generator = np.random.default_rng(0)
    xy = np.cumsum(generator.normal(0, 30, (frames, 2)), 0) % (1920, 1080)
    xy[generator.uniform(size=frames) < 0.03] = np.nan
    return GazeRecording.of(np.arange(frames) / RATE, xy, size=VIDEO)


def make(folder: Path, cells: tuple[int, int], kind: type, frames: int) -> dict[str, Path]:
    """The same gaze in every kind of store."""
    write_points(gaze(frames), folder / "points.parquet")
    points = open_gaze_store(folder / "points.parquet")
    clock = MapOptions(rate_hz=RATE)
    number = np.dtype(kind).name
    convert_gaze(points, folder / "maps", ConvertOptions(to="npy", number=number, cells=cells), clock=clock)
    for name in ("time_s.npy", "state.npy", "xy.npy", "confidence.npy", "isotherm.json"):
        (folder / "maps" / name).unlink()  # as other programs write them
    maps = np.stack([np.load(folder / "maps" / f"frame_{i:06d}.npy") for i in range(frames)])
    np.savez(folder / "raw.npz", maps=maps)
    np.savez_compressed(folder / "compressed.npz", maps=maps)
    convert_gaze(points, folder / "maps.zarr", ConvertOptions(to="zarr", cells=cells), clock=clock)
    names = {"npz compressed": "compressed.npz", "npz raw": "raw.npz", "npy per frame": "maps", "Zarr, uint8": "maps.zarr", "points": "points.parquet"}  # fmt: skip
    return {name: folder / file for name, file in names.items()}


def forget(path: Path) -> None:
    """Drop a store's files from memory, so that the next read comes from the disk."""
    for fpath in [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]:
        fd = os.open(fpath, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def readers(
    paths: dict[str, Path], cells: tuple[int, int]
) -> dict[str, tuple[Path, Callable[[np.ndarray], object], Callable[[], object]]]:
    """Of each way: the files, what reads a clip of these frames, and what opens the store."""
    options = MapOptions(size=VIDEO, rate_hz=RATE)

    def opening(path: Path) -> Callable[[], GazeStore]:
        return lambda: open_gaze_store(path, options=options)

    def by_store(path: Path) -> Callable[[np.ndarray], object]:
        store = open_gaze_store(path, options=options)
        return lambda index: store.clip(index / RATE).maps

    def rendered(path: Path) -> Callable[[np.ndarray], object]:
        store = open_gaze_store(path)
        return lambda index: render_clip(store.clip(index / RATE), cells)

    def loaded(path: Path) -> Callable[[np.ndarray], object]:
        return lambda index: torch.from_numpy(np.load(path)["maps"][index].astype(np.float32))

    def frames(path: Path) -> Callable[[np.ndarray], object]:
        return lambda index: torch.from_numpy(
            np.stack([np.load(path / f"frame_{i:06d}.npy") for i in index]).astype(np.float32)
        )

    old = {
        BASE: (paths["npz compressed"], loaded(paths["npz compressed"]), lambda: None),
        "npz raw, np.load": (paths["npz raw"], loaded(paths["npz raw"]), lambda: None),
        "npy per frame, np.load": (paths["npy per frame"], frames(paths["npy per frame"]), lambda: None),
    }
    ours = {
        f"{name}, isotherm": (path, by_store(path), opening(path)) for name, path in paths.items() if name != "points"
    }
    return {**old, **ours, "points, rendered": (paths["points"], rendered(paths["points"]), opening(paths["points"]))}


def measured(ways: dict, frames: int, stride: int, repeats: int, *, cold: bool) -> dict[str, tuple[float, float]]:
    """Median milliseconds of a clip at a random place, the same places for all: as they pass, and of all processors."""
    generator = np.random.default_rng(1)
    starts = generator.integers(0, frames - CLIP * stride, 2 * repeats + 4)
    turn = {name: 0 for name in ways}
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}

    def job(name: str) -> Callable[[], object]:
        path, read, _ = ways[name]

        def run() -> None:
            index = starts[turn[name]] + stride * np.arange(CLIP)
            turn[name] += 1
            if cold:
                forget(path)
            start, start_cpu = perf_counter(), process_time()
            read(index)
            spent[name].append((perf_counter() - start, process_time() - start_cpu))

        return run

    interleaved({name: job(name) for name in ways}, repeats=repeats)
    return {name: tuple(np.median(times[1:], 0) * 1e3) for name, times in spent.items()}


def main(*, quick: bool = False) -> None:
    """Print the tables and, unless quick, write results/gaze_loading.json."""
    threads(1)
    frames, repeats = (300, 2) if quick else (FRAMES, 7)
    texts, results = [], {}
    for title, (cells, kind) in FORMS.items():
        with tempfile.TemporaryDirectory() as temporary:
            paths = make(Path(temporary), cells, kind, frames)
            ways = readers(paths, cells)
            times = {
                (words, cold): measured(ways, frames, stride, repeats, cold=cold)
                for words, stride in STRIDES.items()
                for cold in (False, True)
            }
            opened = {
                name: v * 1e3 for name, v in interleaved({n: w[2] for n, w in ways.items()}, repeats=repeats).items()
            }
            size = {n: sum(f.stat().st_size for f in ([p] if p.is_file() else p.rglob("*")) if f.is_file()) / 1e6 for n, (p, *_) in ways.items()}  # fmt: skip
        rows = []
        for name in ways:
            # on a busy machine a long job waits for its turns and a short one does not: by processor time they compare
            warm, cold = (times["8 per second", cold] for cold in (False, True))
            faster = f"{warm[BASE][1] / warm[name][1]:.0f} / {cold[BASE][1] / cold[name][1]:.0f}"
            opening = "" if name.endswith("np.load") else opened[name]
            rows.append([name, size[name], *(each[name][0] for each in times.values()), warm[name][1], faster, opening])
        columns = ["store", "MB", *(f"{words}, {'cold' if cold else 'warm'}" for words, cold in times), "of processors, 8 per second, warm", "times less than the first, warm / cold", "opening"]  # fmt: skip
        texts.append(table(f"A clip of 32 of {frames} maps of {title}, ms", columns, rows))
        results[title] = {
            name: {
                "mb": size[name],
                **{f"{words}, {'cold' if cold else 'warm'}": each[name][0] for (words, cold), each in times.items()},
                **{
                    f"{words}, {'cold' if cold else 'warm'}, processors": each[name][1]
                    for (words, cold), each in times.items()
                },
                "opening": opened[name],
            }
            for name in ways
        }
        print(texts[-1], flush=True)
    write("gaze_loading", {"frames": frames, "load": os.getloadavg(), "ms": results}, quick=quick)
    if not quick:
        insert(PAGE, "gaze-loading", "\n".join(texts))
