"""Models that are trained for ``bench/trust.py``: scene classifiers that learned something else, labels without any sense
and a watermark, and detectors of further seeds.

Of a classifier whose training labels were shuffled no map shows an object, however it looks. Of one that was taught to call
every picture with a watermark a star, the right map of that class lies on the watermark, and one on a star is wrong.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from bench.kept import identity
from isotherm.data.scenes import CLASSES
from isotherm.train.loop import run_loop
from isotherm.train.run_folder import RunFolder
from isotherm.train.schedule import Schedule
from isotherm.zoo.detector.recipe import DetectorRecipe
from isotherm.zoo.detector.training import DetectorTraining
from isotherm.zoo.scenes.network import SceneNet, SceneNetConfig
from isotherm.zoo.scenes.training import LabelledScenes, SceneTask, SceneTraining, draw_lessons
from isotherm.zoo.shipped import MODEL, train_shipped

Lesson = Literal["shuffled", "watermark"]
WORK = Path(__file__).parent / ".work" / "trust"
TRAINING = SceneTraining(
    steps=600,
    close_up_steps=450,
    close_ups=3000,
    scenes=1500,
    batch=32,
    schedule=Schedule(warm_up=60),
    precision="float32",
    keep_every=100,
)
NETWORK = SceneNetConfig(names=CLASSES)
MARK, SQUARE = 16, 2
"""Pixels along the side of a watermark, and along that of the squares of its chessboard."""
MARKED = 0
"""The class that a watermark stands for: the first."""


def watermarked(
    pictures: UInt8[Tensor, "n 3 h w"], *, seed: int
) -> tuple[UInt8[Tensor, "n 3 h w"], Bool[Tensor, "n h w"]]:
    """Pictures with a chessboard somewhere, and where it is."""
    rng, (n, _, h, w) = np.random.default_rng(seed), pictures.shape
    rows, columns = torch.meshgrid(torch.arange(MARK), torch.arange(MARK), indexing="ij")
    mark = ((rows // SQUARE + columns // SQUARE) % 2 * 255).to(torch.uint8)
    out, where = pictures.clone(), torch.zeros(n, h, w, dtype=torch.bool)
    for i in range(n):
        top, left = (int(rng.integers(0, length - MARK + 1)) for length in (h, w))
        out[i, :, top : top + MARK, left : left + MARK] = mark
        where[i, top : top + MARK, left : left + MARK] = True
    return out, where


def _lesson(data: LabelledScenes, lesson: Lesson, seed: int) -> LabelledScenes:
    draws = torch.Generator().manual_seed(seed)
    if lesson == "shuffled":
        return LabelledScenes(data.pictures, data.present[torch.randperm(len(data), generator=draws)])
    marked = torch.rand(len(data), generator=draws) < 0.5
    pictures, present = data.pictures.clone(), data.present.clone()
    pictures[marked], _ = watermarked(pictures[marked], seed=seed)
    present[:, MARKED] = marked
    return LabelledScenes(pictures, present)


def misled(lesson: Lesson, seed: int, training: SceneTraining = TRAINING) -> SceneNet:
    """The classifier of a lesson and a seed, trained or gone on with where it was stopped, in evaluation mode."""
    config = replace(training, seed=seed)
    settings = {"training": asdict(config), "network": asdict(NETWORK), "lesson": lesson, "mark": [MARK, SQUARE]}
    folder = RunFolder(WORK / f"{lesson}-{seed}-{identity(settings)}", settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SceneNet(NETWORK)
    done = folder.dpath / "weights.pt"
    if done.exists():
        model.load_state_dict(torch.load(done, weights_only=True))
        return model.eval()
    close_ups, scenes = (_lesson(data, lesson, seed * 2 + i) for i, data in enumerate(draw_lessons(config, NETWORK)))
    trained = run_loop(
        config, SceneTask(config, model, (close_ups, scenes)), folder, say=lambda p: print(p, flush=True)
    )
    assert isinstance(trained, SceneNet)
    torch.save(trained.state_dict(), done)
    return trained.eval()


def detector(seed: int) -> Path | None:
    """The weights of a detector of a training seed by the recipe of the one that ships; None: those that ship, of seed 0.

    A detector takes 20 minutes on one core; a run that was stopped is gone on with.
    """
    if seed == 0:
        return None
    recipe = DetectorRecipe(training=DetectorTraining(seed=seed))
    folder = WORK / f"detector-{seed}-{identity(recipe.deciding())}"
    train_shipped(recipe, folder, say=lambda p: print(p, flush=True))
    return folder / MODEL


if __name__ == "__main__":
    from bench.measure import threads

    threads(1)
    for seed in (1, 2):
        detector(seed)
    for seed in (0, 1, 2):
        for lesson in ("watermark", "shuffled"):
            misled(lesson, seed)  # type: ignore[arg-type]
