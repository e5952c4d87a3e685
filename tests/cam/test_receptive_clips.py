"""Where the cells of a clip lie, in time, rows and columns: hand-computed cases."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from isotherm.cam.receptive import Follower


def weight(*kernel: int) -> torch.Tensor:
    return torch.ones(2, 3, *kernel)


def channels_first(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 2)


BY_HAND = [
    ("as it is", lambda x: x, [(0.5, 1)] * 3, (1, 3, 4)),
    ("channels first", channels_first, [(0.5, 1)] * 3, (2, 3, 4)),
    (
        "3x3x3, stride 1 2 2",
        lambda x: F.conv3d(channels_first(x), weight(3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3)),
        [(0.5, 1), (0.5, 2), (0.5, 2)],
        (2, 3, 4),
    ),
    (
        "three strides in time",
        lambda x: F.conv3d(
            F.conv3d(channels_first(x), weight(3, 3, 3), stride=2, padding=1),
            torch.ones(2, 2, 3, 1, 1),
            stride=(2, 1, 1),
            padding=(1, 0, 0),
        ),
        [(0.5, 4), (0.5, 2), (0.5, 2)],
        (2, 3, 4),
    ),
    (
        "tubelets",
        lambda x: F.conv3d(channels_first(x), weight(2, 8, 4), stride=(2, 8, 4)),
        [(1, 2), (4, 8), (2, 4)],
        (2, 3, 4),
    ),
    (
        "max pooling",
        lambda x: F.max_pool3d(channels_first(x), (2, 3, 3), 2, (0, 1, 1)),
        [(1, 2), (0.5, 2), (0.5, 2)],
        (2, 3, 4),
    ),
    ("average pooling", lambda x: F.avg_pool3d(channels_first(x), (4, 2, 2)), [(2, 4), (1, 2), (1, 2)], (2, 3, 4)),
    (
        "adaptive pooling",
        lambda x: F.adaptive_avg_pool3d(channels_first(x), (2, 8, 8)),
        [(4, 8), (2, 4), (3, 6)],
        (2, 3, 4),
    ),
    ("every other frame", lambda x: x[:, 1::2], [(1.5, 2), (0.5, 1), (0.5, 1)], (1, 3, 4)),
    (
        "frames added in front",
        lambda x: F.pad(channels_first(x), (0, 0, 0, 0, 2, 0)),
        [(-1.5, 1), (0.5, 1), (0.5, 1)],
        (2, 3, 4),
    ),
    (
        "a residual",
        lambda x: F.avg_pool3d(channels_first(x), 2) + channels_first(x)[:, :, ::2, ::2, ::2],
        [(0.75, 2)] * 3,
        (2, 3, 4),
    ),
]


@pytest.mark.parametrize(("run", "axes", "dims"), [case[1:] for case in BY_HAND], ids=[case[0] for case in BY_HAND])
def test_by_hand(run, axes, dims):
    x = torch.rand(1, 16, 3, 32, 48)
    with Follower(x) as follower:
        out = run(x)
    field = follower.of(out)
    assert [(a.first, a.stride) for a in field.axes] == [pytest.approx(a) for a in axes]
    assert field.dims == dims
    assert field.time == field.axes[0]
    assert field.first == (field.y.first, field.x.first)
