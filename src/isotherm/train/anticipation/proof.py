"""Before a training begins: does everything that is to be trained change with what the model is told?

It is a question about how the model is put together, so it is asked with made-up clips in which every kind of gaze
appears: the first clips of a set may have no gaze at all, and a model may be meant to get none, or grey pictures.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from isotherm.data.gaze.states import GazeState
from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.trainable import check_gradients
from isotherm.train.anticipation.clip_data import ClipBatch
from isotherm.train.anticipation.task import AnticipationTask

CLIPS = 2


def prove_gradients(task: AnticipationTask) -> None:
    """Raise where something that is to be trained would never change, whatever the clips and the gaze.

    Args:
        task: whose first two clips give shapes, times and labels.

    Raises:
        OptionError: with the names of the parameters.
    """
    index = torch.arange(min(CLIPS, task.count))
    batch = made_up(task.data.batch(index, torch.zeros_like(index)), torch.Generator().manual_seed(0))
    device = next(task.net.parameters()).device
    declared = {id(p) for group in task.groups() for p in group.parameters}
    names = [name for name, p in task.net.named_parameters() if id(p) in declared]

    def loss() -> Tensor:
        return task.losses(task.net, batch, batch.gaze, device=device)[0].sum()

    check_gradients(task.net, loss, names)


def made_up(batch: ClipBatch, generator: torch.Generator) -> ClipBatch:
    """Clips of the same shapes, times and labels with pictures and gaze drawn at random, some of it missing or outside.

    Args:
        batch: real clips.
        generator: of what is drawn.
    """
    video, features, gaze = batch.video, batch.features, batch.gaze
    if video is not None:
        video = torch.randint(0, 256, video.shape, generator=generator).to(video)
    if features is not None:
        features = torch.randn(features.shape, generator=generator).to(features)
    return replace(batch, video=video, features=features, gaze=_gaze_like(gaze, generator))


def _gaze_like(gaze: GazeInputs, generator: torch.Generator) -> GazeInputs:
    state = torch.full_like(gaze.state, int(GazeState.TRACKED))
    state[:, 1::4], state[:, 2::4] = int(GazeState.MISSING), int(GazeState.OUT_OF_FRAME)
    h, w = gaze.size
    drawn = torch.rand(gaze.xy.shape, generator=generator) * torch.tensor([float(w), float(h)])
    maps = gaze.maps
    if maps is not None:
        maps = torch.rand(maps.shape, generator=generator).to(maps)
    return replace(gaze, xy=drawn.to(gaze.xy), state=state, confidence=torch.ones_like(gaze.confidence), maps=maps)
