"""Tracks: through crossings, gaps and strays."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.decode import peaks, track
from isotherm.errors import OptionError, ShapeError
from isotherm.points import Points
from isotherm.targets import mixture


def moments(*paths):
    """Points of each moment; None is unseen. The order of the points changes from moment to moment."""
    out = []
    for t, places in enumerate(zip(*paths, strict=True)):
        seen = [p for p in places if p is not None]
        out.append(Points(torch.tensor(seen[t % 2 :] + seen[: t % 2]).view(-1, 2)))
    return out


def test_objects_that_cross_keep_their_tracks():
    right = [(float(t), 10.0 + 0.3 * t) for t in range(11)]
    left = [(10.0 - t, 10.5 + 0.1 * t) for t in range(11)]
    tracks = track(moments(right, left), most_distance=3.0)
    assert len(tracks) == 2
    assert torch.allclose(tracks[0].xy, torch.tensor(right))
    assert torch.allclose(tracks[1].xy, torch.tensor(left))


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("then", [0, 1])
def test_the_nearest_pair_does_not_take_the_place_of_another(first, then):
    """0 -> 2 and 3 -> 5.5. The nearest pair is 3 and 2: who takes it first leaves 0 without a point, 5.5 being too far."""
    paths = [[(0.0, 0.0), (2.0, 0.0)], [(3.0, 0.0), (5.5, 0.0)]]
    points = [[paths[first], paths[1 - first]], [paths[then], paths[1 - then]]]
    tracks = track([Points(torch.tensor([p[t] for p in points[t]])) for t in (0, 1)], most_distance=3.0)
    assert sorted(one.places for one in tracks) == paths


def test_a_far_stray_does_not_take_a_track_from_its_point():
    """3 -> 2.9, and something new at 100: in sum 0 -> 2.9 and 3 -> 100 are shorter than 3 -> 2.9 and 0 -> 100."""
    points = [Points(torch.tensor(one)) for one in ([[0.0, 0.0], [3.0, 0.0]], [[2.9, 0.0], [100.0, 0.0]])]
    tracks = track(points, most_distance=3.0)
    assert [[x for x, _ in one.xy.tolist()] for one in tracks] == [[0.0], pytest.approx([3.0, 2.9]), [100.0]]


def test_an_object_may_be_unseen_for_a_while_and_no_longer():
    path = [(2.0 * t, 5.0) if t not in (3, 4) else None for t in range(8)]
    (one,) = track(moments(path), most_distance=2.0, memory=2)
    assert one.moments == [0, 1, 2, 5, 6, 7]
    assert len(track(moments(path), most_distance=2.0, memory=1)) == 2


def test_strays_begin_tracks_of_their_own_and_can_be_left_out():
    path = [(float(t), 5.0) for t in range(6)]
    stray = [(50.0, 50.0) if t == 3 else None for t in range(6)]
    assert [len(t.moments) for t in track(moments(path, stray), most_distance=3.0)] == [6, 1]
    assert [len(t.moments) for t in track(moments(path, stray), most_distance=3.0, least_moments=2)] == [6]


def test_peaks_of_maps_are_followed():
    places = torch.stack([torch.tensor([[8.0 + 2 * t, 10.0], [40.0 - 2 * t, 30.0]]) for t in range(6)])
    maps = mixture(places, (40, 48), sigma_cells=2.0, how="max").heatmap.values
    found = [peaks(one[None], most=4, threshold=0.3) for one in maps]
    tracks = track(found, most_distance=4.0)
    assert len(tracks) == 2
    ends = sorted(t.places[-1] for t in tracks)
    assert ends[0] == pytest.approx((18.0, 10.0), abs=0.1)
    assert ends[1] == pytest.approx((30.0, 30.0), abs=0.1)


def test_misuse(unchecked):
    with pytest.raises(OptionError, match="most_distance is 0"):
        track([], most_distance=0.0)
    with pytest.raises(ShapeError, match="points of moment 0"):
        track([Points(torch.zeros(1, 2, 2))], most_distance=1.0)
    with pytest.raises(ShapeError, match="points is None; expected a list with the Points of every moment"):
        track(None, most_distance=1.0)
    with pytest.raises(ShapeError, match="points is a ndarray"):
        track(np.zeros((3, 2)), most_distance=1.0)
    with pytest.raises(ShapeError, match="moment 1 is a ndarray; expected Points"):
        track([Points(torch.zeros(1, 2)), np.zeros((1, 2))], most_distance=1.0)
    with pytest.raises(ShapeError, match="moment 0 is None"):
        track([None], most_distance=1.0)
