"""Any cameras side by side: the matrices of orthographic views give what the exact lift gives."""

from __future__ import annotations

import pytest
import torch

from isotherm import targets
from isotherm.data.grounding.cameras import ViewCamera
from isotherm.decode.cameras import FRONT, RIGHT, TOP, Cameras
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


def test_a_point_is_not_surer_than_the_voxels_are_small():
    cameras = [ViewCamera(view, BOUNDS) for view in (TOP, FRONT, RIGHT)]
    maps = [seen(c, (48, 64)) for c in cameras]
    sharp = [Heatmap(m.values.clamp(min=1e-30).log() * 1e4, m.frame, "logits") for m in maps]
    lifted = lift_heatmaps(sharp, cameras, bounds=BOUNDS, resolution=4)
    sides = torch.tensor([2.0, 3.0, 2.0], dtype=torch.float64) / 4
    assert torch.allclose(lifted.covariance.diagonal(), sides**2 / 12)


@pytest.mark.parametrize("far", [0.0, 5e6])
def test_a_world_may_begin_far_from_its_origin(far):
    """Surveyors count metres from the equator; float32 would put the point half a metre off."""
    bounds = tuple(tuple(v + far for v in corner) for corner in BOUNDS)
    k = torch.tensor([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]], dtype=torch.float64)[None]
    centre, cameras, maps = torch.tensor([0.0, 1.5, 3.0], dtype=torch.float64), [], []
    for axis, up in ((1, (0.0, 0.0, 1.0)), (2, (0.0, 1.0, 0.0))):
        place = centre.clone()
        place[axis] -= 6
        near = Cameras.looking_at(place[None], centre, focal_px=60.0, size=(48, 64), up=up)
        maps.append(seen(ViewCamera(near), (48, 64)))
        moved = near.translation - (near.rotation @ torch.full((3,), far, dtype=torch.float64))
        cameras.append(ViewCamera(Cameras(k, near.rotation, moved)))
    lifted = lift_heatmaps(maps, cameras, bounds=bounds, resolution=48)
    assert (lifted.xyz - far - POINT).abs().max() < 0.06


@pytest.mark.parametrize("t", [(0.0, -1.5, 3.0 + 6), (40.0, -1.5, 3.0), (0.0, -1.5, -5.0)])
def test_a_camera_that_sees_nothing_of_the_box_is_named(t):
    """The second lies beside the box, the third before it; the first sees it."""
    k, r = torch.tensor([[[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]]), torch.eye(3)[None]
    cameras = [ViewCamera(Cameras(k, r, torch.tensor([t]))), ViewCamera(TOP, BOUNDS), ViewCamera(FRONT, BOUNDS)]
    maps = [seen(ViewCamera(TOP, BOUNDS), (48, 64)), *[seen(c, (48, 64)) for c in cameras[1:]]]
    if t[2] == 9.0:
        assert lift_heatmaps(maps, cameras, bounds=BOUNDS, resolution=16).xyz.isfinite().all()
        return
    with pytest.raises(OptionError, match="camera of view 'left' sees nothing of the box"):
        lift_heatmaps(maps, cameras, bounds=BOUNDS, resolution=16, names=["left", "top", "front"])
