"""Points become maps: by a slow loop's values, with gradients, and round in the source picture whatever the frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.data.gaze import GazeState
from isotherm.data.gaze.clip import GazeClip
from isotherm.data.gaze.render import WIDTH_SHARE, render_clip, render_gaze
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame
from rigs.gaze import SIZE, wandering

T, M, OUT = (int(s) for s in GazeState)


def slow_map(clip, frame, i, sigma_px):
    """By the distance in the source of each cell's centre, one after the other."""
    values = np.zeros(frame.size)
    for row in range(frame.size[0]):
        for column in range(frame.size[1]):
            centre = frame.points_to_source(torch.tensor([[column + 0.5, row + 0.5]], dtype=torch.float64))[0]
            values[row, column] = float(torch.exp(-(centre - clip.xy[i]).square().sum() / (2 * sigma_px**2)))
    return values


@pytest.mark.parametrize(
    "frame",
    [
        Frame.identity(SIZE),
        Frame.identity(SIZE).cropped((10, 4, 110, 90)).flipped(),
        Frame.identity(SIZE).resized((48, 128)).rotated(30.0),
    ],
    ids=["whole", "cropped and flipped", "turned"],
)
def test_maps_equal_a_slow_loop_in_every_frame(frame):
    recording = wandering()
    clip = GazeClip.of_samples(recording.at(recording.time_s[[3, 10]], window_s=0.01), SIZE).through(frame)
    maps = render_clip(clip, (12, 16), sigma_px=9.0)
    assert clip.state.tolist() == [T, M]
    expected = slow_map(clip, frame.resized((12, 16)), 0, 9.0)
    np.testing.assert_allclose(maps[0].numpy(), expected, atol=1e-5)
    assert not maps[1].any()


def test_what_leaves_the_frame_has_a_map_of_zeros_and_its_state():
    recording = wandering()
    clip = GazeClip.of_samples(recording.at(recording.time_s[18:23], window_s=0.01), SIZE)
    maps = render_clip(clip, (24, 32))
    assert clip.state.tolist() == [T, T, OUT, T, T]
    assert (maps.flatten(1).amax(-1) > 0.8).tolist() == [True, True, False, True, True]
    width = WIDTH_SHARE * SIZE[1]
    torch.testing.assert_close(maps, render_clip(clip, (24, 32), sigma_px=width))


def test_place_and_width_have_gradients_and_missing_gaze_spoils_none():
    cells = torch.tensor([[[5.2, 3.1], [float("nan"), 1.0], [7.7, 6.6]]], dtype=torch.float64, requires_grad=True)
    sigma = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
    state = torch.tensor([[T, M, T]])
    assert torch.autograd.gradcheck(
        lambda s: render_gaze(cells.detach(), state, (8, 10), sigma_cells=s), (sigma,), eps=1e-6
    )
    render_gaze(cells, state, (8, 10), sigma_cells=sigma).square().sum().backward()
    assert torch.isfinite(sigma.grad)
    assert torch.isfinite(cells.grad).all()
    assert (cells.grad[0, [0, 2]] != 0).all()
    assert not cells.grad[0, 1].any()


def test_a_width_is_learned_by_its_gradient():
    cells = torch.tensor([[[4.0, 4.0], [9.0, 6.0]]])
    state = torch.zeros(1, 2, dtype=torch.long)
    wanted = render_gaze(cells, state, (12, 16), sigma_cells=2.5)
    log_sigma = torch.zeros((), requires_grad=True)
    for step in range(60):
        loss = (render_gaze(cells, state, (12, 16), sigma_cells=log_sigma.exp()) - wanted).square().mean()
        (gradient,) = torch.autograd.grad(loss, log_sigma)
        log_sigma = (log_sigma - 0.2 * 0.9**step * gradient.sign()).detach().requires_grad_()
    assert float(log_sigma.detach().exp()) == pytest.approx(2.5, abs=0.02)


def test_widths_and_states_that_are_none(unchecked):
    with pytest.raises(OptionError, match="sigma_cells"):
        render_gaze(torch.zeros(1, 2), torch.zeros(1, dtype=torch.long), (4, 4), sigma_cells=0.0)
    with pytest.raises(ShapeError, match="state has shape"):
        render_gaze(torch.zeros(1, 2), torch.zeros(2, dtype=torch.long), (4, 4), sigma_cells=1.0)
    recording = wandering()
    clip = GazeClip.of_samples(recording.at([0.0], window_s=0.01), SIZE)
    with pytest.raises(OptionError, match="sigma_px is -1"):
        render_clip(clip, (4, 4), sigma_px=-1.0)
