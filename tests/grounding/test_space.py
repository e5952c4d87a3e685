"""Any cameras side by side: the matrices of orthographic views give what the exact lift gives."""

from __future__ import annotations

import pytest
import torch

from isotherm import targets
from isotherm.data.grounding.cameras import ViewCamera
from isotherm.decode.cameras import FRONT, RIGHT, TOP
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.grounding.space import lift_heatmaps
from isotherm.heatmap import Heatmap

BOUNDS = ((-1.0, 0.0, 2.0), (1.0, 3.0, 4.0))
WIDER = ((-2.0, -1.0, 1.0), (2.0, 4.0, 5.0))
POINT = torch.tensor([0.3, 1.4, 3.2])


def seen(camera: ViewCamera, size: tuple[int, int]) -> Heatmap:
    place = camera.project(POINT, size).float()
    frame = Frame.resize(size, (24, 32))
    return targets.gaussian(place[None], frame, sigma_cells=1.5, kind="probability").heatmap[0]


def test_views_of_another_box_are_lifted_by_their_matrices():
    own = [ViewCamera(view, BOUNDS) for view in (TOP, FRONT, RIGHT)]
    wider = [ViewCamera(view, WIDER) for view in (TOP, FRONT, RIGHT)]
    sizes = [(48, 64), (96, 96), (30, 70)]
    for cameras in (own, wider, [own[0], wider[1], own[2]]):
        maps = [seen(c, size) for c, size in zip(cameras, sizes, strict=True)]
        lifted = lift_heatmaps(maps, cameras, bounds=BOUNDS, resolution=40)
        assert (lifted.xyz - POINT).abs().max() < 0.05
        assert float(lifted.disagreement) < 0.5


def test_logits_and_probabilities_are_the_same():
    cameras = [ViewCamera(view, BOUNDS) for view in (TOP, FRONT, RIGHT)]
    maps = [seen(c, (48, 64)) for c in cameras]
    logs = [Heatmap(m.values.log() + 3.0, m.frame, "logits") for m in maps]
    first, second = (lift_heatmaps(some, cameras, bounds=BOUNDS, resolution=24) for some in (maps, logs))
    assert torch.allclose(first.xyz, second.xyz, atol=1e-4)
    assert torch.allclose(first.covariance, second.covariance, atol=1e-5)


def test_a_single_view_is_refused():
    camera = ViewCamera(TOP, BOUNDS)
    with pytest.raises(OptionError, match="at least two views"):
        lift_heatmaps([seen(camera, (8, 8))], [camera], bounds=BOUNDS)
