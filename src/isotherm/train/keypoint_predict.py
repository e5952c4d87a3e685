"""Points of pictures by a trained keypoint model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from torch import nn

from isotherm.data.keypoint_cache import CachedKeypoints, picture_at, region
from isotherm.data.keypoints import KeypointRecord
from isotherm.decode import scale_covariance
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.points import Points
from isotherm.progress import Progress, Say, silent
from isotherm.train.keypoint_build import TrainedKeypoints
from isotherm.train.keypoint_model import Objective

Box = tuple[float, float, float, float]


def predict_pictures(
    trained: TrainedKeypoints,
    pictures: Sequence[UInt8[np.ndarray, "h w 3"]],
    boxes: Sequence[Box | None] | None = None,
    *,
    batch: int = 32,
) -> Points:
    """The points of pictures, or of one object in each.

    Args:
        pictures: (h, w, 3) uint8, of any sizes.
        boxes: (x0, y0, x1, y1) of the object in each, or None for the whole picture; the model's own margin is kept
            around it.
        batch: pictures at a time.

    Returns:
        Points (b, n): source pixels, covariances (calibrated where the model knows how), scores, states.

    Raises:
        OptionError: not as many boxes as pictures, or pictures that are not square where the model's input is not.
    """
    if boxes is not None and len(boxes) != len(pictures):
        raise OptionError(f"there are {len(boxes)} boxes for {len(pictures)} pictures; give one for each, or None")
    side = max(trained.size)
    unknown = torch.full((1, 2), torch.nan), torch.zeros(1, dtype=torch.long)
    records = [
        KeypointRecord(picture=p, points=unknown[0], state=unknown[1], box=None if boxes is None else boxes[i])
        for i, p in enumerate(pictures)
    ]
    frames = [
        region(r, (p.shape[0], p.shape[1]), side, trained.margin, trained.fit)
        for r, p in zip(records, pictures, strict=True)
    ]
    parts = []
    for i in range(0, len(pictures), batch):
        small = np.stack(
            [
                picture_at(p, f).transpose(2, 0, 1)
                for p, f in zip(pictures[i : i + batch], frames[i : i + batch], strict=True)
            ]
        )
        parts.append(
            _points(
                trained.model,
                trained.objective,
                torch.from_numpy(small),
                Frame.stack(frames[i : i + batch]),
                trained.size,
            )
        )
    points = _joined(parts, len(trained.names))
    if trained.covariance_scale is None or points.covariance is None:
        return points
    return scale_covariance(points, trained.covariance_scale)


def predict_cached(
    model: nn.Module,
    objective: Objective,
    data: CachedKeypoints,
    *,
    size: tuple[int, int],
    batch: int = 32,
    say: Say = silent,
    look: Callable[[torch.Tensor], None] = lambda maps: None,
) -> Points:
    """The points of cached pictures, without augmentation: each shown whole, as training shows it on the average.

    Args:
        say: takes the progress after every batch; what it raises ends the prediction.
        look: takes what the model gave, batch by batch: maps (b, n, h, w), or places (b, n, 2).
    """
    parts = []
    for i in range(0, len(data), batch):
        pictures = torch.from_numpy(np.array(data.pictures[i : i + batch]))
        parts.append(_points(model, objective, pictures, data.frame[i : i + batch], size, look))
        say(Progress(step=min(i + batch, len(data)), total=len(data), text="", stage="predicting"))
    return _joined(parts, data.points.shape[1])


@torch.no_grad()
def _points(
    model: nn.Module,
    objective: Objective,
    pictures: UInt8[torch.Tensor, "b 3 s t"],
    frame: Frame,
    size: tuple[int, int],
    look: Callable[[torch.Tensor], None] = lambda maps: None,
) -> Points:
    where = next(model.parameters()).device
    shown = pictures.to(where).float() / 255
    if tuple(pictures.shape[-2:]) != size:
        shown = nn.functional.interpolate(shown, size, mode="bilinear", align_corners=False, antialias=True)
    maps = model(shown).float().cpu()
    look(maps)
    return objective.decode(maps, model.output_frame(frame.resized(size)))  # type: ignore[operator]


def _joined(parts: Sequence[Points], n: int) -> Points:
    if not parts:
        return Points(
            torch.zeros(0, n, 2),
            covariance=torch.zeros(0, n, 2, 2),
            score=torch.zeros(0, n),
            state=torch.zeros(0, n, dtype=torch.long),
        )
    joined = {
        key: torch.cat([getattr(p, key) for p in parts])
        for key in ("xy", "covariance", "score", "state")
        if getattr(parts[0], key) is not None
    }
    return Points(**joined)
