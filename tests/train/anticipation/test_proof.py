"""That a training is stopped for how its model is put together, and never for what its first clips happen to show."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from isotherm.data.gaze.states import GazeState
from isotherm.errors import OptionError
from isotherm.train.anticipation.build import make_anticipation
from isotherm.train.anticipation.proof import made_up, prove_gradients
from isotherm.train.anticipation.read import read_clips
from isotherm.train.anticipation.run import in_steps, recipe_from
from isotherm.train.anticipation.task import AnticipationTask
from rigs.anticipation import plain_anticipation


class WithoutGaze:
    """A set whose clips have no gaze at all and show grey."""

    def __init__(self, data):
        self.data = data

    def __getattr__(self, name):
        return getattr(self.data, name)

    def __len__(self):
        return len(self.data)

    def batch(self, index, epoch):
        batch = self.data.batch(index, epoch)
        gone = torch.ones_like(batch.gaze.state, dtype=torch.bool)
        return replace(batch, gaze=batch.gaze.where_missing(gone), video=torch.full_like(batch.video, 124))


@pytest.fixture
def task(tmp_path):
    recipe = recipe_from(plain_anticipation())
    training, _ = read_clips(recipe.data, root=tmp_path)
    config = in_steps(recipe.training, len(training))
    model = make_anticipation(recipe.model, training.classes, rate_hz=training.rate_hz, probes=1)
    return AnticipationTask(config, model, WithoutGaze(training))


def test_first_clips_without_gaze_do_not_stop_a_training(task):
    prove_gradients(task)
    assert all(p.grad is None for p in task.net.parameters())


def test_weights_that_nothing_reaches_stop_it_by_name(task):
    task.net.fusion.cut = torch.nn.Parameter(torch.ones(2, 2))
    with pytest.raises(OptionError, match=r"fusion\.cut"):
        prove_gradients(task)


def test_made_up_clips_hold_every_state_and_keep_shapes_and_labels(task):
    batch = task.data.batch(torch.arange(2), torch.zeros(2, dtype=torch.long))
    other = made_up(batch, torch.Generator().manual_seed(0))
    assert {int(s) for s in other.gaze.state.unique()} == {int(s) for s in GazeState}
    assert (other.video.shape, other.video.dtype) == (batch.video.shape, batch.video.dtype)
    assert torch.equal(other.labels, batch.labels)
    assert torch.equal(other.gaze.time_s, batch.gaze.time_s)
    assert other.video.float().std() > 50
