"""How long a training waits for its clips: MP4 files with gaze in Parquet or Zarr, a thread for the model and one for the loader.

The training is isotherm's own (``train anticipation``, its loop and its task): batches are read and decoded by one thread while the
model works in another, each of them with one thread of torch and of the decoder. What is waited is wall time; beside it stands the
processor time of both threads, which a busy machine does not change.
"""

from __future__ import annotations

import itertools
import math
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import av
import numpy as np
import torch

from bench.measure import insert, table, threads, write
from isotherm.data import video
from isotherm.data.gaze import GazeRecording
from isotherm.data.gaze.convert import ConvertOptions, convert_gaze
from isotherm.data.gaze.points_store import write_points
from isotherm.data.gaze.store import MapOptions
from isotherm.data.gaze.stores import open_gaze_store
from isotherm.train.anticipation.build import make_anticipation
from isotherm.train.anticipation.read import read_clips
from isotherm.train.anticipation.run import recipe_from
from isotherm.train.anticipation.task import AnticipationTask
from isotherm.train.anticipation.tiny import tiny_model, tiny_training
from isotherm.train.anticipation.videos import VideoClips
from isotherm.train.loop import Part, run_loop
from isotherm.train.run_folder import RunFolder

PAGE = Path(__file__).parents[1] / "docs" / "gaze_files.md"
SIZE, RATE, SECONDS, VIDEOS, EVERY_S = (240, 320), 25, 36, 3, 1.0
MODELS: dict[str, dict[str, int]] = {
    "32 pixels, 8 frames, 2 layers of 64": {"side": 32, "frames": 8, "patch": 8, "hidden": 64, "layers": 2, "batch": 50},
    "64 pixels, 16 frames, 4 layers of 128": {"side": 64, "frames": 16, "patch": 8, "hidden": 128, "layers": 4, "batch": 8},
}  # fmt: skip
"""The first is that of ``python -m bench gaze``."""
COLUMNS = ("step, ms", "model, ms of processor", "loader, ms of processor")
MOST = 0.1
STORES = {"points in Parquet": "parquet", "maps in Zarr": "zarr"}
SAME, CROPS, MOMENTS = "the same in every epoch", "other crops in every epoch", "other crops and moments in every epoch"
LOADED = (
    ("points in Parquet", SAME),
    ("maps in Zarr", SAME),
    ("points in Parquet", CROPS),
    ("points in Parquet", MOMENTS),
)
"""Stores of gaze, and what is drawn anew in every epoch."""


def make(folder: Path, seconds: int, videos: int) -> None:
    """Videos with a table of actions, and the gaze of each in both kinds of store."""
    header = "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes"
    lines, generator = [header], np.random.default_rng(0)
    ground = generator.integers(0, 255, (SIZE[0] // 8, SIZE[1] // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    for kind in STORES.values():
        (folder / kind).mkdir()
    for n in range(videos):
        name, frames = f"P01_{n:02d}", seconds * RATE
        with av.open(str(folder / f"{name}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=RATE)
            stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
            stream.codec_context.options = {
                "preset": "veryfast",
                "g": str(RATE),
            }  # sought to the second, as cameras write
            for i in range(frames):
                picture = np.roll(ground, (i, 2 * i), (0, 1))
                picture[100:140, (5 * i) % 280 : (5 * i) % 280 + 40] = 255 - 40 * n
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        times = np.arange(0, seconds, 1 / 50)
        xy = np.stack([160 + 120 * np.sin(times + n), 120 + 90 * np.cos(1.3 * times)], -1)
        points = folder / "parquet" / f"{name}.parquet"
        write_points(GazeRecording.of(times, xy, size=SIZE), points, video=f"{name}.mp4")
        convert_gaze(
            open_gaze_store(points),
            folder / "zarr" / f"{name}.zarr",
            ConvertOptions(to="zarr"),
            clock=MapOptions(rate_hz=float(RATE)),
        )
        for k, start in enumerate(np.arange(3.0, seconds - 1, EVERY_S).tolist()):
            clock = [f"00:00:{t:05.2f}" for t in (start, start + 0.5)]
            frame = [str(round(t * RATE)) for t in (start, start + 0.5)]
            lines.append(",".join([f"{name}_{k}", "P01", name, "", *clock, *frame, "words", "v", str(k % 3), "n", str(k % 4), "[]", "[]"]))  # fmt: skip
    (folder / "train.csv").write_text("\n".join(lines) + "\n")


def plain_recipe(model: dict[str, int], store: str, shown: str) -> dict[str, Any]:
    """A training of a model on the videos, whole, with gaze added to its patches."""
    moments = {} if shown == MOMENTS else {"training_anticipation_s": [0.5, 0.5]}  # else as it is by default
    return {
        "data": {
            "train": [{"file": "train.csv", "videos": ".", "gaze": STORES[store]}],
            "plan": {"frames": model["frames"], "rate_hz": 8.0, "anticipation_s": [0.5, 0.5]},
            "side": model["side"],
            "augmentation": None if shown == SAME else {},
            **moments,
        },
        "model": tiny_model(**{name: value for name, value in model.items() if name != "batch"}),
        "training": tiny_training(batch=model["batch"], keep_every=10_000, log_every=10_000),
        "devices": {"accelerator": "cpu"},
    }


class Watched(AnticipationTask):
    """Notes at the beginning of every step how much has passed, worked and waited."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.marks: list[tuple[float, float, float, float]] = []

    def mark(self) -> None:
        self.marks.append((perf_counter(), thread_time(), self.waited_s, self.data.spent_s))  # type: ignore[attr-defined]

    def part(self, *arguments: Any, **options: Any) -> Part:
        self.mark()
        return super().part(*arguments, **options)


class Timed:
    """Clips whose loading is timed, by the processor time of the thread that loads them."""

    def __init__(self, data: Any) -> None:
        self._data, self.spent_s = data, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def __len__(self) -> int:
        return len(self._data)

    def batch(self, index: torch.Tensor, epoch: torch.Tensor | None = None) -> Any:
        began = thread_time()
        batch = self._data.batch(index, epoch)
        self.spent_s += thread_time() - began
        return batch


def measured(folder: Path, model: dict[str, int], store: str, epochs: int, shown: str) -> dict[str, Any]:
    """A training: of the first epoch and of all others, the share waited and milliseconds of a step of both threads."""
    recipe = recipe_from(plain_recipe(model, store, shown), where=store)
    training, _ = read_clips(recipe.data, root=folder)
    assert isinstance(training, VideoClips)
    training.keep_windows(folder / "frames")  # as a training of so many epochs does
    each = math.ceil(len(training) / model["batch"])  # behind these, every clip was there once
    config = replace(recipe.training, epochs=None, steps=each * epochs)
    net = make_anticipation(recipe.model, training.classes, rate_hz=training.rate_hz, probes=1)
    task = Watched(config, net, Timed(training))
    with tempfile.TemporaryDirectory() as temporary:
        run_loop(config, task, RunFolder(Path(temporary), recipe.deciding()))
        task.mark()

    def between(first: int, last: int) -> dict[str, float]:
        passed, worked, waited, loaded = (b - a for a, b in zip(task.marks[first], task.marks[last], strict=True))
        steps = last - first
        return {
            "share waited": waited / passed,
            "step, ms": 1e3 * passed / steps,
            "model, ms of processor": 1e3 * worked / steps,
            "loader, ms of processor": 1e3 * loaded / steps,
        }

    return {
        "clips": len(training),
        "steps": each,
        "first epoch": between(0, each),
        "later": between(each, -1 + len(task.marks)),
    }


def one_thread_each() -> None:
    """torch with one thread, and a decoder that works in the thread that asks it."""
    threads(1)
    enter = video.opened.__enter__

    def alone(self: Any) -> Any:
        container, stream = enter(self)
        stream.codec_context.thread_count = 1
        return container, stream

    video.opened.__enter__ = alone  # type: ignore[method-assign]


def rows_of(name: str, result: dict[str, Any]) -> list[list[Any]]:
    """Two lines of the table, with what would be waited if both threads did nothing but decode and take usual steps."""
    decoding, step = result["first epoch"]["loader, ms of processor"], result["later"]["model, ms of processor"]
    alone = {"first epoch": f"{100 * max(0.0, 1 - step / decoding):.0f} %", "later": ""}
    return [
        [
            *name.split("; "),
            when,
            f"{100 * result[when]['share waited']:.1f} %",
            alone[when],
            *(result[when][c] for c in COLUMNS),
        ]
        for when in ("first epoch", "later")
    ]


def text_of(results: dict[str, Any], videos: int) -> str:
    """The table, and whether what was meant has come out."""
    most = {when: max(result[when]["share waited"] for result in results.values()) for when in ("first epoch", "later")}
    shown = table(
        f"Trainings on {videos} MP4 files of {SIZE[1]} x {SIZE[0]} pixels, a thread for the model and one for the loader",
        ["model", "gaze", "clips", "epoch", "waited", "by decoding", *COLUMNS],
        [row for name, result in results.items() for row in rows_of(name, result)],
    )
    holds = "which holds" if most["later"] <= MOST else "which does not hold"
    return (
        f"{shown}\nBehind the first epoch at most {100 * most['later']:.1f} % of the time of steps passed in waiting for clips; meant were at most "
        f"{100 * MOST:.0f} %, {holds}. In the first one, in which every clip is decoded, it was up to {100 * most['first epoch']:.1f} %. By decoding "
        "alone, against the model's steps in later epochs, it would be what stands beside it: so much no loader of one thread can avoid. The first steps of "
        "a training take the model longer than later ones, so somewhat less is waited.\n"
    )


def main(*, quick: bool = False) -> None:
    """Print the table and, unless quick, write results/gaze_waiting.json."""
    one_thread_each()
    seconds, videos = (14, 5) if quick else (SECONDS, VIDEOS)
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        make(Path(temporary), seconds, videos)
        for (name, model), (store, shown) in itertools.product(MODELS.items(), LOADED):
            small = model is next(iter(MODELS.values()))
            result = measured(Path(temporary), model, store, (2 if quick else 11) if small else 2, shown)
            results[f"{name}; {store}; {shown}"] = result
            print(*rows_of(f"{name}; {store}; {shown}", result), sep="\n", flush=True)
    text = text_of(results, videos)
    print(text)
    write("gaze_waiting", {"load": os.getloadavg(), "trainings": results}, quick=quick)
    if not quick:
        insert(PAGE, "gaze-waiting", text)
