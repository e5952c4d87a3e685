"""A training that takes seconds: pictures of two discs, a small model, and the configuration that finds the discs' centres."""

from __future__ import annotations

import numpy as np
import torch

from isotherm.data.keypoint_augment import Augmentation
from isotherm.data.keypoints import KeypointRecord, KeypointSet
from isotherm.heads import DeconvHead
from isotherm.models.backbone import ConvBackbone, ConvBackboneConfig
from isotherm.train.keypoint_build import ModelChoice, TrainedKeypoints, make_model
from isotherm.train.keypoint_model import KeypointModel, Objective
from isotherm.train.keypoints import KeypointTraining
from isotherm.train.schedule import Schedule

CONFIG = KeypointTraining(
    steps=60,
    batch=8,
    size=(32, 32),
    rate=3e-3,
    decay=0.01,
    backbone_rate=1.0,
    average=0.9,
    keep_every=20,
    log_every=10,
    schedule=Schedule(warm_up=5),
    objective=Objective(sigma=1.0),
    augmentation=Augmentation(flip=0.5, degrees=20, scale=(0.9, 1.1), brightness=0.2),
)


def dots(count, seed=0):
    """Pictures with a red and a green disc; the points are their centres; some labels are missing."""
    random = np.random.default_rng(seed)
    ys, xs = np.mgrid[:40, :40] + 0.5
    records = []
    for i in range(count):
        picture = np.full((40, 40, 3), 40, np.uint8)
        points = random.uniform(8, 32, (2, 2))
        for channel, (x, y) in enumerate(points):
            picture[..., channel] = np.maximum(
                picture[..., channel], (220 * ((xs - x) ** 2 + (ys - y) ** 2 < 9)).astype(np.uint8)
            )
        state = torch.tensor([1, 1 if i % 5 else 0])
        placed = torch.from_numpy(points).float()
        placed[state == 0] = torch.nan
        records.append(KeypointRecord(picture=picture, points=placed, state=state, name=str(i)))
    return KeypointSet(records=records, names=("red", "green"))


def model(seed=0, widths=(16, 32)):
    torch.manual_seed(seed)
    return KeypointModel(
        ConvBackbone(ConvBackboneConfig(widths=widths, depth=1)),
        DeconvHead(widths[-1], 2, widths=(16,), groups=8),
        frozen=False,
    )


def untrained():
    """A small model of the discs with random weights, opened as one from a file is."""
    choice = ModelChoice(widths=(8, 16), depth=1, head_options={"widths": (8,), "groups": 4})
    return TrainedKeypoints(
        model=make_model(choice, 2, size=CONFIG.size).eval(),
        choice=choice,
        objective=CONFIG.objective,
        size=CONFIG.size,
        names=("red", "green"),
    )
