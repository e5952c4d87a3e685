"""Gaze of clips as a model's input: in its pixels, with its states, and none from behind the end."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.data.anticipation.clips import VideoClip
from isotherm.data.anticipation.transforms import ClipTransform
from isotherm.data.egocentric.clips import make_many
from isotherm.data.egocentric.config import EgocentricConfig
from isotherm.data.gaze.clip import GazeClip
from isotherm.data.gaze.states import GazeState
from isotherm.errors import ShapeError
from isotherm.frame import Frame
from isotherm.gaze.clips import gaze_of_clips, gaze_of_egocentric
from rigs.gaze import RATE, SIZE, maps_of, wandering


def clip_of(*, first=15, maps=False, gaze=True):
    """Eight frames of the wandering gaze; from frame 15 on, with gaze beside the picture at 20."""
    times = torch.arange(first, first + 8, dtype=torch.float64) / RATE
    of = GazeClip.of_samples(wandering().at(times.numpy(), window_s=0.01), SIZE)
    if maps:
        shown = torch.from_numpy(maps_of(wandering())[first : first + 8])
        of = GazeClip(of.time_s, of.xy, of.state, of.confidence, shown, Frame.resize(SIZE, (24, 32)))
    video = torch.zeros(8, 3, *SIZE, dtype=torch.uint8)
    return VideoClip(video, Frame.identity(SIZE), times, float(times[-1]) + 0.04, of if gaze else None)


def test_places_are_in_the_pixels_of_the_input():
    transform = ClipTransform(size=(32, 32), area=(0.9, 1.0), degrees=5.0)
    clips = [transform(clip_of(first=first), i) for i, first in enumerate((15, 30))]
    gaze = gaze_of_clips(clips)
    assert gaze.xy.shape == (2, 8, 2)
    for b, clip in enumerate(clips):
        tracked = clip.gaze.state == GazeState.TRACKED
        assert tracked.any()
        torch.testing.assert_close(gaze.xy[b][tracked], clip.gaze.cells[tracked].float())
        assert torch.equal(gaze.state[b], clip.gaze.state)
    assert gaze.state[0, 5] == GazeState.OUT_OF_FRAME
    torch.testing.assert_close(gaze.time_s[0], (torch.arange(8) - 8) * 0.04)


def test_maps_go_along_and_lie_where_the_points_lie():
    transform = ClipTransform(size=(48, 48), area=(0.9, 1.0), flip=1.0)
    gaze = gaze_of_clips([transform(clip_of(first=30, maps=True), 3)])
    assert gaze.maps.shape == (1, 8, 48, 48)
    peaks = gaze.maps.flatten(2).argmax(-1)
    at = torch.stack([peaks % 48, peaks // 48], -1) + 0.5
    tracked = gaze.tracked[0]
    assert float((at - gaze.xy)[0][tracked].abs().max()) < 2.5  # half a cell of the maps, and one of the input


def test_a_clip_without_gaze_is_missing():
    transform = ClipTransform.plain((32, 32))
    gaze = gaze_of_clips([transform(clip_of(gaze=False), 0), transform(clip_of(first=30), 1)])
    assert (gaze.state[0] == GazeState.MISSING).all()
    assert (gaze.state[1] == GazeState.TRACKED).any()
    assert float(gaze.time_s.max()) < 0
    with pytest.raises(ShapeError, match="expected some, of one size"):
        gaze_of_clips([])


def test_gaze_of_generated_clips():
    clips = make_many(range(40), EgocentricConfig(rates_hz=(6.0, 10.0)))
    gaze = gaze_of_egocentric(clips)
    tracked = clips.state == GazeState.TRACKED
    np.testing.assert_allclose(gaze.xy.numpy()[tracked], clips.gaze[tracked], rtol=1e-6)
    assert (gaze.xy.numpy()[~tracked] == 0).all()
    np.testing.assert_array_equal(gaze.state.numpy(), clips.state)
    np.testing.assert_allclose(gaze.time_s[:, 0], -7 / clips.stories.rate_hz, rtol=1e-6)
    some = gaze_of_egocentric(clips, torch.tensor([5, 2]))
    assert torch.equal(some.xy, gaze.xy[[5, 2]])
