"""What a model is told of gaze, and that it depends on the seed, the clip and the epoch alone."""

from __future__ import annotations

import pytest
import torch

from isotherm.data.gaze.states import GazeState
from isotherm.errors import OptionError
from isotherm.gaze.inputs import GazeInputs
from isotherm.train.anticipation.gaze_use import GazeUse

MISSING = int(GazeState.MISSING)


def gaze(b=6, t=4):
    xy = 16 * torch.rand(b, t, 2, generator=torch.Generator().manual_seed(0))
    return GazeInputs(
        xy, torch.zeros(b, t, dtype=torch.long), torch.ones(b, t), torch.linspace(-1, 0, t).expand(b, t), (16, 16)
    )


def test_every_condition_is_told():
    real = gaze()
    assert torch.equal(GazeUse().of(real, seed=0).xy, real.xy)
    assert bool((GazeUse(condition="missing").of(real, seed=0).state == MISSING).all())
    shuffled = GazeUse(condition="shuffled").of(real, seed=0).xy
    assert not (shuffled == real.xy).flatten(1).all(1).any()
    assert sorted(shuffled.flatten(1).tolist()) == sorted(real.xy.flatten(1).tolist())
    assert torch.equal(GazeUse(condition="shifted", shift=1).of(real, seed=0).xy[:, 1:], real.xy[:, :-1])
    assert bool((GazeUse(condition="centre").of(real, seed=0).xy == 8).all())


def test_dropout_is_a_matter_of_clip_and_epoch():
    use, index, epoch = GazeUse(dropout=0.5), torch.arange(6), torch.zeros(6, dtype=torch.long)
    one = use.in_training(gaze(), index, epoch, 3).state
    alone = use.in_training(gaze(1), index[4:5], epoch[4:5], 3).state
    assert torch.equal(one[4], alone[0])
    per_epoch = [use.in_training(gaze(), index, epoch + e, 3).state[:, 0] == MISSING for e in range(40)]
    share = torch.stack(per_epoch).double().mean()
    assert 0.4 < float(share) < 0.6  # 240 draws: three standard deviations
    assert not torch.equal(per_epoch[0], per_epoch[1])


def test_a_share_out_of_range_is_refused():
    with pytest.raises(OptionError, match="less than 1"):
        GazeUse(dropout=1.0)
