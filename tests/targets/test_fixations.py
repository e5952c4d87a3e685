"""Gaze as one map: durations, widths in pixels and in degrees, blinks."""

from __future__ import annotations

import math

import pytest
import torch

from isotherm import targets
from isotherm.errors import FrameError, OptionError
from isotherm.frame import Frame
from isotherm.points import State

FRAME = Frame.resize((60, 80), (6, 8))
POINTS = torch.tensor([[15.0, 25.0], [65.0, 45.0]])
SECONDS = torch.tensor([0.3, 0.1])


def test_by_hand():
    """Cells of 10 pixels and a sigma far below: each fixation fills its cell with its share of the time."""
    target = targets.fixations(POINTS, SECONDS, FRAME, sigma_px=0.5)
    expected = torch.zeros(6, 8)
    expected[2, 1], expected[4, 6] = 0.75, 0.25
    torch.testing.assert_close(target.heatmap.values, expected)
    assert target.heatmap.kind == "probability"
    assert target.state.item() == State.LABELLED


def test_the_width_is_round_in_the_source_picture():
    """Cells of 10 x 5 pixels: a sigma of 8 pixels is 0.8 cells along x and 1.6 along y, and a batch keeps them apart."""
    frame = Frame.resize((30, 80), (6, 8))
    target = targets.fixations(POINTS[:1], SECONDS[:1], frame, sigma_px=8.0)
    expected = targets.mixture(frame.points_from_source(POINTS[:1]), (6, 8), sigma_cells=torch.tensor([[0.8, 1.6]]))
    torch.testing.assert_close(target.heatmap.values, expected.heatmap.values)
    batch = Frame.stack([frame, FRAME])
    both = targets.fixations(POINTS[:1].expand(2, 1, 2), SECONDS[:1].expand(2, 1), batch, sigma_px=8.0)
    torch.testing.assert_close(both.heatmap.values[0], expected.heatmap.values)
    torch.testing.assert_close(
        both.heatmap.values[1], targets.fixations(POINTS[:1], SECONDS[:1], FRAME, sigma_px=8.0).heatmap.values
    )


def test_turned_and_flipped_frames_take_the_blur_with_them():
    turned = FRAME.rotated(90, size=(8, 6))
    plain = targets.fixations(POINTS, SECONDS, FRAME, sigma_px=12.0).heatmap.values
    torch.testing.assert_close(
        targets.fixations(POINTS, SECONDS, turned, sigma_px=12.0).heatmap.values, torch.rot90(plain)
    )
    torch.testing.assert_close(
        targets.fixations(POINTS, SECONDS, FRAME.flipped(), sigma_px=12.0).heatmap.values, plain.flip(-1)
    )


def test_degrees():
    scale = targets.pixels_per_degree(screen_px=1920, screen_cm=53.1, distance_cm=60)
    assert scale == pytest.approx(2 * 60 * math.tan(math.radians(0.5)) * 1920 / 53.1)
    one = targets.fixations(POINTS, SECONDS, FRAME, sigma_degrees=0.5, pixels_per_degree=scale)
    torch.testing.assert_close(
        one.heatmap.values, targets.fixations(POINTS, SECONDS, FRAME, sigma_px=0.5 * scale).heatmap.values
    )


def test_blinks_and_gaze_beside_the_picture_are_dropped():
    at = torch.tensor([[15.0, 25.0], [math.nan, math.nan], [-5.0, 10.0]])
    target = targets.fixations(at, torch.tensor([0.2, 9.0, 9.0]), FRAME, sigma_px=8.0)
    torch.testing.assert_close(
        target.heatmap.values, targets.fixations(at[:1], torch.tensor([0.2]), FRAME, sigma_px=8.0).heatmap.values
    )
    kept = targets.fixations(at, torch.tensor([0.2, 9.0, 9.0]), FRAME, sigma_px=8.0, off_frame="clip")
    assert kept.heatmap.values[1, 0] > 0.1
    lost = targets.fixations(at[1:], torch.tensor([9.0, 9.0]), FRAME, sigma_px=8.0)
    assert lost.state.item() == State.UNLABELLED
    assert lost.heatmap.values.sum() == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, OptionError, "give the width either as sigma_px"),
        ({"sigma_px": 1.0, "sigma_degrees": 1.0}, OptionError, "give the width either as sigma_px"),
        ({"sigma_degrees": 1.0}, OptionError, "together with pixels_per_degree"),
        ({"sigma_px": -1.0}, OptionError, "the width is -1.0 source pixels"),
        ({"sigma_degrees": 1.0, "pixels_per_degree": 0.0}, OptionError, "the width is 0.0 source pixels"),
        ({"sigma_px": 1.0, "durations_s": torch.tensor([0.1, -0.1])}, OptionError, "a weight is -0.1"),
        (
            {"sigma_px": 1.0, "frame": Frame.resize((60, 80), (12, 8)).rotated(30)},
            FrameError,
            "sheared in the source picture; resize before rotating",
        ),
    ],
)
def test_mistakes(options, error, message):
    with pytest.raises(error, match=message):
        targets.fixations(**({"points": POINTS, "durations_s": SECONDS, "frame": FRAME} | options))


def test_screens_that_are_none():
    with pytest.raises(OptionError, match="screen_px, screen_cm and distance_cm are 1920, 0 and 60"):
        targets.pixels_per_degree(screen_px=1920, screen_cm=0, distance_cm=60)
