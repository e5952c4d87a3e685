"""A heatmap with a time axis: one map per moment."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.errors import ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.moments import Timeline

FRAME = Frame.resize((20, 30), (2, 3))
MOMENTS = Timeline.of(8, fed=8, edges_s=[i / 4 for i in range(9)]).moments(1.0, 2.0, 4)


def of_clip() -> Heatmap:
    values = torch.arange(24.0).reshape(4, 2, 3)
    pictures = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((4, 20, 30, 3), np.uint8)
    return Heatmap(values, FRAME, "relevance", label="swims", moments=MOMENTS, picture=pictures)


def test_each_map_has_its_moment_and_its_picture():
    heatmap = of_clip()
    assert len(heatmap) == 4
    one = heatmap[2]
    assert one.values.tolist() == [[12, 13, 14], [15, 16, 17]]
    assert one.moments == MOMENTS.take(2)
    assert one.moments.times_s == ((1.0, 1.5),)
    assert one.picture.shape == (20, 30, 3)
    assert int(one.picture.max()) == 2
    assert [m.moments.shown for m in heatmap] == [(0,), (2,), (4,), (6,)]
    assert heatmap[1:3].moments.frames == ((2, 4), (4, 6))
    assert "4 moment(s) from 0 to 0.5 s" in repr(heatmap)


def test_maps_of_several_classes_share_the_moments():
    heatmap = Heatmap(torch.zeros(3, 4, 2, 3), FRAME, "relevance", moments=MOMENTS)
    assert heatmap[1].moments is MOMENTS
    assert heatmap[1].values.shape == (4, 2, 3)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_moments_are_saved(tmp_path, suffix):
    there = Heatmap.load(of_clip().save(tmp_path / f"map{suffix}"))
    assert there.moments == MOMENTS
    assert torch.equal(there.values, of_clip().values)
    assert Heatmap.load(of_clip().with_(moments=None).save(tmp_path / f"other{suffix}")).moments is None


def test_one_map_per_moment_is_needed():
    with pytest.raises(ShapeError, match="4 moments; expected one per map"):
        Heatmap(torch.zeros(3, 2, 3), FRAME, "relevance", moments=MOMENTS)
