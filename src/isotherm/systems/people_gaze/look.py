"""From the frames of a video to parts: heads are found, and the model is asked about several frames at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from isotherm.data.video import FrameChoice, VideoFrame, count_frames, read_frames
from isotherm.models.gaze_lle.heads import HeadBoxes, HeadDetector
from isotherm.models.gaze_lle.model import GazeLLE
from isotherm.points import State
from isotherm.progress import Progress, Say
from isotherm.systems.people_gaze.heads import WholePicture
from isotherm.systems.people_gaze.parts import FRAMES, GazePart, part_fpath, whole_parts


def look_at(
    model: GazeLLE, video: Path, choice: FrameChoice, heads: HeadDetector, dpath: Path, *, batch: int, say: Say
) -> list[Path]:
    """Write all parts of a video; those that are there are not made again.

    Args:
        model, heads: what is used.
        video: the file.
        choice: which of its frames.
        dpath: the run's folder.
        batch: frames per forward pass.
        say: told of every frame.

    Returns:
        The parts.
    """
    (dpath / "parts").mkdir(exist_ok=True)
    done = whole_parts(dpath)
    if done and len(GazePart.load(done[-1]).index) < FRAMES:
        return done  # a short part is the last one
    total = count_frames(video, choice)
    frames = read_frames(
        video, every=choice.every, max_frames=choice.max_frames, start_s=choice.start_s, end_s=choice.end_s
    )
    skipped = len(done) * FRAMES
    if skipped:
        say(f"{skipped} frames are done already; going on with the others")
    for number, group in enumerate(_grouped(frames, FRAMES)):
        if number >= len(done):
            part = _part(model, group, heads, batch=batch, say=say, before=number * FRAMES, total=total)
            part.save(part_fpath(dpath, number))
            done.append(part_fpath(dpath, number))
    return done


def _grouped(frames: Iterator[VideoFrame], count: int) -> Iterator[list[VideoFrame]]:
    group: list[VideoFrame] = []
    for frame in frames:
        group.append(frame)
        if len(group) == count:
            yield group
            group = []
    if group:
        yield group


def _part(
    model: GazeLLE,
    group: list[VideoFrame],
    heads: HeadDetector,
    *,
    batch: int,
    say: Say,
    before: int,
    total: int | None,
) -> GazePart:
    people: list[HeadBoxes] = []
    maps, xy, score, inside = [], [], [], []
    for start in range(0, len(group), batch):
        some = group[start : start + batch]
        pictures = [frame.array() for frame in some]
        here = [heads.heads(picture, frame.index) for picture, frame in zip(pictures, some, strict=True)]
        people += here
        known_boxes = [None if isinstance(heads, WholePicture) else boxes.boxes for boxes in here]
        if any(len(boxes) for boxes in here):
            tensors = [torch.from_numpy(picture).permute(2, 0, 1) for picture in pictures]
            prediction = model.predict(tensors, known_boxes)
            points = prediction.points()
            assert points.state is not None
            assert points.score is not None
            there = points.state[:, 0] != State.ABSENT
            maps.append((prediction.heatmap.values.float().clamp(0, 1) * 255).round().byte().numpy())
            xy.append(torch.where(there[:, None], points.xy[:, 0].double(), torch.nan).numpy())
            score.append(points.score[:, 0].float().numpy())
            known = prediction.inside
            inside.append(np.full(len(there), np.nan) if known is None else known.float().numpy())
        say(
            Progress(
                step=before + min(start + batch, len(group)),
                total=total,
                text=f"{sum(len(boxes) for boxes in here)} head(s)",
                stage="looking at frames",
            )
        )
    cells = tuple(2 * n for n in model.decoder.config.grid)
    return GazePart(
        index=np.array([frame.index for frame in group], np.int64),
        time_s=np.array([frame.time_s for frame in group], np.float64),
        count=np.array([len(boxes) for boxes in people], np.int64),
        boxes=torch.cat([boxes.boxes for boxes in people]).float().numpy(),
        head_score=torch.cat([boxes.scores for boxes in people]).float().numpy(),
        maps=np.concatenate([np.zeros((0, *cells), np.uint8), *maps]),
        xy=np.concatenate([np.zeros((0, 2)), *xy]),
        score=np.concatenate([np.zeros(0), *score]).astype(np.float32),
        inside=np.concatenate([np.zeros(0), *inside]).astype(np.float32),
    )
