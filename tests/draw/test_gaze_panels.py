"""Panels of one clip with several gazes, and what is predicted with each."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.draw import GazeLook, GazePanel, GazeTrack, gaze_panels
from isotherm.draw.gaze import DOT
from isotherm.draw.gaze_panels import BAR, RIGHT, prediction_bars
from isotherm.errors import OptionError, ShapeError
from isotherm.points import Points

FRAMES = [np.full((60, 80, 3), 90, np.uint8)] * 2


def columns_of(image: Image.Image, colour, tolerance=25) -> np.ndarray:
    pixels = np.asarray(image).astype(int)
    return np.nonzero((np.abs(pixels - np.array(colour)) <= tolerance).all(-1).any(0))[0]


def panels():
    gaze = GazeTrack(np.array([0.0, 0.1]), Points(torch.tensor([[20.0, 30.0], [60.0, 30.0]])))
    return [
        GazePanel("gaze", gaze, [("open", 0.9), ("cut", 0.1)]),
        GazePanel("none", None, [("cut", 0.6), ("open", 0.4)]),
    ]


def test_each_panel_has_its_own_gaze_and_none_has_no_mark():
    look = GazeLook(trail_s=0, heat_s=0, state=False)
    frames = list(gaze_panels(FRAMES, panels(), [0.0, 0.1], right="open", look=look, side=240))
    assert len(frames) == 2
    assert frames[0].size == frames[1].size
    first, second = (columns_of(f, DOT) for f in frames)
    half = frames[0].width / 2
    assert first.max() < half  # the panel without gaze says nothing of it, not even that it is missing
    assert second.mean() - first.mean() == pytest.approx(120, abs=25)  # 40 of 80 pixels, three times as large


def test_bars_are_as_long_as_the_probabilities_and_the_true_answer_is_green():
    bars = prediction_bars([("open", 0.75), ("cut", 0.25)], 400, right="open")
    green, blue = columns_of(bars, RIGHT), columns_of(bars, BAR)
    assert green.max() == pytest.approx(300, abs=4)
    assert blue.max() == pytest.approx(100, abs=4)
    assert not len(columns_of(prediction_bars([("open", 0.75)], 400), RIGHT))
    assert not len(columns_of(prediction_bars([("open", 0.0)], 400), BAR))


def test_panels_that_cannot_be_compared_are_refused():
    with pytest.raises(OptionError, match="no panels"):
        gaze_panels(FRAMES, [], [0.0])
    with pytest.raises(ShapeError, match="different numbers of predictions"):
        gaze_panels(FRAMES, [*panels(), GazePanel("shuffled", None)], [0.0])
    with pytest.raises(OptionError, match=r"'open' is 1\.5"):
        prediction_bars([("open", 1.5)], 100)


def test_panels_without_predictions_are_pictures_alone():
    alone = next(gaze_panels(FRAMES, [GazePanel("none", None)], [0.0, 0.1], look=GazeLook(state=False), side=160))
    with_bars = next(gaze_panels(FRAMES, panels()[1:], [0.0, 0.1], side=160, title="what next?"))
    assert with_bars.height > alone.height > 120
