"""Raw gaze as numbers per frame: where, when, how sure, how fast, and for how long it has stayed."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.state_tokens import States, StateTokens

OCTAVES = 4
"""Of the sines of a place: 1 to 8 half turns over the picture, which tell places an eighth of it apart."""
NEAR = 0.05
"""Gaze dwells while it moves by less than this share of the width and height from frame to frame."""
FEATURES = 2 + 4 * OCTAVES + 5


def gaze_features(gaze: GazeInputs, *, near: float = NEAR) -> Float[Tensor, "b t f"]:
    """Numbers of each frame, all 0 where the gaze is not tracked.

    In order: x and y from -1 to 1; their sines and cosines; confidence; seconds before the end of the clip; velocity
    along x and y, in pictures per second and squashed by arsinh, since saccades are a hundred times as fast as pursuit;
    seconds since the gaze came to where it is.

    Args:
        gaze: of clips.
        near: how far it may move from frame to frame and still stay.
    """
    tracked = gaze.tracked
    at = 2 * gaze.places - 1
    octaves = math.pi / 2 * 2.0 ** torch.arange(OCTAVES, device=at.device, dtype=at.dtype)
    angles = (at[..., None] * octaves).flatten(-2)
    moved, seconds = velocity_parts(gaze)
    velocity = torch.asinh(moved / seconds[..., None].clamp(min=1e-3))
    numbers = torch.cat(
        [gaze.confidence[..., None], gaze.time_s[..., None], velocity, dwell(gaze, near=near)[..., None]], -1
    )
    return torch.where(tracked[..., None], torch.cat([at, angles.sin(), angles.cos(), numbers], -1), 0.0)


def velocity_parts(gaze: GazeInputs) -> tuple[Float[Tensor, "b t 2"], Float[Tensor, "b t"]]:
    """By how much the gaze has moved since the frame before, in pictures, and the seconds between them.

    It has moved by 0 in the first frame, and where one of the two frames is not tracked.
    """
    both = torch.zeros_like(gaze.tracked)
    both[:, 1:] = gaze.tracked[:, 1:] & gaze.tracked[:, :-1]
    moved, seconds = torch.zeros_like(gaze.xy), torch.zeros_like(gaze.time_s)
    moved[:, 1:] = gaze.places[:, 1:] - gaze.places[:, :-1]
    seconds[:, 1:] = gaze.time_s[:, 1:] - gaze.time_s[:, :-1]
    return torch.where(both[..., None], moved, 0.0), seconds


def dwell(gaze: GazeInputs, *, near: float = NEAR) -> Float[Tensor, "b t"]:
    """Seconds since the gaze came to where it is: 0 where it has just come, or is not tracked.

    Args:
        gaze: of clips.
        near: how far it may move from frame to frame and still stay, as a share of the width and height.
    """
    moved, seconds = velocity_parts(gaze)
    stays = torch.zeros_like(gaze.tracked)
    stays[:, 1:] = gaze.tracked[:, 1:] & gaze.tracked[:, :-1] & (moved[:, 1:].norm(dim=-1) < near)
    so_far, each = torch.zeros_like(seconds[:, 0]), []
    for i in range(gaze.frames):
        so_far = torch.where(stays[:, i], so_far + seconds[:, i], 0.0)
        each.append(so_far)
    return torch.stack(each, dim=1)


class GazeTokens(nn.Module):
    """Raw gaze -> a token per frame: a small network of its features where it is tracked, its state's vector elsewhere.

    Args:
        size: of a token.
        states: see :data:`isotherm.gaze.state_tokens.States`.
    """

    def __init__(self, size: int, states: States) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(FEATURES, size), nn.GELU(), nn.Linear(size, size))
        self.states = StateTokens(size, states)

    def forward(self, gaze: GazeInputs) -> Float[Tensor, "b t d"]:
        """One token per frame."""
        tokens = self.embed(gaze_features(gaze)) + self.states(gaze)
        if self.states.vectors is None:
            return tokens
        return torch.where(gaze.tracked[..., None], tokens, self.states(gaze))


def frame_places(frames: int, tubelet: int) -> Float[Tensor, " {frames}"]:
    """Where frames lie on the axis of tubelets: the middle of tubelet m is at m.

    Example:
        >>> frame_places(4, 2).tolist()
        [-0.25, 0.25, 0.75, 1.25]
    """
    return (torch.arange(frames) + 0.5) / tubelet - 0.5


def token_places(gaze: GazeInputs, grid: tuple[int, int], tubelet: int) -> Float[Tensor, "b t 3"]:
    """(tubelet, row, column) of each frame's gaze on the grid of tokens, between tokens as well; the middle of the
    picture where it is not tracked.

    Args:
        gaze: of clips.
        grid: (h, w) of tokens.
        tubelet: frames per token.
    """
    shares = torch.where(gaze.tracked[..., None], gaze.places, 0.5)
    spatial = shares.flip(-1) * shares.new_tensor(grid) - 0.5
    when = frame_places(gaze.frames, tubelet).to(spatial)
    return torch.cat([when[None, :, None].expand(len(gaze), -1, 1), spatial], dim=-1)
